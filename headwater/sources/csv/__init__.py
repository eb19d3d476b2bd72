"""Feeds of CSV files: notifications, the process that reads files, and `headwater drop`."""
