"""Model versions in MLflow: finding and loading them, checking their outputs and their integrity."""
