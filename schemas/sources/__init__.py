"""Kinds of sources, one module for each: their properties in entity.toml, and what a change of one costs."""
