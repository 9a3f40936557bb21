"""What runs in the process of a model version: a fork server, and the forks that load and call one model each.

The Python may be that of the version's own environment, so these modules import the standard library, numpy, pandas, pyarrow, MLflow and
what a model needs, and nothing else. There they are the package ``dethrone_worker``: a model can bring modules of any other name.
"""
