"""Conversions of a field's values from one schema version to the next. Pure.

A conversion is total: it converts every value of the older field to one that the newer field accepts. NULL
stays NULL and is not passed to it. A change without a conversion is refused by its rule
(schemas.evolution.rules).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from schemas.payload.fields import Field, FieldType, canonical_json, plain_digits
from schemas.payload.values import identity
from schemas.privacy import Privacy, mask

Convert = Callable[[Any], object]


class Conversion(NamedTuple):
    """The rules that apply to a change of a field, and the function that converts its values.

    `rules` are names in `schemas.evolution.rules.RULES`. `convert` is None if the change is refused.
    """

    rules: tuple[str, ...]
    convert: Convert | None


def conversion(old: Field, new: Field) -> Conversion:
    """Return the conversion from a field to the same field in the next version."""
    rules = [rule for rule in _rules_besides_kind(old, new) if rule]
    privacy = _privacy(old, new)
    kind = privacy or _kind(old, new)
    return Conversion((*rules, *kind.rules), kind.convert)


def _rules_besides_kind(old: Field, new: Field) -> list[str]:
    return [
        "field renamed" if old.name != new.name else "",
        "null allowed" if new.nullable and not old.nullable else "",
        "null forbidden" if old.nullable and not new.nullable else "",
        "mapping changed"
        if (old.from_names, old.format, old.casts) != (new.from_names, new.format, new.casts)
        else "",
    ]


# Privacy


def _privacy(old: Field, new: Field) -> Conversion | None:
    """Return the conversion of a change of privacy, or None if the privacy is the same."""
    if old.private == new.private:
        return None
    rule = "made private" if new.private > old.private else "made less private"
    # Only a mask can be computed from values in the log: hashing needs a key that the reporting account does
    # not have, and hidden values cannot be restored. All others become NULL.
    if (old.private, new.private) != (Privacy.PUBLIC, Privacy.MASK):
        return Conversion((rule,), _nothing)
    kind = _kind(old, new)
    return Conversion((*kind.rules, rule), kind.convert and _masking(new))


def _masking(new: Field) -> Convert:
    """Return a function that masks values, within the maximum length of the field."""

    def masked(value: object) -> str:
        # A mail address of one character before the @ has a mask longer than itself. If the field is too
        # short for that, the value is masked like other text.
        text = mask(str(value))
        return text if _fits(new, len(text)) else mask(str(value).replace("@", "."))

    return masked


def _nothing(_value: object) -> None:
    return None


# Kinds


_STEPS: dict[tuple[FieldType, FieldType], tuple[str, Convert | None]] = {
    (FieldType.INT, FieldType.LONG): ("int to long", identity),
    (FieldType.FLOAT, FieldType.DOUBLE): ("float to double", identity),
    (FieldType.INT, FieldType.DOUBLE): ("exact number", float),
}
for _old, _new in (
    (FieldType.TIME_MILLIS, FieldType.TIME_MICROS),
    (FieldType.TIMESTAMP_MILLIS, FieldType.TIMESTAMP_MICROS),
    (FieldType.LOCAL_TIMESTAMP_MILLIS, FieldType.LOCAL_TIMESTAMP_MICROS),
):
    _STEPS |= {(_old, _new): ("finer time", identity), (_new, _old): ("coarser time", None)}

_WHOLE_DIGITS = {FieldType.INT: 10, FieldType.LONG: 19}
"""Digits before the point that a decimal needs for every value of the kind."""


def _kind(old: Field, new: Field) -> Conversion:
    if old.kind == new.kind:
        return _same_kind(old, new)
    if step := _STEPS.get((old.kind, new.kind)):
        rule, convert = step
        return Conversion((rule,), convert)
    if old.kind == FieldType.ENUM and new.kind == FieldType.STRING and _fits(new, _longest(old)):
        return Conversion(("enum to string",), identity)
    if new.kind == FieldType.DECIMAL and new.precision - new.scale >= _WHOLE_DIGITS.get(old.kind, 99):
        return Conversion(("exact number",), _scaled(new.scale))
    return _declared(old, new)


def _longest(enum: Field) -> int:
    return max(map(len, enum.symbols))


def _same_kind(old: Field, new: Field) -> Conversion:
    match new.kind:
        case FieldType.DECIMAL:
            return _digits(old, new)
        case FieldType.ENUM:
            return _symbols(old, new)
        case _:
            return _length(old, new)


def _digits(old: Field, new: Field) -> Conversion:
    more_whole = (new.precision - new.scale) - (old.precision - old.scale)
    more_scale = new.scale - old.scale
    if more_whole < 0 or more_scale < 0:
        return Conversion(("fewer digits",), None)
    # Values must have the scale of their column, so that a rebuilt table equals the live one (INV-3).
    if more_scale:
        return Conversion(("finer scale",), _scaled(new.scale))
    return Conversion(("more digits",) if more_whole else (), identity)


def _scaled(scale: int) -> Convert:
    def scaled(value: int | Decimal) -> Decimal:
        # Appending zeros is exact for any precision; quantize() would be limited by the decimal context.
        sign, digits, exponent = Decimal(value).as_tuple()
        assert isinstance(exponent, int)
        return Decimal((sign, digits + (0,) * (exponent + scale), -scale))

    return scaled


def _symbols(old: Field, new: Field) -> Conversion:
    if not set(old.symbols) <= set(new.symbols):
        return Conversion(("symbol removed",), None)
    return Conversion(("symbol added",) if len(new.symbols) > len(old.symbols) else (), identity)


def _length(old: Field, new: Field) -> Conversion:
    if old.max_length == new.max_length:
        return Conversion((), identity)
    if old.max_length is not None and _fits(new, old.max_length):
        return Conversion(("longer",), identity)
    return Conversion(("shorter",), None)


def _fits(field: Field, length: int) -> bool:
    return field.max_length is None or field.max_length >= length


# Declared casts


def _iso(value: date | time | datetime) -> str:
    return value.isoformat()


def _iso_utc(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


_TEXTS: dict[FieldType, tuple[Convert, int]] = {
    FieldType.INT: (str, 11),
    FieldType.LONG: (str, 20),
    FieldType.DECIMAL: (plain_digits, 40),
    FieldType.FLOAT: (repr, 24),
    FieldType.DOUBLE: (repr, 24),
    FieldType.BOOLEAN: (lambda value: "true" if value else "false", 5),
    FieldType.UUID: (str, 36),
    FieldType.DATE: (_iso, 10),
    FieldType.TIME_MILLIS: (_iso, 15),
    FieldType.TIME_MICROS: (_iso, 15),
    FieldType.LOCAL_TIMESTAMP_MILLIS: (_iso, 26),
    FieldType.LOCAL_TIMESTAMP_MICROS: (_iso, 26),
    FieldType.TIMESTAMP_MILLIS: (_iso_utc, 27),
    FieldType.TIMESTAMP_MICROS: (_iso_utc, 27),
}
"""For each kind, the conversion to text and the maximum length of that text in characters."""
_JSON = (FieldType.STRING, FieldType.INT, FieldType.LONG, FieldType.DECIMAL, FieldType.BOOLEAN)
# A date becomes midnight: of UTC if the new kind has a time zone.
_MIDNIGHTS = {
    FieldType.LOCAL_TIMESTAMP_MILLIS: None,
    FieldType.LOCAL_TIMESTAMP_MICROS: None,
    FieldType.TIMESTAMP_MILLIS: UTC,
    FieldType.TIMESTAMP_MICROS: UTC,
}


def cast_kinds(new: Field) -> tuple[FieldType, ...]:
    """Return the kinds from which the field may declare a cast."""
    if new.kind == FieldType.STRING:
        return tuple(kind for kind, (_, length) in _TEXTS.items() if _fits(new, length))
    if new.kind == FieldType.JSON:
        # JSON text has no useful bound on its length, so no cast to a limited field is total.
        return _JSON if new.max_length is None else ()
    return (FieldType.DATE,) if new.kind in _MIDNIGHTS else ()


def cast_conversion(new: Field, kind: FieldType) -> Convert:
    """Return the conversion to the field from one of its `cast_kinds`."""
    if new.kind == FieldType.STRING:
        return _TEXTS[kind][0]
    if new.kind == FieldType.JSON:
        return canonical_json
    zone = _MIDNIGHTS[new.kind]
    return lambda value: datetime.combine(value, time(), zone)


def _declared(old: Field, new: Field) -> Conversion:
    if old.kind not in new.casts or old.kind not in cast_kinds(new):
        return Conversion(("kind changed",), None)
    return Conversion(("declared cast",), cast_conversion(new, old.kind))


_EXAMPLES: dict[FieldType, object] = {
    FieldType.INT: -5,
    FieldType.LONG: 2_475_512,
    FieldType.DECIMAL: Decimal("12.50"),
    FieldType.FLOAT: 0.5,
    FieldType.DOUBLE: 0.1,
    FieldType.BOOLEAN: True,
    FieldType.UUID: UUID(int=1),
    FieldType.DATE: date(2024, 2, 29),
    FieldType.TIME_MILLIS: time(12, 30),
    FieldType.TIME_MICROS: time(12, 30, 1, 5),
    FieldType.LOCAL_TIMESTAMP_MILLIS: datetime(2024, 2, 29, 12, 30),  # noqa: DTZ001 - it has no zone
    FieldType.LOCAL_TIMESTAMP_MICROS: datetime(2024, 2, 29, 12, 30, 1, 5),  # noqa: DTZ001
    FieldType.TIMESTAMP_MILLIS: datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    FieldType.TIMESTAMP_MICROS: datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=UTC),
    FieldType.STRING: 'a "b"',
}


def casts_as_markdown() -> str:
    """Return the table of all casts that a field may declare, with examples, for docs/evolution.md."""
    lines = ["| to | from | for example | becomes | least `maxLength` |", "|---|---|---|---|---|"]
    for new in map(_plainest, (FieldType.STRING, FieldType.JSON, *_MIDNIGHTS)):
        for kind in cast_kinds(new):
            example = _EXAMPLES[kind]
            convert = _declared(_plainest(kind), replace(new, casts=(kind,))).convert
            assert convert is not None
            length = str(_TEXTS[kind][1]) if new.kind is FieldType.STRING else ""
            lines.append(f"| {new.kind} | {kind} | `{example}` | `{convert(example)}` | {length} |")
    return "\n".join(lines)


def _plainest(kind: FieldType) -> Field:
    return Field("f", kind, precision=38 if kind is FieldType.DECIMAL else 0)
