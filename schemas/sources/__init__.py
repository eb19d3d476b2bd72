"""Kinds of sources, one module for each: their properties in entity.toml, and the cost of changing one."""
