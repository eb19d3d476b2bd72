"""The warehouse in SQLite."""
