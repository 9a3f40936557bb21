"""The error rate of every rule that decides, and the coverage of every interval that is shown, measured: ``make calibration``.

Here is what measures, judges and writes; what is measured is in ``tables``, and what it is measured against in ``peers``.
"""
