"""Names and columns of the staging tables, for every engine."""

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
"""In this order after the business columns; `_key_hash`, the primary key, comes before them."""

# UUIDs are text in SQLite only; T-SQL has UNIQUEIDENTIFIER.
_TEXT = (FieldType.STRING, FieldType.ENUM, FieldType.JSON)


@dataclass(frozen=True, slots=True)
class StagingTable:
    """Names and columns of one entity's tables and views.

    `prefix` comes before every name; it ends with a dot if the engine has schemas.
    """

    entity: Entity
    prefix: str = "staging_"

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields of the business columns, under the names of the SQL columns."""
        return tuple(column.stored for column in self.entity.columns)

    @property
    def business_columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.entity.columns)

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """Columns of the view: the SQL column, and the name that readers see."""
        business = [(column.name, column.field.name) for column in self.entity.columns]
        return (*business, ("_source", "_source"))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The SQL columns of the key."""
        names = {column.field.name: column.name for column in self.entity.columns}
        return tuple(names[name] for name in self.entity.key)

    @property
    def texts(self) -> frozenset[str]:
        """The business columns that are text in T-SQL.

        Without dates and decimals, which only SQLite stores as text.
        """
        return frozenset(field.name for field in self.fields if field.kind in _TEXT)

    def until(self, fingerprint: bytes) -> "StagingTable":
        """Return the table as it was when this version of the schema was the newest."""
        # `replace` keeps the class, which may be HistoryTable.
        return replace(self, entity=self.entity.until(fingerprint))

    def added_since(self, older: "StagingTable") -> list[Field]:
        """Return the fields of the columns that the older table does not have."""
        existing = set(older.business_columns)
        return [field for field in self.fields if field.name not in existing]

    def rows_onto(self, newer: "StagingTable", rows: Iterable[Row]) -> Iterator[Row]:
        """Convert rows of this table to the columns of a newer version of it."""
        # Rows of the same version pass unchanged: converting each would cost a dict per row.
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
    """The tables of a catalog's entities, in name order, which is the order of locking."""

    # Names need no check here: schemas/ accepts only names that are valid in SQL.

    def __init__(self, entities: Iterable[Entity], prefix: str = "staging_") -> None:
        self._tables = {
            entity.name: StagingTable(entity, prefix)
            for entity in sorted(entities, key=lambda entity: entity.name)
        }

    def __getitem__(self, entity: str) -> StagingTable:
        """Return the table of an entity. Raises ConfigurationError if it is not in the catalog."""
        if entity not in self._tables:
            raise ConfigurationError(f"no entity {entity!r}; there are: {', '.join(self._tables)}")
        return self._tables[entity]

    def __iter__(self) -> Iterator[StagingTable]:
        return iter(self._tables.values())
