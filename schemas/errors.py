"""Errors, named by what the caller may do about them.

    HeadwaterError
    ├── TransientError        try again
    ├── PoisonEventError      dead-letter it and go on
    ├── ConflictError         read again, then decide
    ├── LogIntegrityError     stop, tell a person
    └── ConfigurationError    refuse to start

A text names field, rule and type; never a field's value (INV-7).
"""

from typing import Literal, TypeAlias

Cause: TypeAlias = Literal["data", "schema"]
"""Of a dead letter: the event itself is at fault, or only what we know of its schema."""


class HeadwaterError(Exception):
    """Everything that Headwater raises on purpose."""


class TransientError(HeadwaterError):
    """Nothing is known to be wrong with the request: the same request may succeed later."""


class PoisonEventError(HeadwaterError):
    """This event can't be used, and no retry changes that: dead-letter it and go on."""

    def __init__(self, reason: str, cause: Cause = "data") -> None:
        super().__init__(reason)
        self.reason = reason
        self.cause: Cause = cause


class ConflictError(HeadwaterError):
    """The world is not as the caller thought: read again, then decide."""


class LogIntegrityError(HeadwaterError):
    """The log of record is damaged: stop, tell a person."""


class ConfigurationError(HeadwaterError):
    """A person must change something before this can work: refuse to start."""
