"""The command line and the local runtime, which wire the other packages together. Nothing imports it."""
