"""Entities: the kinds of rows, with their keys, schema versions and sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from schemas.catalog.drift import Unknown
from schemas.errors import ConfigurationError, PoisonEventError
from schemas.evolution.evolution import Column, Evolution
from schemas.payload.codec import Schema, SchemaRegistry
from schemas.payload.fields import Field
from schemas.refusals import unknown
from schemas.sources.source import Source

HISTORY_COLUMNS = ("valid_from", "valid_to", "operation", "event_id", "ended_by", "ended_by_event_id")
"""Columns of an entity's history view before its fields, which must have other names."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of row.

    `key` names its key fields. It is empty for facts that are identified by file and row alone.
    """

    name: str
    key: tuple[str, ...]
    sources: tuple[Source, ...]
    schema: Schema
    prefer: tuple[str, ...] = ()
    """Source names, best first: the view shows one row per key. Empty: it shows the rows of all sources."""
    older: tuple[Schema, ...] = ()
    """Versions before `schema`, the oldest first."""
    unknown: Unknown = Unknown.REPORT
    """What to do about attributes and columns that no version names."""
    history: bool = False
    """True if every version of every row is kept, for the view `history.<entity>`."""
    evolution: Evolution = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "evolution", Evolution((*self.older, self.schema)))

    @property
    def versions(self) -> tuple[Schema, ...]:
        """Every version, the oldest first."""
        return self.evolution.versions

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the staging table: the fields of all versions."""
        return self.evolution.columns

    def until(self, fingerprint: bytes) -> "Entity":
        """Return the entity as it was when this version was the newest."""
        *older, schema = self.evolution.until(fingerprint).versions
        return replace(self, key=schema.key, schema=schema, older=tuple(older))

    def refuse_newer(self, schema: Schema) -> None:
        """Raise ConfigurationError for a version that is newer than all known here."""
        # A newer event cannot be converted to an older version without losing fields.
        if schema.version > self.schema.version:
            raise ConfigurationError(
                f"entity {self.name}: received an event of schema version {schema.version}, and version "
                f"{self.schema.version} is the newest known here: deploy the newer version here first"
            )

    @property
    def key_fields(self) -> tuple[Field, ...]:
        """The fields of the key, in the order of the key."""
        by_name = {field.name: field for field in self.schema.fields}
        return tuple(by_name[name] for name in self.key)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All entities, in the order of their names, and their schemas by fingerprint."""

    entities: Mapping[str, Entity]
    registry: SchemaRegistry

    def entity(self, name: str) -> Entity:
        """Return the entity of this name. Raises ConfigurationError that suggests the most similar name."""
        entity = self.entities.get(name)
        if entity is None:
            raise unknown("entity", name, self.entities)
        return entity

    def entity_of(self, schema: Schema) -> Entity:
        """Return the entity whose events have this schema.

        Raises PoisonEventError with cause "schema" for an unknown entity, and ConfigurationError for a
        version that is newer than all known here.
        """
        entity = self.entities.get(schema.entity)
        if entity is None:
            raise PoisonEventError(f"no entity {schema.entity} is known here", "schema")
        entity.refuse_newer(schema)
        return entity
