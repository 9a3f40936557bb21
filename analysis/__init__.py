"""The mathematics of Dethrone: values in, values out.

Nothing here knows of Prefect, MLflow, files, a clock, the environment or logging. Counts go in, verdicts come out, and
the same input gives the same output on any machine.
"""
