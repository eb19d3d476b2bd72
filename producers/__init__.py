"""Sources in, aggregated Kinesis records out. Imports only `schemas`."""
