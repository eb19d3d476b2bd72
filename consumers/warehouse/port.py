"""The warehouse as the rest of Headwater sees it: its values, and the Protocols that SQL engines implement.

An engine has these objects: the physical table `staging_<entity>__r<n>` of revision n, the view
`staging_<entity>` over the live revision, and for an as-of revision the view
`staging_<entity>__as_of_<name>`. An engine with schemas names them `staging.<entity>` and so on.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from schemas.errors import ConfigurationError, PoisonEventError, TransientError

LIVE_READER = "live"
"""Reader name of the consumers, which write the revision that is live at the time."""

SEQUENCE_DIGITS = 129
"""The most digits of a Kinesis sequence number (API_Record: `0|([1-9]\\d{0,128})`)."""

MAX_POSITION = 378
"""ASCII characters. A rank is 22 characters longer: at most 400, so that SQL Server can index it."""
MAX_SOURCE = 300
"""ASCII characters.

The key of a floor, which includes source and entity, must fit in the 900 bytes of an index.
"""


class Row(NamedTuple):
    """One row of a staging table, derived from its winning event.

    In a row to be written, `deleted` is True if the operation was a delete; the engine also applies the
    floors of sweeps. In a row that was read, `deleted` is the value in the table. `values` are the business
    columns in schema order, typed as `Schema.decode` returns them. `occurred_at` is in microseconds since the
    epoch, UTC.
    """

    key_hash: bytes
    rank: str
    event_id: bytes
    deleted: bool
    source: str
    occurred_at: int
    schema_version: int
    values: tuple[object, ...]


class Sweep(NamedTuple):
    """Statement that every row of this source and bucket with a lower position is deleted.

    It also applies to rows that arrive later.
    """

    source: str
    bucket: int
    position: str


class HistoryRow(NamedTuple):
    """A `Row` with the operation of its event, as history keeps every fact.

    `deleted` is True if the operation was a delete; sweeps do not change it.
    """

    key_hash: bytes
    rank: str
    event_id: bytes
    deleted: bool
    source: str
    occurred_at: int
    schema_version: int
    values: tuple[object, ...]
    operation: str


class HistorySweep(NamedTuple):
    """A `Sweep` with the id and moment of its event, in microseconds since the epoch, UTC."""

    source: str
    bucket: int
    position: str
    occurred_at: int
    event_id: bytes


class History(NamedTuple):
    """All facts of an entity in a batch, including those that lose; without duplicates."""

    rows: Sequence[HistoryRow] = ()
    sweeps: Sequence[HistorySweep] = ()


class Checkpoint(NamedTuple):
    """The last record of a shard that a reader has processed.

    `stream` is ARN and creation time, `sequence` a `padded` sequence number.
    """

    reader: str
    stream: str
    shard: str
    sequence: str


def padded(sequence: str) -> str:
    """Return a Kinesis sequence number in a fixed width, so that texts compare as the numbers do."""
    return sequence.zfill(SEQUENCE_DIGITS)


def revision_reader(entity: str, revision: int) -> str:
    """Return the reader name for the checkpoints of a revision that is not live."""
    return f"{entity}__r{revision}"


class Batch(NamedTuple):
    """The content of one transaction.

    `rows` and `history` are by entity. `rows` has at most one row per key hash, the one with the greatest
    rank; `history` has all facts of the entities that keep one.
    """

    rows: Mapping[str, Sequence[Row]]
    sweeps: Mapping[str, Sequence[Sweep]] = MappingProxyType({})
    checkpoints: Sequence[Checkpoint] = ()
    history: Mapping[str, History] = MappingProxyType({})

    def entities(self) -> list[str]:
        """Return the entities to be written, in name order, which is the order of locking."""
        return sorted(self.rows.keys() | self.sweeps.keys())


class Counts(NamedTuple):
    """Numbers of events by result (INV-4).

    `applied` events changed the table, `superseded` ones lost to a greater rank, a `duplicate` was applied
    before, and `dead` ones became dead letters.
    """

    applied: int = 0
    superseded: int = 0
    duplicate: int = 0
    dead: int = 0

    def __add__(self, other: object) -> "Counts":
        # Overrides tuple concatenation, which would make a tuple of eight numbers.
        if not isinstance(other, Counts):
            return NotImplemented
        return Counts(*map(sum, zip(self, other, strict=True)))

    @property
    def accepted(self) -> int:
        """Number of events accepted: the sum of all four."""
        return sum(self)


RevisionState = Literal["building", "live", "retired", "as_of"]


class Revision(NamedTuple):
    """One physical table of an entity.

    `created_at` is ISO 8601 in UTC; `as_of` is the name of its as-of view, if it has one.
    """

    number: int
    state: RevisionState
    created_at: str
    schema_version: int
    as_of: str | None
    schema_fingerprint: bytes


class TableStatus(NamedTuple):
    """Size and age of a live staging table.

    `live` and `tombstones` are numbers of rows. `newest` is the greatest `occurred_at` in the table, in
    microseconds since the epoch, UTC; None for an empty table.
    """

    entity: str
    revision: int
    schema_version: int
    live: int
    tombstones: int
    newest: int | None


class LetterCount(NamedTuple):
    """Number of dead letters with equal entity, stage, cause and state.

    `entity` is empty for letters without one; `state` is as in schemas.letters.outcomes. `oldest` and
    `newest` are in microseconds since the epoch, UTC.
    """

    entity: str
    stage: str
    cause: str
    state: str
    letters: int
    oldest: int
    newest: int


class RefusedRowError(PoisonEventError):
    """The engine refuses this row, and the rows of `more`, for their values: a retry does not help.

    The transaction must be rolled back and repeated without these rows. A row is identified by entity, key
    hash and rank, since history contains several rows of one key.
    """

    def __init__(
        self, entity: str, row: Row | HistoryRow, reason: str, more: Sequence["RefusedRowError"] = ()
    ) -> None:
        super().__init__(reason)
        self.entity = entity
        self.key_hash = row.key_hash
        self.rank = row.rank
        self.more = tuple(more)

    @classmethod
    def of(cls, entity: str, refused: Sequence[tuple[Row | HistoryRow, str]]) -> "RefusedRowError":
        """Return one error for all these rows of one table, with their reasons. `refused` is not empty."""
        first, *others = refused
        return cls(entity, *first, [cls(entity, row, reason) for row, reason in others])


class TransactionLostError(TransientError):
    """The transaction was rolled back by the server, or its connection broke and the outcome is unknown.

    Repeating it at once is likely to succeed, and harmless if it had committed after all (INV-2).
    """


NO_REVISIONS: Mapping[str, int] = MappingProxyType({})


class Transaction(Protocol):
    """One unit of work: at its commit readers see all of it, and before that nothing (INV-8)."""

    # The live revision, its schema version and the floors are read inside the transaction, under its locks. A
    # value kept from an earlier one could name a table that a rebuild has replaced in the meantime.

    def apply(self, batch: Batch, revisions: Mapping[str, int] = NO_REVISIONS) -> Counts:
        """Write a batch through the guard, and count the results of its rows and sweeps (`dead` is 0).

        `revisions` names the target revision of an entity if it is not the live one. History is written if
        the revision was created with a history. The final tables do not depend on the order of calls (INV-2).
        Raises RefusedRowError; ConfigurationError if the table has a newer schema version than this process
        knows; ValueError for an entity whose lock is not held.
        """

    def checkpoints(self, reader: str) -> list[Checkpoint]:
        """Return the checkpoints of a reader, ordered by stream and shard."""

    def save_checkpoints(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Move checkpoints forward; a checkpoint that is already further on is kept."""

    def live_revision(self, entity: str) -> int:
        """Return the number of the revision that readers see now."""

    def rows_of(self, entity: str, revision: int, key_hashes: Collection[bytes]) -> dict[bytes, Row]:
        """Return the rows with these key hashes, including tombstones. Absent keys are left out."""

    def swap(self, entity: str, revision: int) -> int:
        """Make this revision the live one, and return the number of the old one.

        Readers and writers see it from the commit on. The old revision becomes `retired`. The live
        checkpoints of this moment are copied to `revision_reader(entity, old)`; a rollback starts reading
        there. Needs the exclusive lock. Raises ConflictError unless the target is `building` or `retired`.
        """


