"""Checks that a transaction holds the entity locks that a call needs."""

from collections.abc import Collection

from consumers.warehouse.tables import StagingTables


class Locks:
    """Entity locks that a transaction was opened with."""

    # SQLite excludes all other writers anyway. SQL Server does not, and a missing lock would corrupt data
    # silently there. So the check is the same for both, and tests on SQLite find the mistake.

    def __init__(self, tables: StagingTables, shared: Collection[str], exclusive: Collection[str]) -> None:
        """Record the locks. Raises ConfigurationError for an entity that is not in the catalog."""
        self.exclusive = frozenset(exclusive)
        self.held = self.exclusive.union(shared)
        for entity in self.held:
            tables[entity]  # raises for an unknown entity

    def need(self, entity: str) -> None:
        """Raise ValueError unless the entity's lock is held, shared or exclusive."""
        _need(entity, self.held)

    def need_exclusive(self, entity: str) -> None:
        """Raise ValueError unless the entity's exclusive lock is held."""
        _need(entity, self.exclusive)


def _need(entity: str, held: frozenset[str]) -> None:
    if entity not in held:
        raise ValueError(f"the lock of entity {entity} is not held")
