"""Fields of an entity: kinds, strict checks of values, and canonical JSON text.

| kind | Python type |
|---|---|
| string, enum, json (canonical JSON text) | str |
| int (32 bits), long (64 bits) | int |
| float (32 bits), double | float, finite |
| boolean | bool |
| bytes | bytes |
| decimal | Decimal |
| date | date |
| time-millis, time-micros | time without a zone |
| timestamp-millis, timestamp-micros | datetime with a zone; decoded in UTC |
| local-timestamp-millis, local-timestamp-micros | datetime without a zone |
| uuid | UUID |

Types must match exactly: a bool is rejected as an int, a datetime as a date, a subclass of str as a str.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from json.encoder import encode_basestring
from typing import Final

from schemas.errors import PoisonEventError
from schemas.payload.values import Pack, Unpack, coder, nullable
from schemas.privacy import Privacy


class FieldType(StrEnum):
    """The kinds of field: Avro's primitive types, its logical types, and JSON text."""

    STRING = "string"
    INT = "int"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    ENUM = "enum"
    DECIMAL = "decimal"
    DATE = "date"
    TIME_MILLIS = "time-millis"
    TIME_MICROS = "time-micros"
    TIMESTAMP_MILLIS = "timestamp-millis"
    TIMESTAMP_MICROS = "timestamp-micros"
    LOCAL_TIMESTAMP_MILLIS = "local-timestamp-millis"
    LOCAL_TIMESTAMP_MICROS = "local-timestamp-micros"
    UUID = "uuid"
    JSON = "json"


class _NoDefault:
    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT: Final = _NoDefault()
"""The `default` of a field without one, since None is a valid default."""

ANY_SOURCE = "*"
"""The key in `from_names` of a name that applies to every source without its own."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a schema version.

    `from_names` maps a source, or ANY_SOURCE, to the name that the source uses. `aliases` are names of the
    field in older versions. `casts` are kinds that it had there and that need a declared conversion.
    """

    name: str
    kind: FieldType
    nullable: bool = False
    default: object = NO_DEFAULT
    precision: int = 0
    scale: int = 0
    symbols: tuple[str, ...] = ()
    max_length: int | None = None
    from_names: Mapping[str, str] = field(default_factory=dict, hash=False)
    format: str | None = None
    aliases: tuple[str, ...] = ()
    casts: tuple[FieldType, ...] = ()
    private: Privacy = Privacy.PUBLIC
    pack: Pack = field(init=False, repr=False, compare=False)
    unpack: Unpack = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        field_coder = coder(
            self.kind,
            precision=self.precision,
            scale=self.scale,
            symbols=self.symbols,
            max_length=self.max_length,
        )
        pack, unpack = nullable(field_coder) if self.nullable else field_coder
        object.__setattr__(self, "pack", pack)
        object.__setattr__(self, "unpack", unpack)

    @property
    def default_or_none(self) -> object:
        """The value in a row that does not contain the field: its default, or None."""
        return None if self.default is NO_DEFAULT else self.default

    def source_name(self, source: str) -> str:
        """Return the name of this field in a source: an attribute of an item, or a column of a file."""
        names = self.from_names
        return names.get(source) or names.get(ANY_SOURCE) or self.name

    def check(self, value: object) -> None:
        """Raise PoisonEventError unless the value fits. It names field and rule, never the value."""
        try:
            self.pack(value)
        except ValueError as broken_rule:
            reason = f"field {self.name}: {broken_rule}"
        else:
            return
        # Raised outside the handler, without a cause or context (INV-7).
        raise PoisonEventError(reason)


MAX_NUMBER_DIGITS = 400
"""Most digits of a number in JSON text, on either side of its decimal point. DynamoDB has at most 168."""


def canonical_json(value: object) -> str:
    """Return nested values as JSON text. Equal values give equal text (INV-5).

    Names are sorted, without white space; numbers are plain digits, sets are sorted arrays, bytes are base64.
    Raises PoisonEventError for values without an exact form in JSON: binary floats, NaN, names that are not
    text, sets of mixed types, and nesting beyond Python's stack.
    """
    try:
        return _json(value)
    except RecursionError:
        raise PoisonEventError("nested too deep for JSON text") from None


def canonical_json_of(text: str) -> str:
    """Return the canonical form of JSON text from elsewhere, such as a CSV column.

    Raises PoisonEventError if the text is not JSON, or has no canonical form.
    """
    try:
        value = json.loads(
            text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_without_duplicates
        )
    except json.JSONDecodeError as error:
        reason = f"is not JSON: {error.msg} at character {error.pos + 1}"
    except (ValueError, ArithmeticError, RecursionError):
        # Python refuses integers of more than 4,300 digits, and Decimal refuses exponents of more than 18.
        reason = "is JSON that is too large or too deep"
    else:
        return canonical_json(value)
    raise PoisonEventError(reason)


def _json(value: object) -> str:
    match value:
        case None | True | False:  # before int(), which matches a bool
            return json.dumps(value)
        case str():
            return encode_basestring(value)
        case int() | Decimal():
            return plain_digits(value)
        case bytes() | bytearray():
            return f'"{b64encode(value).decode()}"'
        case Mapping():
            return _json_object(value)
        case list() | tuple():
            return f"[{','.join(map(_json, value))}]"
        case set() | frozenset():
            return f"[{','.join(map(_json, _sorted(value)))}]"
    raise PoisonEventError(f"{type(value).__name__} has no exact form in JSON")


def _json_object(value: Mapping[object, object]) -> str:
    if not all(type(name) is str for name in value):
        raise PoisonEventError("the names in a JSON object must be text")
    return (
        f"{{{','.join(f'{encode_basestring(str(name))}:{_json(value[name])}' for name in _sorted(value))}}}"
    )


def _sorted(values: Iterable[object]) -> list[object]:
    try:
        return sorted(values)  # type: ignore[type-var]
    except TypeError:
        raise PoisonEventError("a set of mixed types has no order, hence no exact form in JSON") from None


def plain_digits(number: int | Decimal) -> str:
    """Return the number without exponent, trailing zeros or a negative zero.

    Equal numbers give equal text. Raises PoisonEventError for NaN, infinities, and more than
    MAX_NUMBER_DIGITS digits before or after the point.
    """
    exact = Decimal(number)
    if not exact.is_finite():
        raise PoisonEventError("NaN and infinity have no digits")
    if not exact:
        return "0"
    # Checked first: 1E+1000000 is short as a Decimal, but a megabyte as plain digits.
    exponent = exact.as_tuple().exponent
    if exact.adjusted() >= MAX_NUMBER_DIGITS or (isinstance(exponent, int) and exponent < -MAX_NUMBER_DIGITS):
        raise PoisonEventError(
            f"a number takes at most {MAX_NUMBER_DIGITS} digits before and after its point"
        )
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _no_constant(_name: str) -> object:
    raise PoisonEventError("NaN and infinity are not JSON")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise PoisonEventError("a JSON object has a duplicate member")
    return members


def fits_strptime(pattern: object, what: str) -> bool:
    """Return whether a strptime pattern preserves at least the part `what` of a moment.

    One moment is formatted with the pattern and parsed again.
    """
    if not isinstance(pattern, str):
        return False
    moment = datetime(2021, 11, 23, 14, 45, 59, tzinfo=UTC)  # no two parts are equal
    try:
        back = datetime.strptime(moment.strftime(pattern), pattern)  # noqa: DTZ007 - only its parts are compared
    except ValueError:
        return False
    return back.strftime(what) == moment.strftime(what)
