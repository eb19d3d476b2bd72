"""Entities: what Headwater knows of each kind of row, and where its rows come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from schemas.catalog.drift import Unknown
from schemas.errors import ConfigurationError, PoisonEventError
from schemas.evolution.evolution import Column, Evolution
from schemas.payload.codec import Schema, SchemaRegistry
from schemas.payload.fields import Field
from schemas.refusals import unknown
from schemas.sources.kind import Source

HISTORY_COLUMNS = ("valid_from", "valid_to", "operation", "event_id", "ended_by", "ended_by_event_id")
"""Of the view of an entity's history, before its fields: none of those may be called so."""


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
