"""The tables that are measured, a module each: the worlds that are played, the rules that look, and what the page says of both.

A table is entered in ``calibration.all_tables``, and what it must not exceed in ``calibration.promises``.
"""
