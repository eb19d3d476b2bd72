"""What time a warehouse writes down."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)


def stamp(clock: Clock) -> str:
    """ISO 8601 in UTC with six digits."""
    return clock().astimezone(UTC).isoformat(timespec="microseconds")
