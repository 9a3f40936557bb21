"""What everything is computed from: counts of rows by label and decisions, metrics of them, and how results are recorded."""
