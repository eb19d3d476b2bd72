"""Entities: what Headwater knows of each kind of row, and where its rows come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from schemas.catalog.drift import Unknown
from schemas.errors import ConfigurationError, PoisonEventError
from schemas.evolution.evolution import Column, Evolution
from schemas.payload.codec import Schema, SchemaRegistry
from schemas.payload.fields import Field, FieldType
from schemas.refusals import unknown

HISTORY_COLUMNS = ("valid_from", "valid_to", "operation", "event_id", "ended_by", "ended_by_event_id")
"""Of the view of an entity's history, before its fields: none of those may be called so."""


class Mode(StrEnum):
    """What a file of a feed says: more facts, the present state of some keys, or of all keys."""

    APPEND = "append"
    UPSERT = "upsert"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class DynamoDbSource:
    """A DynamoDB table, or the items of it that `where` selects."""

    name: str
    """`dynamodb:<alias or table>`, unique in the installation."""
    table: str
    where: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Attribute of the item to its exact text, or to a prefix with a trailing `*`. All must hold."""
    table_key: tuple[str, ...] = ()
    """The table's own hash attribute and, if it has one, its range attribute."""
    hashed_numbers: tuple[str, ...] = ()
    """Those of them that are numbers there and hashed, hence text, here."""


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A feed of CSV files under drop/<feed>/."""

    name: str
    """`csv:<feed>`, unique in the installation."""
    feed: str
    mode: Mode
    encoding: str = "utf-8"
    delimiter: str = ","
    header: Literal[True] | tuple[str, ...] = True
    """True: the first row names the columns. Names: the files have no such row, these are their columns."""
    effective: str | None = None
    """The pattern of strptime that finds a date in a file's name; without it the last upload wins."""
    trim: bool = False
    """Whether blanks around a value are left out."""
    min_rows: int = 1
    """A snapshot of fewer rows sweeps nothing."""
    reject_limit: float | int | None = None
    """Rejected rows that a file may have: a number of rows (int) or a share of them (float, 0 to 1)."""
    quoting: bool = True
    """Whether quotes enclose text, as in RFC 4180; without it they are characters like any other."""
    skip_lines: int = 0
    """Lines above the header that are no rows."""
    older_files: bool = False
    """Whether files with the columns of an older version are taken, with the defaults of later fields."""
    max_deleted: float | int = 0.2
    """Rows that a snapshot may delete: a number (int), or a share of them (float, 0 to 1) beyond ten."""


Source: TypeAlias = DynamoDbSource | CsvSource


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of row. `key` names its key fields; it is empty for facts known by file and row alone."""

    name: str
    key: tuple[str, ...]
    sources: tuple[Source, ...]
    schema: Schema
    prefer: tuple[str, ...] = ()
    """Source names, best first: the view shows one row per key. Empty: it shows the rows of all sources."""
    older: tuple[Schema, ...] = ()
    """Versions before `schema`, the oldest first."""
    unknown: Unknown = Unknown.REPORT
    """What becomes of attributes and columns that no version names."""
    history: bool = False
    """Whether every version of every row is kept, for the view `history.<entity>`."""
    evolution: Evolution = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "evolution", Evolution((*self.older, self.schema)))

    @property
    def versions(self) -> tuple[Schema, ...]:
        """Every version, the oldest first."""
        return self.evolution.versions

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of the staging table: the fields of all versions."""
        return self.evolution.columns

    def until(self, fingerprint: bytes) -> "Entity":
        """As it was when this version was the newest."""
        *older, schema = self.evolution.until(fingerprint).versions
        return replace(self, key=schema.key, schema=schema, older=tuple(older))

    def refuse_newer(self, schema: Schema) -> None:
        """Raise ConfigurationError for a version newer than all that are known here: nobody reads down."""
        if schema.version > self.schema.version:
            raise ConfigurationError(
                f"entity {self.name}: an event of schema version {schema.version} has come, and version "
                f"{self.schema.version} is the newest known here: give this process the newer one first"
            )

    @property
    def key_fields(self) -> tuple[Field, ...]:
        """The fields of the key, in the key's order."""
        by_name = {each.name: each for each in self.schema.fields}
        return tuple(by_name[name] for name in self.key)


class KeyAttribute(NamedTuple):
    """One attribute of a DynamoDB table's own key, as CreateTable wants it."""

    name: str
    type: Literal["S", "N", "B"]


def key_attributes(entity: Entity, source: DynamoDbSource) -> tuple[KeyAttribute, ...]:
    """The table's key, hash attribute first, with the types that the entity's key fields have in DynamoDB."""
    by_attribute = {each.source_name(source.name): each for each in entity.key_fields}
    return tuple(
        KeyAttribute(name, "N" if name in source.hashed_numbers else _dynamodb_type(by_attribute[name]))
        for name in source.table_key
    )


def _dynamodb_type(made: Field) -> Literal["S", "N", "B"]:
    if made.kind == FieldType.BYTES:
        return "B"
    if made.kind in (FieldType.INT, FieldType.LONG, FieldType.DECIMAL):
        return "N"
    return "N" if (made.format or "").startswith("epoch-") else "S"


@dataclass(frozen=True, slots=True)
class Catalog:
    """All entities, in the order of their names, and their schemas by fingerprint."""

    entities: Mapping[str, Entity]
    registry: SchemaRegistry

    def entity(self, name: str) -> Entity:
        """Raises ConfigurationError that tells the nearest name."""
        found = self.entities.get(name)
        if found is None:
            raise unknown("entity", name, self.entities)
        return found

    def entity_of(self, schema: Schema) -> Entity:
        """The entity whose events this schema is for.

        Raises PoisonEventError, cause "schema", where there is none of that name; ConfigurationError for a
        version that is newer than all that are known here: nobody reads down.
        """
        found = self.entities.get(schema.entity)
        if found is None:
            raise PoisonEventError(f"no entity {schema.entity} is known here", "schema")
        found.refuse_newer(schema)
        return found

    def for_table(self, table: str) -> tuple[tuple[Entity, DynamoDbSource], ...]:
        """The entities that a table's items may be; none for a table that no entity names."""
        return tuple(pair for pair in self._dynamodb() if pair[1].table == table)

    def for_feed(self, feed: str) -> tuple[Entity, CsvSource] | None:
        """The one entity that a feed's rows are; None for a feed that no entity names."""
        return next((pair for pair in self._csv() if pair[1].feed == feed), None)

    def tables(self) -> dict[str, tuple[KeyAttribute, ...]]:
        """Each DynamoDB table with its own key, hash attribute first."""
        return {source.table: key_attributes(entity, source) for entity, source in self._dynamodb()}

    def feeds(self) -> tuple[str, ...]:
        """The feeds of CSV files."""
        return tuple(source.feed for _, source in self._csv())

    def _dynamodb(self) -> list[tuple[Entity, DynamoDbSource]]:
        every = self.entities.values()
        return [(entity, s) for entity in every for s in entity.sources if isinstance(s, DynamoDbSource)]

    def _csv(self) -> list[tuple[Entity, CsvSource]]:
        every = self.entities.values()
        return [(entity, s) for entity in every for s in entity.sources if isinstance(s, CsvSource)]
