"""The warehouse as the rest of Headwater sees it: values, and the two Protocols that every SQL engine keeps.

Names of what an engine holds: the physical table `staging_<entity>__r<n>` (revision n), the view
`staging_<entity>` over the live revision, and for an as-of revision the view
`staging_<entity>__as_of_<name>`. An engine with schemas says `staging.<entity>` and so on.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from schemas.errors import PoisonEventError, TransientError

LIVE_READER = "live"
"""Reader name of the consumers that write whichever revision is live."""

SEQUENCE_DIGITS = 129
"""A Kinesis sequence number has up to 128 digits (API_Record: `0|([1-9]\\d{0,128})`): 129, zero-padded."""

MAX_POSITION = 378
"""Characters of ASCII. A rank adds 22 to it, and an index of SQL Server takes ranks of up to 400."""
MAX_SOURCE = 300
"""Characters of ASCII. The key of a floor holds a source and an entity within the 900 bytes of an index."""


class Row(NamedTuple):
    """One row of a staging table, as its winning event makes it.

    On the way in `deleted` says that the operation was a delete; the engine adds the floors of sweeps. On the
    way out `deleted` is what the table holds. `values` are the business columns in schema order, typed as
    `Schema.decode` gives them. `occurred_at` is in microseconds since the epoch, UTC.
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
    """Every row of this source and bucket whose position is below this one is a tombstone, now and later."""

    source: str
    bucket: int
    position: str


class HistoryRow(NamedTuple):
    """A `Row` with the operation of its event: what history keeps of every fact. `deleted` is the event's."""

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
    """A `Sweep` with its event's moment, in microseconds since the epoch, UTC, and id."""

    source: str
    bucket: int
    position: str
    occurred_at: int
    event_id: bytes


class History(NamedTuple):
    """Every fact of an entity in a batch, also those that lose to others; each row and sweep once."""

    rows: Sequence[HistoryRow] = ()
    sweeps: Sequence[HistorySweep] = ()


class Checkpoint(NamedTuple):
    """How far a reader has read one shard. `stream` is ARN and creation time, `sequence` has 129 digits."""

    reader: str
    stream: str
    shard: str
    sequence: str


def padded(sequence: str) -> str:
    """A Kinesis sequence number in the fixed width in which text compares as numbers do."""
    return sequence.zfill(SEQUENCE_DIGITS)


def revision_reader(entity: str, revision: int) -> str:
    """Reader name under which a revision that is not live keeps its checkpoints."""
    return f"{entity}__r{revision}"


class Batch(NamedTuple):
    """What one transaction writes: at most one row of each (entity, key hash), the greatest of its rank; and
    all facts of the entities of which history is kept."""

    rows: Mapping[str, Sequence[Row]]
    sweeps: Mapping[str, Sequence[Sweep]] = MappingProxyType({})
    checkpoints: Sequence[Checkpoint] = ()
    history: Mapping[str, History] = MappingProxyType({})

    def entities(self) -> list[str]:
        """The entities that it writes, in the name order in which locks are taken."""
        return sorted(self.rows.keys() | self.sweeps.keys())


class Counts(NamedTuple):
    """What became of events (INV-4): a row or sweep changed the table, lost to a greater one, had been there
    already, or is a dead letter. The four add up to the events accepted."""

    applied: int = 0
    superseded: int = 0
    duplicate: int = 0
    dead: int = 0

    def __add__(self, other: object) -> "Counts":
        if not isinstance(other, Counts):
            return NotImplemented
        return Counts(*map(sum, zip(self, other, strict=True)))

    @property
    def accepted(self) -> int:
        """How many events they stand for."""
        return sum(self)


RevisionState = Literal["building", "live", "retired", "as_of"]


class Revision(NamedTuple):
    """One physical table of an entity. `created_at` is ISO 8601, UTC; `as_of` the name of its as-of view."""

    number: int
    state: RevisionState
    created_at: str
    schema_version: int
    as_of: str | None
    schema_fingerprint: bytes


class TableStatus(NamedTuple):
    """One live staging table in figures. `newest` is the greatest occurred_at in it, microseconds, UTC."""

    entity: str
    revision: int
    schema_version: int
    live: int
    tombstones: int
    newest: int | None


class LetterCount(NamedTuple):
    """How many dead letters of one kind there are. `entity` is empty where a letter knows none; `state` as in
    schemas.letters.outcomes. `oldest` and `newest` moment in microseconds since the epoch, UTC."""

    entity: str
    stage: str
    cause: str
    state: str
    letters: int
    oldest: int
    newest: int


