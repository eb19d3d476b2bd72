"""Reports in SQLite: translation of T-SQL, functions, and the engine."""
