"""Kinesis records in, warehouse tables and dead letters out. Imports only `schemas`."""
