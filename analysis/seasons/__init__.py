"""Whole seasons: what other rules would have done with the same batches, and a policy played on simulated ones."""
