"""Frames into one revision of a table, through the guard (INV-2)."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from consumers.collector import no_collection
from consumers.consume import Refusal, project
from consumers.warehouse.port import (
    Checkpoint,
    Counts,
    RefusedRowError,
    Transaction,
    Transactions,
    Warehouse,
    revision_reader,
)
from replay.fold import EventFilter, Facts, checked_facts, surviving_facts
from replay.retry_policy import RetryPolicy
from schemas.catalog.entity import Catalog
from schemas.errors import ConflictError, PoisonEventError, TransientError
from schemas.log.registry import LogRegistry
from schemas.payload.codec import SchemaRegistry

Read: TypeAlias = Callable[[Sequence[bytes], EventFilter, SchemaRegistry], Facts]


class RevisionWriter:
    """Writes a revision beside the live one. `counts` says what became of the events (INV-4).

    Poison is counted as dead and nothing more: its letter was written when it was consumed.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        wanted: EventFilter,
        registry: LogRegistry,
        revision: int,
        live: int,
        retry: RetryPolicy,
    ) -> None:
        self.warehouse, self.wanted, self.revision, self.live = warehouse, wanted, revision, live
        self.counts = Counts()
        self._registry = registry
        self._catalog = Catalog({wanted.entity.name: wanted.entity}, registry)
        self._retry = retry

    @property
    def reader(self) -> str:
        """Under this name the revision keeps its checkpoints."""
        return revision_reader(self.wanted.entity.name, self.revision)

    def write(self, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint] = ()) -> None:
        """Apply frames and checkpoints in one transaction of their own.

        Raises ConflictError when the table beside which this one is made is no longer live,
        ConfigurationError, and TransientError when patience is at its end; nothing is written then.
        """
        self.counts += self._retry.call(lambda: self._project(frames, checkpoints, self))

    def write_at_once(self, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint]) -> None:
        """Apply them in one attempt, while others wait for a lock of the caller's. Reads nothing of the log:
        raises TransientError for an event whose schema is not known yet."""
        with self._registry.closed():
            self.counts += self._project(frames, checkpoints, self)

    def write_within(
        self, transaction: Transaction, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint]
    ) -> Counts:
        """Apply them as `write_at_once` does, inside the caller's transaction, which is to be rolled back
        after any error."""
        with self._registry.closed():
            return self._project(frames, checkpoints, _Within(transaction))

    @contextmanager
    def transaction(
        self, shared: Collection[str] = (), exclusive: Collection[str] = ()
    ) -> Iterator[Transaction]:
        """The warehouse's, refused when another rebuild or a rollback was swapped in since this one began."""
        entity = self.wanted.entity.name
        with self.warehouse.transaction({*shared, entity}.difference(exclusive), exclusive) as transaction:
            if transaction.live_revision(entity) != self.live:
                raise ConflictError(
                    f"entity {entity}: revision {self.live}, beside which revision {self.revision} is made, "
                    "is no longer the live one: another rebuild was swapped in first"
                )
            yield transaction

    def _project(
        self, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint], place: Transactions
    ) -> Counts:
        """Only what may win is decoded; if some of that is poison, or history is kept, every event is, as the
        live consumer does."""
        with no_collection():
            return self._fold_and_apply(frames, checkpoints, place)

    def _fold_and_apply(
        self, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint], place: Transactions
    ) -> Counts:
        def projected(read: Read, refused: Callable[[Sequence[Refusal]], None]) -> Counts:
            facts, counts = read(frames, self.wanted, self._catalog.registry)
            revisions = {self.wanted.entity.name: self.revision}
            return counts + project(
                facts, self._catalog, place, refused, revisions=revisions, checkpoints=checkpoints
            )

        if not self.wanted.entity.history:
            try:
                return projected(surviving_facts, _give_up)
            except PoisonEventError:
                pass
        return projected(checked_facts, _count_only)


def _give_up(refusals: Sequence[Refusal]) -> None:
    raise refusals[0].error


def _count_only(_refusals: Sequence[Refusal]) -> None:
    """`project` counts them as dead."""


class _Within:
    """A transaction that is already open, where one is to be opened."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @contextmanager
    def transaction(
        self,
        shared: Collection[str] = (),  # noqa: ARG002 - the locks are held
        exclusive: Collection[str] = (),  # noqa: ARG002
    ) -> Iterator[Transaction]:
        try:
            yield self._transaction
        except RefusedRowError as error:
            # Only a new transaction may go on without the row: RevisionWriter.write opens one.
            raise TransientError("a row was refused inside a shared transaction") from error
