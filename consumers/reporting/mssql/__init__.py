"""Reports in SQL Server."""
