"""What a command's exit code says."""

DONE = 0
BUG = 1  # of ours
REFUSED = 2  # usage or configuration
FINDINGS = 3  # finished, with differences, dead letters or rejected rows
DAMAGED_LOG = 4
GAVE_UP = 5  # on something that may pass
INTERRUPTED = 130
PIPE_CLOSED = 141  # the reader of our output went away
