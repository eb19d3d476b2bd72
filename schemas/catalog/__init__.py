"""Entities and their sources, as the folders of a home declare them."""