class Transactions(Protocol):
    """Anything that opens transactions: a warehouse, or a wrapper that checks a condition first."""

    def transaction(
        self, shared: Collection[str] = (), exclusive: Collection[str] = ()
    ) -> AbstractContextManager[Transaction]:
        """Open a transaction that is committed at the end of the block, or rolled back on an exception.

        Takes the locks of these entities in name order, so that transactions do not deadlock over them. Rows
        need a shared or exclusive lock; a sweep of the live revision and a swap need an exclusive one.
        """


class Warehouse(Transactions, Protocol):
    """An SQL database with the staging tables of a catalog's entities.

    Safe for use by several threads, and by several processes that each open the database. Every method may
    raise TransientError (busy, unreachable or full: retry) and ConfigurationError.
    """

    def ensure(self) -> None:
        """Create what is missing: system tables, and revision 1 and the view of each entity. Idempotent."""

    def require(self) -> None:
        """Raise ConfigurationError if `ensure` would create or change something, and describe it.

        Changes nothing, and needs no right but those of a writer.
        """

    def init(self) -> None:
        """Do `ensure`, and create the settings and roles for separate readers and writers. Idempotent.

        Needs the rights of an administrator.
        """

    def problems(self) -> list[str]:
        """Return descriptions of what is missing or wrong in the database; empty if it is ready for use."""

    def create_revision(self, entity: str) -> int:
        """Create an empty table in state `building`, and return its number.

        A number is never reused, not even after a drop.
        """

    def drop_revision(self, entity: str, revision: int) -> None:
        """Drop a revision with its table, floors, checkpoints and as-of view.

        Raises ConflictError if it is live.
        """

    def revisions(self, entity: str) -> list[Revision]:
        """Return the revisions that have not been dropped, by number."""

    def publish_as_of(self, entity: str, revision: int, name: str) -> str:
        """Show a `building` revision as the view `staging_<entity>__as_of_<name>`; return the view's name.

        An existing view of that name is replaced, and the revision that it showed is dropped. Raises
        ConflictError for a revision that is not `building`.
        """

    def rows(self, entity: str, revision: int) -> Iterator[Row]:
        """Yield every row, including tombstones, in key-hash order from one snapshot, in constant memory."""

    def select(
        self, entity: str, limit: int | None = None, as_of: str | None = None
    ) -> tuple[list[str], list[tuple[object, ...]]]:
        """Return column names and rows of the view, with the values as the engine stores them.

        Rows are ordered by the key columns. Raises ConfigurationError if the view does not exist.
        """

    def status(self) -> list[TableStatus]:
        """Return the status of each live table, in name order."""

    def save_letter_counts(self, counts: Sequence[LetterCount]) -> None:
        """Replace the summary of dead letters in one transaction (INV-8)."""

    def letter_counts(self) -> list[LetterCount]:
        """Return the summary that was saved last, ordered by entity, stage, cause and state."""

    def close(self) -> None:
        """Close the connections to the database."""


_SHOWN = 3


def refuse(lacks: Sequence[str]) -> None:
    """Raise ConfigurationError for what a warehouse lacks, if anything."""
    if lacks:
        more = f"; {len(lacks) - _SHOWN} more" if len(lacks) > _SHOWN else ""
        raise ConfigurationError(
            f"the warehouse is not ready: {'; '.join(lacks[:_SHOWN])}{more}. "
            "Run `headwater warehouse init` as its owner"
        )
