"""Detection of changes of a field's `format` that give a text a different value. Pure.

It matters for fields of the key. If a source starts to write its dates differently and the format follows,
the rows stay the same. If a format reads 01/02/2024 as another day than before, rows get new keys and are
duplicated, unless the source itself swapped day and month.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

from schemas.payload.fields import Field, FieldType

_MOMENTS = (
    # In the first one every part has one digit and all differ, so swapping any two parts gives another
    # moment. The others have two digits, and the last second of a year.
    datetime(2009, 8, 7, 6, 5, 4, 3_000, tzinfo=UTC),
    datetime(2012, 11, 10, 13, 14, 15, 160_000, tzinfo=UTC),
    datetime(2024, 12, 31, 23, 59, 58, tzinfo=UTC),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = {"epoch-seconds": timedelta(seconds=1), "epoch-millis": timedelta(milliseconds=1)}
_ISO_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
_BOOLEAN = "true|false"


def reads_differently(old: Field, new: Field) -> bool:
    """Return whether the newer field reads a text that the older one accepts as a different value.

    Sample moments are written in the older format and read in the newer one.
    """
    if old.format == new.format:
        return False
    if new.kind is FieldType.BOOLEAN:
        return _swapped(old.format or _BOOLEAN, new.format or _BOOLEAN)
    return any(_differs(old, new, moment) for moment in _MOMENTS)


def _swapped(old: str, new: str) -> bool:
    """Return whether a text for true became one for false, or the reverse."""
    # Without a format, true and false are read in any case.
    ignore_case = _BOOLEAN in (old, new)
    texts = [text.lower() if ignore_case else text for text in (*old.split("|"), *new.split("|"))]
    return texts[0] == texts[3] or texts[1] == texts[2]


def _differs(old: Field, new: Field, moment: datetime) -> bool:
    for writes, reads in product(_patterns(old), _patterns(new)):
        text = _written(moment, writes)
        # Both read the text, since a format may drop parts of the moment, such as microseconds.
        before, after = _value(text, writes, old.kind), _value(text, reads, new.kind)
        if after is not None and before != after:
            return True
    return False


def _patterns(field: Field) -> Iterator[str]:
    """Yield the format of a field, or all forms of ISO 8601 that are read without one."""
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
    """Return the value of a text in a pattern, or None if it does not match."""
    try:
        tick = _TICKS.get(pattern)
        moment = datetime.strptime(text, pattern) if tick is None else _EPOCH + int(text) * tick  # noqa: DTZ007
    except (ValueError, OverflowError):
        return None
    plain = moment.replace(tzinfo=None)
    if kind is FieldType.DATE:
        return plain.date()
    return plain.time() if kind.startswith("time-") else plain
