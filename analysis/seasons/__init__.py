"""Seasons, all batches in order: what other rules would have done with them, and a policy played on simulated batches."""
