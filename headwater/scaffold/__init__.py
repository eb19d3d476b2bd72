"""Proposals for new entities and reports, made from samples of real data."""
