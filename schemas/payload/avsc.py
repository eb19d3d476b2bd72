"""An Avro record schema as fields: which Avro we take, and our own properties of a field.

Every error is a ConfigurationError that names the field, what was found and what is allowed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.errors import ConfigurationError, PoisonEventError
from schemas.payload.conversions import cast_kinds
from schemas.payload.fields import ANY_SOURCE, Field, FieldType, canonical_json_of
from schemas.payload.fingerprint import full_name
from schemas.payload.values import coder
from schemas.privacy import DROP, HASHED, MASKED, PRIVACY, Privacy
from schemas.refusals import missing, only_known, refused, snake_case, unknown

MAX_PRECISION = 38

PRIMITIVES = ("string", "int", "long", "float", "double", "boolean", "bytes")
LOGICAL_TYPES = {
    "decimal": "bytes",
    "date": "int",
    "time-millis": "int",
    "time-micros": "long",
    "timestamp-millis": "long",
    "timestamp-micros": "long",
    "local-timestamp-millis": "long",
    "local-timestamp-micros": "long",
    "uuid": "string",
}
EPOCHS = ("epoch-seconds", "epoch-millis")

FIELD_PROPERTIES = (
    "name",
    "type",
    "default",
    "doc",
    "aliases",
    "from",
    "maxLength",
    "format",
    "headwater.json",
    "headwater.casts",
    "headwater.private",
)
RECORD_PROPERTIES = ("type", "name", "namespace", "doc", "fields")
ADDED_PROPERTIES = ("headwater.entity", "headwater.version", "headwater.key")
"""Of the record, which the loader writes into it: nobody's own file has them."""
DROPPED = "headwater.dropped"
"""One more, where a field never leaves its source: name to `from`."""


class _Type(NamedTuple):
    kind: FieldType
    base: str
    nullable: bool = False
    precision: int = 0
    scale: int = 0
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Names:
    """The named types of one record so far: Avro defines each once and then refers to it."""

    namespace: str
    types: dict[str, _Type | None]  # None is the record itself, which no field of it may be

    def find(self, name: str) -> _Type | None:
        return self.types.get(full_name(name, self.namespace))

    def add(self, where: str, given: Mapping[str, Any], made: _Type | None) -> None:
        name = _avro_name(f"{where}, name", given.get("name"))
        full = full_name(name, _namespace(where, given, self.namespace))
        if full in self.types:
            raise refused(f"{where}, name", name, "a name that no other type of this record has")
        self.types[full] = made


def _namespace(where: str, given: Mapping[str, Any], around: str) -> str:
    namespace = given.get("namespace", around)
    return "" if namespace == "" else _avro_name(f"{where}, namespace", namespace)


def _avro_name(where: str, name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII):
        raise refused(where, name, "an Avro name: a letter or _ first, then letters, digits and _")
    return name


