"""Batches: reading their rows, scoring them with every version, and the manifests that commit the predictions."""
