"""The clock of a warehouse, and the text form of its timestamps."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def stamp(clock: Clock) -> str:
    """Return the clock's time as ISO 8601 in UTC, with microseconds."""
    # By default isoformat omits a fraction of zero; a fixed width makes the text sort by time.
    return clock().astimezone(UTC).isoformat(timespec="microseconds")
