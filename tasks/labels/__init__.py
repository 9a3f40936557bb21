"""Labels: reading their files, joining them with scored rows, and closing batches."""
