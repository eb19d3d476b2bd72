"""Reads the log again: rebuild, as-of, compare. Never writes events. Imports `schemas` and `consumers`."""
