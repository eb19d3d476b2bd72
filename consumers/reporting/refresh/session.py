"""The transaction of a refresh, for every engine on SQLAlchemy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from consumers.reporting.refresh.freshness import Registry, Sources
from consumers.warehouse.indexes import IndexColumns, Indexes
from consumers.warehouse.port import LIVE_READER
from consumers.warehouse.revisions import Revisions
from consumers.warehouse.system import SystemTables
from consumers.warehouse.tables import StagingTables


class EngineSession(ABC):
    """Base of `refresh.Session` on a connection. An engine adds how it sends statements."""

    def __init__(
        self,
        connection: Connection,
        system: SystemTables,
        revisions: Revisions,
        tables: StagingTables,
        now: str,
    ) -> None:
        self._connection = connection
        self._system = system
        self._revisions = revisions
        self._tables = tables
        self.registry = Registry(connection, system.reports, now)

    @abstractmethod
    def rows(self, statement: str) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    def run(self, *statements: str) -> None: ...

    @abstractmethod
    def changed(self, *statements: str) -> list[int]: ...

    def live(self, entities: Sequence[str]) -> Sources:
        lives = {name: self._revisions.live(self._tables[name]) for name in entities}
        return {name: (live.number, live.schema_fingerprint.hex()) for name, live in lives.items()}

    def indexes(self, entity: str) -> Indexes:
        return self._revisions.indexes(self._tables[entity])

    def create_index(self, entity: str, columns: IndexColumns) -> None:
        self._revisions.create_index(self._tables[entity], columns)

    def checkpoints(self) -> list[tuple[Any, ...]]:
        c = self._system.checkpoints.c
        query = select(c.stream, c.shard, c.sequence).where(c.reader == LIVE_READER)
        return [tuple(row) for row in self._connection.execute(query.order_by(c.stream, c.shard))]
