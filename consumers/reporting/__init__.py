"""Reporting tables: one .sql file each, kept right as staging changes."""
