"""Reading label files, joining them with predictions, and closing batches."""
