"""The effects of Dethrone: the store, the model registry, scoring, labels, the promotion log, reports.

Plain functions and classes; where Prefect should see a step, a ``@task`` is a thin skin on one of them.
"""
