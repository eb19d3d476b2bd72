"""The entity locks that a transaction was opened with."""

from collections.abc import Collection

from consumers.warehouse.tables import StagingTables


class Locks:
    """SQLite holds every lock anyway. An engine that does not would go wrong without a sign, so that a call
    without its lock fails in all of them."""

    def __init__(self, tables: StagingTables, shared: Collection[str], exclusive: Collection[str]) -> None:
        """Raises ConfigurationError for an entity that is not there."""
        self.exclusive = frozenset(exclusive)
        self.held = self.exclusive.union(shared)
        for entity in self.held:
            tables[entity]

    def need(self, entity: str) -> None:
        """Raises ValueError unless the entity's lock is held, shared or exclusive."""
        _need(entity, self.held)

    def need_exclusive(self, entity: str) -> None:
        """Raises ValueError unless the entity's exclusive lock is held."""
        _need(entity, self.exclusive)


def _need(entity: str, held: frozenset[str]) -> None:
    if entity not in held:
        raise ValueError(f"the lock of entity {entity} is not held")
