"""Counts of rows by label and decisions, the metrics that are computed from them, and how results are recorded."""
