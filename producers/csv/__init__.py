"""CSV files in S3 in, events out: a file is read twice, published once, then moved to the archive."""
