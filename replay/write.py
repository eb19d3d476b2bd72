"""Writing of frames into one revision of a table, through the guard (INV-2)."""

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
    """Writes a revision beside the live one. `counts` is what became of the events so far (INV-4).

    Poison events only count as dead: their dead letters were written when the live consumer met them.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        wanted: EventFilter,
        registry: LogRegistry,
        *,
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
        """Reader name of the revision's checkpoints."""
        return revision_reader(self.wanted.entity.name, self.revision)

    def write(self, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint] = ()) -> None:
        """Apply frames and checkpoints in one transaction of their own, with retries.

        On an error nothing is written. Raises ConflictError when the revision beside which this one is built
        is no longer live, ConfigurationError, and TransientError when the retries are used up.
        """
        self.counts += self._retry.call(lambda: self._project(frames, checkpoints, self))

    def write_at_once(self, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint]) -> None:
        """Apply frames and checkpoints in one attempt, for a caller who holds a lock in another database.

        Reads nothing of the log: raises TransientError for an event whose schema is not known yet.
        """
        with self._registry.closed():
            self.counts += self._project(frames, checkpoints, self)

    def write_within(
        self, transaction: Transaction, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint]
    ) -> Counts:
        """Apply frames and checkpoints inside the caller's transaction, as `write_at_once` does.

        The caller has to roll back after any error, and adds the returned counts after its commit.
        """
        with self._registry.closed():
            return self._project(frames, checkpoints, _OpenTransaction(transaction))

    @contextmanager
    def transaction(
        self, shared: Collection[str] = (), exclusive: Collection[str] = ()
    ) -> Iterator[Transaction]:
        """Open a transaction of the warehouse.

        Raises ConflictError when another rebuild or a rollback was swapped in since this one began.
        """
        entity = self.wanted.entity.name
        # The entity's lock is taken even for checkpoints alone: under it the live revision can't change.
        with self.warehouse.transaction({*shared, entity}.difference(exclusive), exclusive) as transaction:
            if transaction.live_revision(entity) != self.live:
                raise ConflictError(
                    f"entity {entity}: revision {self.live} is no longer live, beside which revision "
                    f"{self.revision} was built: another rebuild was swapped in first. Run the command again"
                )
            yield transaction

    def _project(
        self, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint], transactions: Transactions
    ) -> Counts:
        with no_collection():
            return self._fold_and_apply(frames, checkpoints, transactions)

    def _fold_and_apply(
        self, frames: Sequence[bytes], checkpoints: Sequence[Checkpoint], transactions: Transactions
    ) -> Counts:
        def projected(read: Read, refused: Callable[[Sequence[Refusal]], None]) -> Counts:
            facts, counts = read(frames, self.wanted, self._catalog.registry)
            return counts + project(
                facts,
                self._catalog,
                transactions,
                refused,
                revisions={self.wanted.entity.name: self.revision},
                checkpoints=checkpoints,
            )

        # The fast way decodes only the facts that may win. It is right unless one of them is poison: then the
        # next best fact of that key wins, and every fact has to be decoded, as the live consumer does.
        # History keeps every fact, so it always needs the slow way.
        if not self.wanted.entity.history:
            try:
                return projected(surviving_facts, _give_up)
            except PoisonEventError:
                pass
        return projected(checked_facts, _count_only)


def _give_up(refusals: Sequence[Refusal]) -> None:
    raise refusals[0].error


def _count_only(_refusals: Sequence[Refusal]) -> None:
    """Do nothing: `project` counts refused facts as dead."""


class _OpenTransaction:
    """`Transactions` that yields a transaction which the caller has already opened, and never commits."""

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
            # Only a new transaction can repeat the batch without the row. The caller's next attempt first
            # reads the stream to its tip by RevisionWriter.write, which opens one.
            raise TransientError("a row was refused inside a shared transaction") from error
