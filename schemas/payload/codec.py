"""Payload schemas, and the strict and exact encoding of values as bytes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastavro import parse_schema
from fastavro.schema import to_parsing_canonical_form

from schemas.errors import ConfigurationError, LogIntegrityError, PoisonEventError
from schemas.payload.avro import read_avro, write_avro
from schemas.payload.avsc import ADDED_PROPERTIES, DROPPED_PROPERTY, RECORD_PROPERTIES, read_fields
from schemas.payload.fields import NO_DEFAULT, Field
from schemas.payload.fingerprint import fingerprint
from schemas.payload.values import Pack, Unpack, identity
from schemas.privacy import DROP
from schemas.refusals import only_known, refused


@dataclass(frozen=True, slots=True)
class Schema:
    """One version of an entity's payload.

    Derived from its Avro record alone, which contains entity, version and key. Two schemas are equal if these
    and the fingerprint are equal.
    """

    avro: Mapping[str, Any] = field(compare=False, repr=False)
    entity: str = field(init=False)
    version: int = field(init=False)
    key: tuple[str, ...] = field(init=False)
    fields: tuple[Field, ...] = field(init=False, compare=False, repr=False)
    dropped: Mapping[str, Any] = field(init=False, compare=False, repr=False)
    """Fields that never leave their source, as a mapping of name to `from`."""
    fingerprint: bytes = field(init=False)
    _codec: Any = field(init=False, compare=False, repr=False)
    _packers: tuple[tuple[str, Pack], ...] = field(init=False, compare=False, repr=False)
    _unpackers: tuple[tuple[str, Unpack], ...] = field(init=False, compare=False, repr=False)
    _defaults: Mapping[str, object] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        fields = read_fields(self.avro)
        for name, value in {
            "entity": self.avro["headwater.entity"],
            "version": self.avro["headwater.version"],
            "key": tuple(self.avro["headwater.key"]),
            "fields": fields,
            "dropped": self.avro.get(DROPPED_PROPERTY, {}),
            "fingerprint": fingerprint(self.avro),
            # The canonical form drops logical types. Values are reduced to base types before fastavro sees
            # them (schemas.payload.values).
            "_codec": parse_schema(json.loads(to_parsing_canonical_form({**self.avro}))),
            "_packers": tuple((f.name, f.pack) for f in fields),
            "_unpackers": tuple((f.name, f.unpack) for f in fields if f.unpack is not identity),
            "_defaults": {f.name: f.default for f in fields if f.default is not NO_DEFAULT},
        }.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen

    def encode(self, values: Mapping[str, object]) -> bytes:
        """Return the Avro bytes of the values. Equal values give equal bytes (INV-5).

        A field that is left out takes its default. Raises PoisonEventError, naming field and rule, for a
        value that does not fit exactly, a missing field without a default, and a name that the schema does
        not have.
        """
        if len(values) != len(self._packers):
            values = {**self._defaults, **values}
        # The fast path only detects that a record is wrong; _broken_rule then determines what is wrong.
        try:
            packed = {name: pack(values[name]) for name, pack in self._packers}
        except (ValueError, KeyError):
            packed = {}
        if not packed or len(values) != len(packed):
            raise PoisonEventError(self._broken_rule(values))
        return self.write(packed)

    def write(self, packed: Mapping[str, object]) -> bytes:
        """Return the Avro bytes of values that were already packed by the fields' `pack`."""
        return write_avro(self._codec, packed)

    def _broken_rule(self, values: Mapping[str, object]) -> str:
        """Return the first field and rule that the values break."""
        complete = {**self._defaults, **values}
        for schema_field in self.fields:
            if schema_field.name not in complete:
                return f"{self.entity}: field {schema_field.name}: has no value and no default"
            try:
                schema_field.pack(complete[schema_field.name])
            except ValueError as broken_rule:
                return f"{self.entity}: field {schema_field.name}: {broken_rule}"
        unknown = sorted(
            str(name) for name in complete.keys() - {schema_field.name for schema_field in self.fields}
        )
        return f"{self.entity}: the schema has no field {', '.join(unknown)}"

    def decode(self, payload: bytes) -> dict[str, object]:
        """Return the values of all fields, in the order of the schema.

        Raises PoisonEventError for bytes that end too early or too late, or that encode no valid value.
        """
        values = read_avro(self._codec, payload, 0, len(payload))
        name = ""
        try:
            for name, unpack in self._unpackers:
                values[name] = unpack(values[name])
        except ValueError as broken_rule:
            reason = f"{self.entity}: field {name}: {broken_rule}"
        else:
            return values
        # Raised outside the handler, so that the ValueError is not its context (INV-7).
        raise PoisonEventError(reason)


def make_schema(entity: str, version: int, key: Sequence[str], avro: Mapping[str, Any]) -> Schema:
    """Return the schema of an entity, given its plain Avro record. Raises ConfigurationError."""
    only_known("record", avro, RECORD_PROPERTIES)
    read_fields(avro)  # dropped fields are checked here: the schema below does not contain them
    return schema_of_checked(entity, version, key, avro)


def schema_of_checked(entity: str, version: int, key: Sequence[str], avro: Mapping[str, Any]) -> Schema:
    """Return the same as `make_schema`, for a record that `read_fields` has accepted already."""
    dropped = {spec["name"]: spec.get("from", spec["name"]) for spec in avro["fields"] if _is_dropped(spec)}
    added: dict[str, Any] = dict(zip(ADDED_PROPERTIES, (entity, version, list(key)), strict=True))
    if dropped:
        fields = [spec for spec in avro["fields"] if not _is_dropped(spec)]
        if not fields:
            raise refused(f"v{version}.avsc, fields", list(dropped), "at least one that is not dropped")
        added |= {"fields": fields, DROPPED_PROPERTY: dropped}
    return Schema({**avro, **added})


def _is_dropped(spec: Mapping[str, Any]) -> bool:
    return spec.get("headwater.private") == DROP


def schema_document(schema: Schema) -> bytes:
    """Return the schema as the log stores it: Avro JSON that any Avro reader accepts.

    Entity, version and key are properties of the record, so that S3 alone is enough (INV-6).
    """
    return json.dumps(schema.avro, ensure_ascii=False, indent=2).encode() + b"\n"


def schema_from_document(document: bytes) -> Schema:
    """Return the schema of a document: the inverse of `schema_document`.

    Raises LogIntegrityError for a document that Headwater did not write.
    """
    try:
        avro = json.loads(document)
        return Schema(avro)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ConfigurationError) as error:
        raise LogIntegrityError(f"not a schema of Headwater: {error}") from error


def schema_log_key(fingerprint: bytes) -> str:
    """Return the key under which the log stores the schema of a fingerprint."""
    return f"log/_schemas/{fingerprint.hex()}.avsc"


class SchemaRegistry:
    """Schemas by fingerprint."""

    def __init__(self, schemas: Sequence[Schema] = ()) -> None:
        self._schemas = {schema.fingerprint: schema for schema in schemas}

    def add(self, schema: Schema) -> None:
        self._schemas[schema.fingerprint] = schema

    def find(self, fingerprint: bytes) -> Schema:
        """Return the schema of a fingerprint.

        Raises PoisonEventError with cause "schema" if it is unknown: the event may be valid.
        """
        try:
            return self._schemas[fingerprint]
        except KeyError:
            reason = f"no schema has the fingerprint {fingerprint.hex()}"
        raise PoisonEventError(reason, "schema")
