"""The subset of Avro record schemas that Headwater accepts, and its own properties of a field.

Every error is a ConfigurationError that names the field, the value that was found, and what is allowed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from schemas.errors import ConfigurationError, PoisonEventError
from schemas.payload.conversions import cast_kinds
from schemas.payload.fields import ANY_SOURCE, Field, FieldType, canonical_json_of, fits_strptime
from schemas.payload.fingerprint import full_name
from schemas.payload.values import coder
from schemas.privacy import DROP, HASHED, MASKED, PRIVACY, Privacy
from schemas.refusals import missing, only_known, refused, snake_case, unknown

MAX_PRECISION = 38
"""Most digits of a decimal in SQL Server."""

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
"""Properties of the record that the loader adds. A file must not contain them."""
DROPPED_PROPERTY = "headwater.dropped"
"""Record property that names the dropped fields: name to `from`."""


class _Type(NamedTuple):
    kind: FieldType
    base: str
    nullable: bool = False
    precision: int = 0
    scale: int = 0
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Names:
    """The named types of one record so far. Avro defines each once and then refers to it by name."""

    namespace: str
    types: dict[str, _Type | None]
    """None marks the record itself, since a field cannot have the type of its own record."""

    def find(self, name: str) -> _Type | None:
        return self.types.get(full_name(name, self.namespace))

    def add(self, where: str, spec: Mapping[str, Any], named_type: _Type | None) -> None:
        name = _avro_name(f"{where}, name", spec.get("name"))
        full = full_name(name, _namespace(where, spec, self.namespace))
        if full in self.types:
            raise refused(f"{where}, name", name, "a name that no other type of this record has")
        self.types[full] = named_type


def _namespace(where: str, spec: Mapping[str, Any], enclosing: str) -> str:
    namespace = spec.get("namespace", enclosing)
    return "" if namespace == "" else _avro_name(f"{where}, namespace", namespace)


def _avro_name(where: str, name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII):
        raise refused(where, name, "an Avro name: a letter or _ first, then letters, digits and _")
    return name


def read_fields(avro: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the fields of an Avro record schema.

    Raises ConfigurationError for anything outside the accepted subset.
    """
    only_known("record", avro, (*RECORD_PROPERTIES, *ADDED_PROPERTIES, DROPPED_PROPERTY))
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
    """Return the field of a specification, from a cache if an equal one was read before."""
    # Consecutive versions have most fields in common, and comparing them is fast if equal fields are one
    # object (schemas.evolution.evolution). A named type depends on the record around it, so it is not cached.
    if not isinstance(spec, dict) or not _is_unnamed(spec.get("type")):
        return _read_field(number, spec, names)
    text = repr(spec)
    if text not in _READ:
        if len(_READ) >= _MAX_READ:
            _READ.clear()
        _READ[text] = _read_field(number, spec, names)
    return _READ[text]


_READ: dict[str, Field] = {}
_MAX_READ = 4096


def _is_unnamed(kind: object) -> bool:
    """Return whether the type has the same meaning in every record."""
    if isinstance(kind, list):
        return all(branch == "null" or _is_unnamed(branch) for branch in kind)
    return (kind.get("type") if isinstance(kind, dict) else kind) in PRIMITIVES


def _read_field(number: str, spec: object, names: _Names) -> Field:
    if not isinstance(spec, dict):
        raise refused(number, spec, 'an object with "name" and "type"')
    if "name" not in spec:
        raise missing(number, "name", "a name in lower snake case")
    name = snake_case(f"{number}, name", spec["name"])  # from here on errors can name the field
    where = f"field {name}"
    only_known(where, spec, FIELD_PROPERTIES)
    if "type" not in spec:
        raise missing(where, "type", "an Avro type")
    avro_type = _json_type(where, spec, _read_type(where, spec["type"], names))
    private = _private(where, spec, avro_type.kind)
    field = Field(
        name=name,
        kind=avro_type.kind,
        nullable=avro_type.nullable,
        precision=avro_type.precision,
        scale=avro_type.scale,
        symbols=avro_type.symbols,
        max_length=_published_length(where, _max_length(where, spec, avro_type.kind), private),
        from_names=_from_names(where, spec),
        format=_format(where, spec, avro_type.kind),
        aliases=_aliases(where, spec, name),
        private=private,
    )
    # Casts and the default depend on the rest of the field.
    if "headwater.casts" in spec:
        field = replace(field, casts=_casts(where, spec, field))
    if "default" in spec:
        field = replace(field, default=_default(where, spec["default"], avro_type, field))
    return field


