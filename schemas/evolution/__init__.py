"""Changes between versions of a schema: which are allowed, and what each one costs."""
