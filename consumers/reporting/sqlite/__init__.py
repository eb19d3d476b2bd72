"""Reports in SQLite: the translation of T-SQL, and the functions that SQLite lacks."""