class RefusedRowError(PoisonEventError):
    """The engine refuses this row whatever is retried, and the rows of `more` as well. The transaction is to
    be rolled back and made again without them. With its rank, since history has the rows that lost, too."""

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
        """One error for all of these rows of one table, each with its reason; at least one."""
        first, *others = refused
        return cls(entity, *first, [cls(entity, *each) for each in others])


class TransactionLostError(TransientError):
    """The transaction was undone by another one, or its connection is gone and its end not known. Made again
    at once it may well succeed, and does no harm (INV-2)."""


NO_REVISIONS: Mapping[str, int] = MappingProxyType({})


class Transaction(Protocol):
    """One unit of work: all of it is seen by readers at its commit, or none (INV-8).

    The live revision, its schema version and the floors are read inside, never kept between transactions.
    """

    def apply(self, batch: Batch, revisions: Mapping[str, int] = NO_REVISIONS) -> Counts:
        """Write a batch through the guard; count what became of each row and sweep (`dead` is 0).

        `revisions` names the table of an entity where it is not the live one. History is written where the
        revision was made with one. Order of the calls does not
        matter to what the tables end as (INV-2). Raises RefusedRowError; ConfigurationError where a table was
        made by a newer schema than this process has; ValueError for an entity whose lock is not held.
        """

    def checkpoints(self, reader: str) -> list[Checkpoint]:
        """Where this reader is, ordered by stream and shard."""

    def save_checkpoints(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Move checkpoints forward; one that would go back stays."""

    def live_revision(self, entity: str) -> int:
        """Number of the revision that readers see now."""

    def rows_of(self, entity: str, revision: int, key_hashes: Collection[bytes]) -> dict[bytes, Row]:
        """The rows with these key hashes, tombstones too; a key that is not there is left out."""

    def swap(self, entity: str, revision: int) -> int:
        """Make this revision the live one: readers and writers see it from the commit on.

        The revision that was live becomes `retired` and keeps the live checkpoints of this moment as those of
        `revision_reader(entity, old)`, which is where a rollback begins to read. Returns the old number.
        Needs the exclusive lock. ConflictError unless the target is `building` or `retired`.
        """


class Transactions(Protocol):
    """Where transactions are opened: a warehouse, or a part of it that looks at something first."""

    def transaction(
        self, shared: Collection[str] = (), exclusive: Collection[str] = ()
    ) -> AbstractContextManager[Transaction]:
        """Commit on leaving, roll back on an exception.

        Takes the locks of these entities in name order: shared (or exclusive) for rows, exclusive for a sweep
        of the live revision and for a swap.
        """


class Warehouse(Transactions, Protocol):
    """An SQL database with the staging tables of a catalog's entities. Safe to use from several threads and,
    two objects on one database, from several processes.

    Every method may raise TransientError (busy, away, full: retry) and ConfigurationError.
    """

    def ensure(self) -> None:
        """Make what is missing: system tables, revision 1 and view of each entity. Repeating is harmless."""

    def init(self) -> None:
        """`ensure`, and what else the database needs for readers and writers of their own: settings, roles.
        Needs the rights of an administrator. Repeating is harmless."""

    def lacks(self) -> list[str]:
        """What `init` would make, in words; empty where all is there."""

    def create_revision(self, entity: str) -> int:
        """An empty table in state `building`. A number is never used twice, not even after a drop."""

    def drop_revision(self, entity: str, revision: int) -> None:
        """Remove a revision: its table, floors, checkpoints and as-of view. ConflictError if it is live."""

    def revisions(self, entity: str) -> list[Revision]:
        """The revisions that are there, by number."""

    def publish_as_of(self, entity: str, revision: int, name: str) -> str:
        """Show a `building` revision as the view `staging_<entity>__as_of_<name>`; returns the view's name.

        A view of that name that is there already shows this revision from now on; the one it showed is
        dropped. ConflictError for a revision that is not `building`.
        """

    def rows(self, entity: str, revision: int) -> Iterator[Row]:
        """Every row, tombstones too, in key-hash order, from one snapshot; memory does not grow with them."""

    def select(
        self, entity: str, limit: int | None = None, as_of: str | None = None
    ) -> tuple[list[str], list[tuple[object, ...]]]:
        """What a reader of the view sees: column names and rows, as the engine stores the values.

        Rows come in the order of the key columns. ConfigurationError for a view that is not there.
        """

    def status(self) -> list[TableStatus]:
        """Figures of each live table, in name order."""

    def save_letter_counts(self, counts: Sequence[LetterCount]) -> None:
        """Replace the summary of dead letters that report people read, in one transaction (INV-8)."""

    def letter_counts(self) -> list[LetterCount]:
        """The summary as it was last saved, by entity, stage, cause and state."""

    def close(self) -> None:
        """Let go of the database."""
