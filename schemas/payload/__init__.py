"""Rows as Avro: field types, conversions between them, schemas of a version, and fingerprints."""
