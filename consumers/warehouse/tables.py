"""What the staging tables are called and made of, whatever the engine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from consumers.warehouse.port import Row
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.payload.fields import Field, FieldType

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


_TEXT = (FieldType.STRING, FieldType.ENUM, FieldType.JSON)


@dataclass(frozen=True, slots=True)
class StagingTable:
    """Names and columns of one entity's tables and views. `prefix` stands before each name: where an engine
    has schemas it ends with a dot."""

    entity: Entity
    prefix: str = "staging_"

    @property
    def fields(self) -> tuple[Field, ...]:
        """Of the business columns, under the names of the SQL columns."""
        return tuple(column.stored for column in self.entity.columns)

    @property
    def business_columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.entity.columns)

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """What the view shows: SQL column and the name that readers see."""
        business = [(column.name, column.field.name) for column in self.entity.columns]
        return (*business, ("_source", "_source"))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The SQL columns of the key."""
        names = {column.field.name: column.name for column in self.entity.columns}
        return tuple(names[name] for name in self.entity.key)

    @property
    def texts(self) -> frozenset[str]:
        """The business columns that are text to T-SQL. A date or a decimal, which SQLite stores as text, is
        none."""
        return frozenset(field.name for field in self.fields if field.kind in _TEXT)

    def until(self, fingerprint: bytes) -> "StagingTable":
        """As it was when this version of the schema was the newest."""
        return replace(self, entity=self.entity.until(fingerprint))

    def added_since(self, older: "StagingTable") -> list[Field]:
        """Fields of the columns that the older table has not got."""
        there = set(older.business_columns)
        return [field for field in self.fields if field.name not in there]

    def rows_onto(self, newer: "StagingTable", rows: Iterable[Row]) -> Iterator[Row]:
        """Rows of this table as those of the table of more versions; none is changed where it is the same."""
        if newer is self:
            yield from rows
            return
        project, names = self.entity.evolution.onto(newer.entity.evolution), self.business_columns
        for row in rows:
            yield row._replace(values=project(dict(zip(names, row.values, strict=True))))

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
