"""Exit codes of the commands."""

DONE = 0
BUG = 1  # an unexpected exception
REFUSED = 2  # usage or configuration
FINDINGS = 3  # finished, with differences, dead letters or rejected rows
DAMAGED_LOG = 4
GAVE_UP = 5  # on a problem that may be temporary: a retry may succeed
INTERRUPTED = 130
PIPE_CLOSED = 141  # 128 + SIGPIPE: the reader of stdout has closed it
