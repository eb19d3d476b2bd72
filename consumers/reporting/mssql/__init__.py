"""Reports in SQL Server: statements and the engine."""
