"""The warehouse: one port, and the SQL engines behind it.

`open_warehouse(url, entities)` (in `sqlite.py`, the first engine) gives a `port.Warehouse`.
"""
