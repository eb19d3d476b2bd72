"""Measurements, each beside the raw limit of the same run. Tests never time."""
