"""The refresh of a report table, for every engine."""
