"""The command line and the local runtime: wires the rooms together; nothing imports it."""
