"""Measures, tests, intervals and bootstraps of a pair at a single look. Nothing here may decide by itself, week after week."""
