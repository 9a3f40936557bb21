"""What people read: reports of decisions with their plots, and the report of a season."""
