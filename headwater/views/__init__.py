"""Read models of what an installation holds, for the command line."""
