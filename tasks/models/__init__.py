"""Model versions in MLflow: finding and loading them, reading what they give, and whether they are what they were."""
