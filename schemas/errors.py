"""Errors, classified by what the caller may do about them.

    HeadwaterError
    ├── TransientError        try again
    ├── PoisonEventError      dead-letter the event and continue
    ├── ConflictError         read again, then decide
    ├── LogIntegrityError     stop, and alert a person
    └── ConfigurationError    refuse to start

A message names field, rule and type, never the value of a field (INV-7).
"""

from typing import Literal, TypeAlias

Cause: TypeAlias = Literal["data", "schema"]
"""Cause of a dead letter: the event is invalid, or its schema is unknown here and it may be valid."""


class HeadwaterError(Exception):
    """Base class of all errors that Headwater raises deliberately."""


class TransientError(HeadwaterError):
    """The request may be valid: the same request may succeed later."""


class PoisonEventError(HeadwaterError):
    """The event cannot be used, and no retry changes that: dead-letter it and continue."""

    def __init__(self, reason: str, cause: Cause = "data") -> None:
        super().__init__(reason)
        self.reason = reason
        self.cause: Cause = cause


class ConflictError(HeadwaterError):
    """The state is not what the caller expected: read again, then decide."""


class LogIntegrityError(HeadwaterError):
    """The log of record is damaged: stop, and alert a person."""


class ConfigurationError(HeadwaterError):
    """A person must change something before this can work: refuse to start."""
