"""Readers of the log: rebuild, as-of and compare. Never writes events. Imports `schemas` and `consumers`."""