def _json_type(where: str, spec: Mapping[str, Any], avro_type: _Type) -> _Type:
    if "headwater.json" not in spec:
        return avro_type
    if spec["headwater.json"] is not True or avro_type.kind is not FieldType.STRING:
        raise refused(
            f"{where}, headwater.json", spec["headwater.json"], f"true, on a string; this is {avro_type.kind}"
        )
    return avro_type._replace(kind=FieldType.JSON)


# Types


def _read_type(where: str, spec: object, names: _Names) -> _Type:
    if isinstance(spec, list):
        return _read_union(where, spec, names)
    if isinstance(spec, dict):
        return _read_object(where, spec, names)
    if isinstance(spec, str):
        if spec in PRIMITIVES:
            return _Type(FieldType(spec), spec)
        if named_type := names.find(spec):
            return named_type
    raise _unknown_type(where, spec)


def _unknown_type(where: str, spec: object) -> ConfigurationError:
    nested = 'a nested value is a string with "headwater.json": true'
    if isinstance(spec, str) and spec not in ("null", "record", "array", "map", "fixed"):
        return unknown(f"{where}, type", spec, (*PRIMITIVES, "enum", f"[null, one of these]; {nested}"))
    return refused(f"{where}, type", spec, f"{', '.join(PRIMITIVES)}, enum, [null, one of these]; {nested}")


def _read_union(where: str, union: list[object], names: _Names) -> _Type:
    if len(union) != 2 or union[0] != "null" or union[1] == "null" or isinstance(union[1], list):
        raise refused(f"{where}, type", union, '["null", X], null first, one X')
    return _read_type(where, union[1], names)._replace(nullable=True)


def _read_object(where: str, spec: Mapping[str, Any], names: _Names) -> _Type:
    base = spec.get("type")
    if base == "enum":
        return _read_enum(where, spec, names)
    if base not in PRIMITIVES:
        raise _unknown_type(where, base)
    logical = spec.get("logicalType")
    digits = ("precision", "scale") if logical == "decimal" else ()
    only_known(f"{where}, type", spec, ("type", "logicalType", "doc", *digits))
    if "logicalType" not in spec:
        return _Type(FieldType(base), base)
    if not isinstance(logical, str) or logical not in LOGICAL_TYPES:
        raise unknown(f"{where}, logicalType", logical, LOGICAL_TYPES)
    if LOGICAL_TYPES[logical] != base:
        raise refused(f"{where}, type of {logical}", base, f'"{LOGICAL_TYPES[logical]}"')
    avro_type = _Type(FieldType(logical), base)
    return _with_digits(where, spec, avro_type) if logical == "decimal" else avro_type


def _with_digits(where: str, spec: Mapping[str, Any], avro_type: _Type) -> _Type:
    if "precision" not in spec:
        raise missing(where, "precision", f"a whole number from 1 to {MAX_PRECISION}")
    precision = _whole(f"{where}, precision", spec["precision"], 1, MAX_PRECISION)
    scale = _whole(f"{where}, scale", spec.get("scale", 0), 0, precision)
    return avro_type._replace(precision=precision, scale=scale)


def _read_enum(where: str, spec: Mapping[str, Any], names: _Names) -> _Type:
    only_known(f"{where}, type", spec, ("type", "name", "namespace", "doc", "symbols"))
    symbols = spec.get("symbols")
    if not isinstance(symbols, list) or not symbols:
        raise refused(f"{where}, symbols", symbols, "a list of at least one symbol")
    for symbol in symbols:
        if "." in _avro_name(f"{where}, symbols", symbol):
            raise refused(f"{where}, symbols", symbol, "a symbol without dots")
    if len(set(symbols)) < len(symbols):
        raise refused(f"{where}, symbols", symbols, "each symbol once")
    enum = _Type(FieldType.ENUM, "enum", symbols=tuple(symbols))
    names.add(f"{where}, type", spec, enum)
    return enum


def _whole(where: str, number: object, low: int, high: int) -> int:
    if type(number) is not int or not low <= number <= high:
        raise refused(where, number, f"a whole number from {low} to {high}")
    return number


# Our own properties


def _max_length(where: str, spec: Mapping[str, Any], kind: FieldType) -> int | None:
    if "maxLength" not in spec:
        return None
    if kind not in (FieldType.STRING, FieldType.BYTES, FieldType.JSON):
        raise refused(f"{where}, maxLength", spec["maxLength"], f"on string and bytes only; this is {kind}")
    return _whole(f"{where}, maxLength", spec["maxLength"], 1, 1_000_000)


def _published_length(where: str, declared: int | None, private: Privacy) -> int | None:
    """Return the maximum length of the published value: of a hashed field, that of its hash."""
    minimum = {Privacy.PUBLIC: 1, Privacy.MASK: MASKED, Privacy.HASH: HASHED}[private]
    if declared is not None and declared < minimum:
        what = f"a {'mask' if private is Privacy.MASK else 'hash'} has up to {minimum} characters"
        raise refused(
            f"{where}, maxLength", declared, f"{minimum} or more: {what}, and it is what is published"
        )
    return HASHED if declared is None and private is Privacy.HASH else declared


