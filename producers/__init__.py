"""Producers: sources in, aggregated Kinesis records out. Imports only `schemas`."""
