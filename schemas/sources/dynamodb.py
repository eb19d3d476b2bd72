"""A DynamoDB table, or some of its items, as a source: its properties in entity.toml. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from schemas.catalog.entity import Catalog, Entity
from schemas.errors import ConfigurationError
from schemas.payload.codec import Schema
from schemas.payload.fields import Field, FieldType
from schemas.privacy import Privacy
from schemas.refusals import missing, only_known, refused, unknown
from schemas.sources.kind import RENAMED, Setting, SourceKind, sources_of

TABLE_KEY = "the table's hash attribute and, if it has one, its range attribute"


@dataclass(frozen=True, slots=True)
class DynamoDbSource:
    """A DynamoDB table, or the items of it that `where` selects."""

    name: str
    """`dynamodb:<alias or table>`, unique in the installation."""
    table: str
    where: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Maps an attribute of the item to its exact text, or to a prefix with a trailing `*`. All must match."""
    table_key: tuple[str, ...] = ()
    """The table's own hash attribute and, if it has one, its range attribute."""
    hashed_numbers: tuple[str, ...] = ()
    """Attributes of `table_key` that are numbers in the table but hashed, and so text, in the entity."""

    @property
    def allows_no_key(self) -> bool:
        """False: an item always has a key."""
        return False


class KeyAttribute(NamedTuple):
    """One attribute of a DynamoDB table's own key, as in CreateTable."""

    name: str
    type: Literal["S", "N", "B"]


def key_attributes(entity: Entity, source: DynamoDbSource) -> tuple[KeyAttribute, ...]:
    """Return the key of the table, hash attribute first, with the types that it has in DynamoDB."""
    by_attribute = {key_field.source_name(source.name): key_field for key_field in entity.key_fields}
    return tuple(
        KeyAttribute(name, "N" if name in source.hashed_numbers else _dynamodb_type(by_attribute[name]))
        for name in source.table_key
    )


def _dynamodb_type(key_field: Field) -> Literal["S", "N", "B"]:
    if key_field.kind == FieldType.BYTES:
        return "B"
    if key_field.kind in (FieldType.INT, FieldType.LONG, FieldType.DECIMAL):
        return "N"
    return "N" if (key_field.format or "").startswith("epoch-") else "S"


def entities_of_table(catalog: Catalog, table: str) -> tuple[tuple[Entity, DynamoDbSource], ...]:
    """Return the entities that items of a table may be; empty for a table that no entity names."""
    pairs = sources_of(catalog.entities.values(), DynamoDbSource)
    return tuple(pair for pair in pairs if pair[1].table == table)


def tables(catalog: Catalog) -> dict[str, tuple[KeyAttribute, ...]]:
    """Return every table with its own key, hash attribute first."""
    pairs = sources_of(catalog.entities.values(), DynamoDbSource)
    return {source.table: key_attributes(entity, source) for entity, source in pairs}


def _read(where: str, properties: Mapping[str, Any], schema: Schema) -> DynamoDbSource:
    only_known(where, properties, KIND.properties)
    table = _table_name(f"{where}, dynamodb", properties["dynamodb"])
    name = f"dynamodb:{_table_name(f'{where}, alias', properties.get('alias', table))}"
    key = _table_key(where, properties, name, schema)
    numbers = _hashed_numbers(where, properties, name, key, schema)
    return DynamoDbSource(
        name=name,
        table=table,
        where=_where(where, properties, name, schema),
        table_key=key,
        hashed_numbers=numbers,
    )


