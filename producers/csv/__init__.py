"""CSV sources: a file in S3 is checked, then published as events, then moved to the archive."""
