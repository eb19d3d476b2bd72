"""Entities and their sources, as the folders of an installation declare them."""
