"""One module per noun: `add_parser` says what the command takes, `run` does it and returns the exit code.

Heavy imports stand inside `run`, so that help and errors of usage come at once.
"""