def read_fields(avro: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields of an Avro record schema. Raises ConfigurationError for what we do not take."""
    only_known("record", avro, (*RECORD_PROPERTIES, *ADDED_PROPERTIES, DROPPED))
    if avro.get("type") != "record":
        raise refused("record, type", avro.get("type"), '"record"')
    names = _Names(_namespace("record", avro, ""), {})
    names.add("record", avro, None)
    specs = avro.get("fields")
    if not isinstance(specs, list) or not specs:
        raise refused("record, fields", specs, "a list of at least one field")
    fields = tuple(_known_field(f"field {number}", spec, names) for number, spec in enumerate(specs, 1))
    _refuse_duplicates(fields)
    return fields


def _refuse_duplicates(fields: tuple[Field, ...]) -> None:
    seen: set[str] = set()
    for field in fields:
        if field.name in seen:
            raise ConfigurationError(f"field {field.name}: found two of that name; allowed: one")
        seen.add(field.name)


def _known_field(number: str, spec: object, names: _Names) -> Field:
    """A field that was read before is not read again: versions have most of theirs in common."""
    if not isinstance(spec, dict) or not _is_unnamed(spec.get("type")):
        return _read_field(number, spec, names)
    text = repr(spec)
    if text not in _READ:
        if len(_READ) >= _REMEMBERED:
            _READ.clear()
        _READ[text] = _read_field(number, spec, names)
    return _READ[text]


_READ: dict[str, Field] = {}
_REMEMBERED = 4096


def _is_unnamed(kind: object) -> bool:
    """Whether the type means the same in every record."""
    if isinstance(kind, list):
        return all(each == "null" or _is_unnamed(each) for each in kind)
    return (kind.get("type") if isinstance(kind, dict) else kind) in PRIMITIVES


def _read_field(number: str, spec: object, names: _Names) -> Field:
    if not isinstance(spec, dict):
        raise refused(number, spec, 'an object with "name" and "type"')
    if "name" not in spec:
        raise missing(number, "name", "a name in lower snake case")
    name = snake_case(f"{number}, name", spec["name"])
    where = f"field {name}"
    only_known(where, spec, FIELD_PROPERTIES)
    if "type" not in spec:
        raise missing(where, "type", "an Avro type")
    made = _json_type(where, spec, _read_type(where, spec["type"], names))
    private = _private(where, spec, made.kind)
    field = Field(
        name=name,
        kind=made.kind,
        nullable=made.nullable,
        precision=made.precision,
        scale=made.scale,
        symbols=made.symbols,
        max_length=_published_length(where, _max_length(where, spec, made.kind), private),
        from_names=_from_names(where, spec),
        format=_format(where, spec, made.kind),
        aliases=_aliases(where, spec, name),
        private=private,
    )
    if "headwater.casts" in spec:
        field = replace(field, casts=_casts(where, spec, field))
    if "default" in spec:
        field = replace(field, default=_default(where, spec["default"], made, field))
    return field


def _json_type(where: str, spec: Mapping[str, Any], made: _Type) -> _Type:
    if "headwater.json" not in spec:
        return made
    if spec["headwater.json"] is not True or made.kind is not FieldType.STRING:
        raise refused(
            f"{where}, headwater.json", spec["headwater.json"], f"true, on a string; this is {made.kind}"
        )
    return made._replace(kind=FieldType.JSON)


# Types


def _read_type(where: str, given: object, names: _Names) -> _Type:
    if isinstance(given, list):
        return _read_union(where, given, names)
    if isinstance(given, dict):
        return _read_object(where, given, names)
    if isinstance(given, str):
        if given in PRIMITIVES:
            return _Type(FieldType(given), given)
        if found := names.find(given):
            return found
    raise _unknown_type(where, given)


def _unknown_type(where: str, given: object) -> ConfigurationError:
    nested = 'a nested value is a string with "headwater.json": true'
    if isinstance(given, str) and given not in ("null", "record", "array", "map", "fixed"):
        return unknown(f"{where}, type", given, (*PRIMITIVES, "enum", f"[null, one of these]; {nested}"))
    return refused(f"{where}, type", given, f"{', '.join(PRIMITIVES)}, enum, [null, one of these]; {nested}")


def _read_union(where: str, given: list[object], names: _Names) -> _Type:
    if len(given) != 2 or given[0] != "null" or given[1] == "null" or isinstance(given[1], list):
        raise refused(f"{where}, type", given, '["null", X], null first, one X')
    return _read_type(where, given[1], names)._replace(nullable=True)


def _read_object(where: str, given: Mapping[str, Any], names: _Names) -> _Type:
    base = given.get("type")
    if base == "enum":
        return _read_enum(where, given, names)
    if base not in PRIMITIVES:
        raise _unknown_type(where, base)
    logical = given.get("logicalType")
    digits = ("precision", "scale") if logical == "decimal" else ()
    only_known(f"{where}, type", given, ("type", "logicalType", "doc", *digits))
    if "logicalType" not in given:
        return _Type(FieldType(base), base)
    if not isinstance(logical, str) or logical not in LOGICAL_TYPES:
        raise unknown(f"{where}, logicalType", logical, LOGICAL_TYPES)
    if LOGICAL_TYPES[logical] != base:
        raise refused(f"{where}, type of {logical}", base, f'"{LOGICAL_TYPES[logical]}"')
    made = _Type(FieldType(logical), base)
    return _with_digits(where, given, made) if logical == "decimal" else made


def _with_digits(where: str, given: Mapping[str, Any], made: _Type) -> _Type:
    if "precision" not in given:
        raise missing(where, "precision", f"a whole number from 1 to {MAX_PRECISION}")
    precision = _whole(f"{where}, precision", given["precision"], 1, MAX_PRECISION)
    scale = _whole(f"{where}, scale", given.get("scale", 0), 0, precision)
    return made._replace(precision=precision, scale=scale)


def _read_enum(where: str, given: Mapping[str, Any], names: _Names) -> _Type:
    only_known(f"{where}, type", given, ("type", "name", "namespace", "doc", "symbols"))
    symbols = given.get("symbols")
    if not isinstance(symbols, list) or not symbols:
        raise refused(f"{where}, symbols", symbols, "a list of at least one symbol")
    for symbol in symbols:
        if "." in _avro_name(f"{where}, symbols", symbol):
            raise refused(f"{where}, symbols", symbol, "a symbol without dots")
    if len(set(symbols)) < len(symbols):
        raise refused(f"{where}, symbols", symbols, "each symbol once")
    made = _Type(FieldType.ENUM, "enum", symbols=tuple(symbols))
    names.add(f"{where}, type", given, made)
    return made


def _whole(where: str, found: object, low: int, high: int) -> int:
    if type(found) is not int or not low <= found <= high:
        raise refused(where, found, f"a whole number from {low} to {high}")
    return found


# Our own properties


def _max_length(where: str, spec: Mapping[str, Any], kind: FieldType) -> int | None:
    if "maxLength" not in spec:
        return None
    if kind not in (FieldType.STRING, FieldType.BYTES, FieldType.JSON):
        raise refused(f"{where}, maxLength", spec["maxLength"], f"on string and bytes only; this is {kind}")
    return _whole(f"{where}, maxLength", spec["maxLength"], 1, 1_000_000)


def _published_length(where: str, given: int | None, private: Privacy) -> int | None:
    """`maxLength` is of what is published, which for a hash is known."""
    least = {Privacy.PUBLIC: 1, Privacy.MASK: MASKED, Privacy.HASH: HASHED}[private]
    if given is not None and given < least:
        what = f"a {'mask' if private is Privacy.MASK else 'hash'} has up to {least} characters"
        raise refused(f"{where}, maxLength", given, f"{least} or more: {what}, and it is what is published")
    return HASHED if given is None and private is Privacy.HASH else given


def _from_names(where: str, spec: Mapping[str, Any]) -> Mapping[str, str]:
    given = spec.get("from", {})
    names = {ANY_SOURCE: given} if isinstance(given, str) else given
    if not isinstance(names, dict) or ("from" in spec and not names):
        raise refused(f"{where}, from", given, "a name, or an object of a name by source")
    for source, name in names.items():
        if not isinstance(name, str) or not name:
            raise refused(f"{where}, from, {source}", name, "a name")
    return names


def _aliases(where: str, spec: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Names in older versions (Avro specification, "Aliases")."""
    given = spec.get("aliases", [])
    if not isinstance(given, list) or name in given or len({*map(str, given)}) < len(given):
        raise refused(f"{where}, aliases", given, "a list of older names of this field, each once")
    return tuple(snake_case(f"{where}, aliases", alias) for alias in given)


def _casts(where: str, spec: Mapping[str, Any], field: Field) -> tuple[FieldType, ...]:
    given = spec["headwater.casts"]
    if not isinstance(given, list) or not given:
        raise refused(f"{where}, headwater.casts", given, "a list of kinds that the field had")
    for kind in given:
        if kind not in cast_kinds(field):
            raise unknown(f"{where}, headwater.casts", kind, cast_kinds(field))
    return tuple(FieldType(kind) for kind in given)


def _private(where: str, spec: Mapping[str, Any], kind: FieldType) -> Privacy:
    """How the field is hidden; what is dropped is public here, and left out before anybody reads it."""
    if "headwater.private" not in spec:
        return Privacy.PUBLIC
    given = spec["headwater.private"]
    if not isinstance(given, str) or given not in PRIVACY:
        raise unknown(f"{where}, headwater.private", given, PRIVACY)
    if given != DROP and kind is not FieldType.STRING:
        raise refused(
            f"{where}, headwater.private", given, f"{DROP}, or any of them on a string; this is {kind}"
        )
    return PRIVACY[given]


def _format(where: str, spec: Mapping[str, Any], kind: FieldType) -> str | None:
    if "format" not in spec:
        return None
    given = spec["format"]
    if kind == FieldType.BOOLEAN:
        allowed = 'two different texts, true first, as in "Y|N"'
        fits = isinstance(given, str) and len({*given.split("|")} - {""}) == 2 == len(given.split("|"))
    elif "timestamp" in kind:
        allowed = f"a pattern of strptime with a whole date, or {' or '.join(EPOCHS)}"
        fits = given in EPOCHS or fits_strptime(given, "%Y%m%d")
    elif kind == FieldType.DATE:
        allowed = "a pattern of strptime with a whole date"
        fits = fits_strptime(given, "%Y%m%d")
    elif kind.startswith("time-"):
        allowed = "a pattern of strptime with an hour"
        fits = fits_strptime(given, "%H")
    else:
        allowed = f"on dates, times, timestamps and booleans only; this is {kind}"
        fits = False
    if not fits:
        raise refused(f"{where}, format", given, allowed)
    return str(given)


def fits_strptime(pattern: object, what: str) -> bool:
    """Whether a pattern of strptime tells at least `what` of a moment: tried on one, there and back."""
    if not isinstance(pattern, str):
        return False
    moment = datetime(2021, 11, 23, 14, 45, 59, tzinfo=UTC)
    try:
        back = datetime.strptime(moment.strftime(pattern), pattern)  # noqa: DTZ007 - only its parts are compared
    except ValueError:
        return False
    return back.strftime(what) == moment.strftime(what)


def _default(where: str, given: object, made: _Type, field: Field) -> object:
    if made.nullable:
        if given is not None:
            raise refused(f"{where}, default", given, "null: a default is of the union's first type")
        return None
    try:
        if made.kind is FieldType.JSON and canonical_json_of(str(given)) != given:
            raise ValueError
        value = field.unpack(_default_base(given, made, field))
    except (ValueError, PoisonEventError):
        raise refused(
            f"{where}, default", given, f"a value of {made.kind}, as Avro writes defaults"
        ) from None
    return value


def _default_base(given: object, made: _Type, field: Field) -> object:
    """Avro writes a default as JSON of the base type: days for a date, characters 0 to 255 for bytes."""
    if made.base == "enum":
        return field.pack(given)
    if made.base in ("float", "double") and type(given) is int:
        return float(given)
    if made.base == "bytes" and isinstance(given, str):
        given = given.encode("latin-1")
    check, _ = coder(made.base)
    return check(given)
