"""The error rate of every rule that decides, and the coverage of every interval that is shown, measured: ``make calibration``."""
