"""The peers of bench_mssql_peers: each script runs in that peer's own environment, not in this project's."""
