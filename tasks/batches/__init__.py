"""Reading batches, scoring them with every version, and the manifests that commit predictions."""
