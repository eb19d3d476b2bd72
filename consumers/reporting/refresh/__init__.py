"""Refresh of a report table, independent of the engine."""
