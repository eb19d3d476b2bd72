"""The warehouse in SQL Server."""
