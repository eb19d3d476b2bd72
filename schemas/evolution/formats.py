"""Whether a text means another value when a field's `format` changes. Pure.

For a field of the key that decides: a source that writes its dates otherwise has the same rows; a format that
reads 01/02/2024 as another day than before makes a second row beside the first, unless the source has turned
them round. Moments are written as the older format has them, and read as the newer one does.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

from schemas.payload.fields import Field, FieldType

_MOMENTS = (
    # Each part has one digit and is none of the others: any two that change places are another moment.
    datetime(2009, 8, 7, 6, 5, 4, 3_000, tzinfo=UTC),
    datetime(2012, 11, 10, 13, 14, 15, 160_000, tzinfo=UTC),
    datetime(2024, 12, 31, 23, 59, 58, tzinfo=UTC),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = {"epoch-seconds": timedelta(seconds=1), "epoch-millis": timedelta(milliseconds=1)}
_ISO_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
_BOOLEAN = "true|false"


def reads_differently(old: Field, new: Field) -> bool:
    """Whether the newer of two formats of one kind takes a text of the older for another value."""
    if old.format == new.format:
        return False
    if new.kind is FieldType.BOOLEAN:
        return _swapped(old.format or _BOOLEAN, new.format or _BOOLEAN)
    return any(_differs(old, new, moment) for moment in _MOMENTS)


def _swapped(old: str, new: str) -> bool:
    """Texts of booleans without a format are read in any case."""
    texts = [each.lower() if _BOOLEAN in (old, new) else each for each in (*old.split("|"), *new.split("|"))]
    return texts[0] == texts[3] or texts[1] == texts[2]


def _differs(old: Field, new: Field, moment: datetime) -> bool:
    for writes, reads in product(_patterns(old), _patterns(new)):
        text = _written(moment, writes)
        before, after = _value(text, writes, old.kind), _value(text, reads, new.kind)
        if after is not None and before != after:
            return True
    return False


def _patterns(field: Field) -> Iterator[str]:
    """The format, or each form of ISO 8601 that is read without one."""
    if field.format is not None:
        yield field.format
    elif field.kind is FieldType.DATE:
        yield "%Y-%m-%d"
    elif field.kind.startswith("time-"):
        yield from _ISO_TIMES
    else:
        for between, time, zone in product("T ", _ISO_TIMES, ("", "%z")):
            yield f"%Y-%m-%d{between}{time}{zone}"


def _written(moment: datetime, pattern: str) -> str:
    tick = _TICKS.get(pattern)
    return moment.strftime(pattern) if tick is None else str((moment - _EPOCH) // tick)


def _value(text: str, pattern: str, kind: FieldType) -> object:
    """What a field of that kind makes of it; None where it is refused."""
    try:
        tick = _TICKS.get(pattern)
        moment = datetime.strptime(text, pattern) if tick is None else _EPOCH + int(text) * tick  # noqa: DTZ007
    except (ValueError, OverflowError):
        return None
    plain = moment.replace(tzinfo=None)
    if kind is FieldType.DATE:
        return plain.date()
    return plain.time() if kind.startswith("time-") else plain
