"""The warehouse: one port, and the SQL engines behind it.

`engines.open_warehouse(url, entities)` returns a `port.Warehouse`.
"""
