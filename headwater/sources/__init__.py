"""Kinds of sources in the local runtime and the command line, one package for each."""