def _from_names(where: str, spec: Mapping[str, Any]) -> Mapping[str, str]:
    declared = spec.get("from", {})
    names = {ANY_SOURCE: declared} if isinstance(declared, str) else declared
    if not isinstance(names, dict) or ("from" in spec and not names):
        raise refused(f"{where}, from", declared, "a name, or an object of a name by source")
    for source, name in names.items():
        if not isinstance(name, str) or not name:
            raise refused(f"{where}, from, {source}", name, "a name")
    return names


def _aliases(where: str, spec: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the names of the field in older versions (Avro specification, "Aliases")."""
    aliases = spec.get("aliases", [])
    if not isinstance(aliases, list) or name in aliases or len({*map(str, aliases)}) < len(aliases):
        raise refused(f"{where}, aliases", aliases, "a list of older names of this field, each once")
    return tuple(snake_case(f"{where}, aliases", alias) for alias in aliases)


def _casts(where: str, spec: Mapping[str, Any], field: Field) -> tuple[FieldType, ...]:
    kinds = spec["headwater.casts"]
    if not isinstance(kinds, list) or not kinds:
        raise refused(f"{where}, headwater.casts", kinds, "a list of kinds that the field had")
    for kind in kinds:
        if kind not in cast_kinds(field):
            raise unknown(f"{where}, headwater.casts", kind, cast_kinds(field))
    return tuple(FieldType(kind) for kind in kinds)


def _private(where: str, spec: Mapping[str, Any], kind: FieldType) -> Privacy:
    """Return how the field is hidden, PUBLIC for a dropped one: it is removed before anything reads it."""
    if "headwater.private" not in spec:
        return Privacy.PUBLIC
    privacy = spec["headwater.private"]
    if not isinstance(privacy, str) or privacy not in PRIVACY:
        raise unknown(f"{where}, headwater.private", privacy, PRIVACY)
    if privacy != DROP and kind is not FieldType.STRING:
        raise refused(
            f"{where}, headwater.private", privacy, f"{DROP}, or any of them on a string; this is {kind}"
        )
    return PRIVACY[privacy]


def _format(where: str, spec: Mapping[str, Any], kind: FieldType) -> str | None:
    if "format" not in spec:
        return None
    pattern = spec["format"]
    if kind == FieldType.BOOLEAN:
        allowed = 'two different texts, true first, as in "Y|N"'
        fits = isinstance(pattern, str) and len({*pattern.split("|")} - {""}) == 2 == len(pattern.split("|"))
    elif "timestamp" in kind:
        allowed = f"a pattern of strptime with a whole date, or {' or '.join(EPOCHS)}"
        fits = pattern in EPOCHS or fits_strptime(pattern, "%Y%m%d")
    elif kind == FieldType.DATE:
        allowed = "a pattern of strptime with a whole date"
        fits = fits_strptime(pattern, "%Y%m%d")
    elif kind.startswith("time-"):
        allowed = "a pattern of strptime with an hour"
        fits = fits_strptime(pattern, "%H")
    else:
        allowed = f"on dates, times, timestamps and booleans only; this is {kind}"
        fits = False
    if not fits:
        raise refused(f"{where}, format", pattern, allowed)
    return str(pattern)


def _default(where: str, default: object, avro_type: _Type, field: Field) -> object:
    # Avro requires a default of the first type of a union, and _read_union has required null first.
    if avro_type.nullable:
        if default is not None:
            raise refused(f"{where}, default", default, "null: a default is of the union's first type")
        return None
    try:
        # Only canonical JSON: the default must equal the same value from a source.
        if avro_type.kind is FieldType.JSON and canonical_json_of(str(default)) != default:
            raise ValueError
        value = field.unpack(_default_base(default, avro_type, field))
    except (ValueError, PoisonEventError):
        raise refused(
            f"{where}, default", default, f"a value of {avro_type.kind}, as Avro writes defaults"
        ) from None
    return value


def _default_base(default: object, avro_type: _Type, field: Field) -> object:
    """Return a default as a value of Avro's base type.

    Avro writes defaults in JSON: the days of a date as a number, bytes as characters 0 to 255.
    """
    if avro_type.base == "enum":
        return field.pack(default)
    if avro_type.base in ("float", "double") and type(default) is int:
        return float(default)
    if avro_type.base == "bytes" and isinstance(default, str):
        default = default.encode("latin-1")
    # The base type's own check: the field's `pack` would take a date, not the number of its days.
    check, _ = coder(avro_type.base)
    return check(default)
