"""Commands, one module for each: `add_parser` defines the arguments, `run` returns the exit code.

Slow imports are inside the functions that need them, so that help and usage errors are printed at once.
"""
