"""What the staging tables are called and made of, whatever the engine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.entity import Entity
from schemas.errors import ConfigurationError

KEY_HASH = "_key_hash"
SYSTEM_COLUMNS = (
    "_rank",
    "_event_id",
    "_deleted",
    "_source",
    "_occurred_at",
    "_schema_version",
    "_applied_at",
)
"""In this order after the business columns; `_key_hash`, the primary key, stands before them."""


@dataclass(frozen=True, slots=True)
class StagingTable:
    """Names and columns of one entity's tables and views. `prefix` stands before each name: where an engine
    has schemas it ends with a dot."""

    entity: Entity
    prefix: str = "staging_"

    @property
    def business_columns(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.entity.schema.fields)

    @property
    def columns(self) -> tuple[str, ...]:
        return (KEY_HASH, *self.business_columns, *SYSTEM_COLUMNS)

    @property
    def view(self) -> str:
        return f"{self.prefix}{self.entity.name}"

    def physical(self, revision: int) -> str:
        return f"{self.view}__r{revision}"

    def as_of_view(self, name: str) -> str:
        return f"{self.view}__as_of_{name}"


class StagingTables:
    """The tables of a catalog's entities, in name order. schemas/ takes only names that SQL takes."""

    def __init__(self, entities: Iterable[Entity], prefix: str = "staging_") -> None:
        self._tables = {
            entity.name: StagingTable(entity, prefix)
            for entity in sorted(entities, key=lambda entity: entity.name)
        }

    def __getitem__(self, entity: str) -> StagingTable:
        """Raises ConfigurationError for an entity that is not in the catalog."""
        if entity not in self._tables:
            raise ConfigurationError(f"no entity {entity!r}; there are: {', '.join(self._tables)}")
        return self._tables[entity]

    def __iter__(self) -> Iterator[StagingTable]:
        return iter(self._tables.values())
