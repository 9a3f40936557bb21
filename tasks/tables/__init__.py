"""Rows as people keep them: folders of Parquet, CSV and JSON Lines files, and Delta and Iceberg tables, read as one table."""