def _table_name(where: str, value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", value):
        raise refused(where, value, "the name of a table: 3 to 255 of A-Z, a-z, 0-9, _, - and .")
    return value


def _where(where: str, properties: Mapping[str, Any], source: str, schema: Schema) -> Mapping[str, str]:
    patterns = properties.get("where", {})
    if not isinstance(patterns, dict):
        raise refused(f"{where}, where", patterns, 'attributes with a text, as in { sk = "TEACHER#*" }')
    attributes = {field.name: field.source_name(source) for field in schema.fields}
    by_attribute: dict[str, str] = {}
    for name, pattern in patterns.items():
        attribute = str(attributes.get(name, name))
        if attribute in by_attribute:
            raise refused(f"{where}, where, {name}", pattern, f"one pattern for the attribute {attribute}")
        by_attribute[attribute] = _pattern(f"{where}, where, {name}", pattern)
    return by_attribute


def _pattern(where: str, value: object) -> str:
    if not isinstance(value, str) or value in ("", "*") or "*" in value[:-1]:
        raise refused(where, value, "an exact text, or a prefix with one * at its end")
    return value


def _table_key(where: str, properties: Mapping[str, Any], source: str, schema: Schema) -> tuple[str, ...]:
    """Return the attributes of the table's own key, which must be part of the entity's key."""
    # Otherwise two items could have the same key of the entity, and overwrite each other's row.
    key = [_source_name(schema, name, source) for name in schema.key]
    if "table_key" not in properties and len(key) > 2:
        raise missing(where, "table_key", TABLE_KEY)
    attributes = properties.get("table_key", key)
    if not isinstance(attributes, list) or len(attributes) not in (1, 2):
        raise refused(f"{where}, table_key", attributes, TABLE_KEY)
    for attribute in attributes:
        if attribute not in key:
            raise unknown(f"{where}, table_key: not in the entity's key", attribute, key)
    if attributes[0] == attributes[-1] and len(attributes) == 2:
        raise refused(f"{where}, table_key", attributes, TABLE_KEY)
    _refuse_boolean_key(f"{where}, table_key", attributes, source, schema)
    return tuple(attributes)


def _hashed_numbers(
    where: str, properties: Mapping[str, Any], source: str, key: tuple[str, ...], schema: Schema
) -> tuple[str, ...]:
    """Return the hashed key attributes that are numbers in the table: no schema states their type there."""
    value = properties.get("hashed_numbers", [])
    hashed = {
        key_field.source_name(source) for key_field in schema.fields if key_field.private is Privacy.HASH
    }
    allowed = [attribute for attribute in key if attribute in hashed]
    if not isinstance(value, list) or not all(name in allowed for name in value):
        raise refused(
            f"{where}, hashed_numbers",
            value,
            f"attributes of the table's key that are hashed here: {', '.join(allowed) or 'there are none'}",
        )
    return tuple(value)


def _refuse_boolean_key(where: str, attributes: list[str], source: str, schema: Schema) -> None:
    for key_field in schema.fields:
        name = key_field.source_name(source)
        if key_field.kind == FieldType.BOOLEAN and name in attributes:
            raise refused(where, name, "a text, number or bytes: DynamoDB has no key of booleans")


def _source_name(schema: Schema, name: str, source: str) -> str:
    return next(field.source_name(source) for field in schema.fields if field.name == name)


def _one_key_per_table(entities: Iterable[Entity]) -> None:
    """Refuse two different keys or aliases of one table. Several entities may share a table."""
    known: dict[str, tuple[str, str]] = {}
    for entity, source in sources_of(entities, DynamoDbSource):
        key = ", ".join(
            f"{attribute.name} ({attribute.type})" for attribute in key_attributes(entity, source)
        )
        for subject, description in (
            (f"table {source.table}", f"{source.name} with key {key}"),
            (f"source {source.name}", f"table {source.table}"),
        ):
            first, before = known.setdefault(subject, (entity.name, description))
            if before != description:
                both = f"{before} in {first}, {description} in {entity.name}"
                raise ConfigurationError(f"{subject}: found {both}; allowed: the same in both")


SETTINGS = (
    Setting(
        "dynamodb",
        "the name stays, by `alias`; the streams' labels order the tables",
        ("table changed",),
        value=lambda source: source.table,
    ),
    Setting("alias", "the source's name is part of the hash of every key", RENAMED),
    Setting(
        "where",
        "decides which items are rows",
        ("selection changed",),
        value=lambda source: dict(source.where),
    ),
    Setting("table_key", "compared with every record; the key of a row is `key`"),
    Setting("hashed_numbers", "used only by the local runtime, to create the table"),
)

KIND = SourceKind(
    name="dynamodb",
    value="<table>",
    type=DynamoDbSource,
    settings=SETTINGS,
    read=_read,
    check_together=_one_key_per_table,
)
