"""The path from Kinesis records to tables: decode, check, fold, apply.

The Lambda handler, the local runtime and the replay share it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from consumers.collector import no_collection
from consumers.facts import Fact, frames_of, read_fact
from consumers.fold import Folded, fold
from consumers.history import history_of
from consumers.rows import check_envelope, checked, to_row
from consumers.warehouse.port import (
    NO_REVISIONS,
    Batch,
    Checkpoint,
    Counts,
    RefusedRowError,
    Row,
    Sweep,
    Transactions,
    Warehouse,
)
from consumers.warehouse.retry import retry_lost_transaction
from schemas.catalog.entity import Catalog
from schemas.errors import PoisonEventError
from schemas.event import Event, bucket_of, decode_event
from schemas.letters.letter import DeadLetter, LetterStore, letter_id
from schemas.log.frames import check_frame
from schemas.log.registry import LogRegistry

STAGE = "consumer"


class Refusal(NamedTuple):
    """A fact that can't become a row, with the reason."""

    fact: Fact
    error: PoisonEventError


class Consumer:
    """Projects Kinesis records into the live staging tables, one batch of a shard at a time."""

    def __init__(
        self,
        catalog: Catalog,
        warehouse: Warehouse,
        letters: LetterStore,
        read: Callable[[str], bytes | None] = lambda _key: None,
    ) -> None:
        """Build a consumer.

        `read` returns a document of the log by its key, or None; it supplies schemas that the catalog does
        not have, such as those of a newer producer (INV-6).
        """
        self._catalog = Catalog(catalog.entities, LogRegistry(catalog.registry, read))
        self._warehouse = warehouse
        self._letters = letters

    def consume(self, payloads: Iterable[bytes], checkpoints: Sequence[Checkpoint] = ()) -> Counts:
        """Apply the events of these records and the checkpoints in one transaction.

        Counts every event (INV-4); a record that can't be split into frames counts as one dead event. Dead
        letters are durable before the commit (INV-1). Raises TransientError or ConfigurationError with
        nothing committed; repeating the call is harmless (INV-2).
        """
        with no_collection():
            return self._consume(payloads, checkpoints)

    def _consume(self, payloads: Iterable[bytes], checkpoints: Sequence[Checkpoint]) -> Counts:
        facts, letters = self._read(payloads)
        if letters:
            self._letters.put(letters)

        def attempt() -> Counts:
            return project(facts, self._catalog, self._warehouse, self._refused, checkpoints=checkpoints)

        # The retry is here, and nowhere below, because only here the whole transaction is in hand. A retry
        # inside a transaction that the server has already rolled back would go on in autocommit.
        return retry_lost_transaction(attempt) + Counts(dead=len(letters))

    def _read(self, payloads: Iterable[bytes]) -> tuple[list[Fact], list[DeadLetter]]:
        """Return the facts that passed every check, and dead letters for everything else."""
        facts: list[Fact] = []
        letters: list[DeadLetter] = []
        for frame in _frames(payloads, letters):
            try:
                # Checked before the fold: a poison event must not win over a valid event of the same key.
                facts.append(checked(read_fact(frame, self._catalog.registry), self._catalog))
            except PoisonEventError as error:
                letters.append(letter_of(frame, error))
        return facts, letters

    def _refused(self, refusals: Sequence[Refusal]) -> None:
        self._letters.put([letter_of(fact.frame, error) for fact, error in refusals])


def _frames(payloads: Iterable[bytes], letters: list[DeadLetter]) -> Iterator[bytes]:
    for payload in payloads:
        try:
            yield from frames_of(payload)
        except PoisonEventError as error:
            letters.append(letter_of(payload, error))


def letter_of(payload: bytes, error: PoisonEventError) -> DeadLetter:
    """Return the dead letter of a frame, or of a record that can't be split into frames."""
    event = _event_of(payload)
    return DeadLetter(
        id=letter_id(payload) if event is None else event.event_id.hex(),
        stage=STAGE,
        entity=event and event.entity,
        source=event and event.source,
        position=event and event.position,
        reason=error.reason,
        cause=error.cause,
        payload=payload,
        occurred_at=event and event.occurred_at,
    )


def _event_of(payload: bytes) -> Event | None:
    """Return the event of a frame, or None if the envelope is unreadable."""
    try:
        return None if check_frame(payload) else decode_event(payload)
    except PoisonEventError:
        return None


def project(
    facts: Sequence[Fact],
    catalog: Catalog,
    warehouse: Transactions,
    refused: Callable[[Sequence[Refusal]], None],
    *,
    revisions: Mapping[str, int] = NO_REVISIONS,
    checkpoints: Sequence[Checkpoint] = (),
) -> Counts:
    """Fold facts, and apply the winners and the checkpoints in one transaction.

    Of an entity with history all facts are written to it. `revisions` names the target revision of an entity
    that is not to be written to its live one. `refused` receives the winners whose payload or row is refused,
    before anything commits.

    Raises what the warehouse and `refused` raise, with nothing committed. Retries nothing: `warehouse` may be
    a transaction that the caller holds, and a lost transaction has to be restarted as a whole.
    """
    dead = 0
    while True:
        folded = fold(facts)
        rows, refusals = _rows(folded, catalog)
        if not refusals:
            batch = Batch(rows, _sweeps(folded), checkpoints, history_of(facts, catalog))
            try:
                counts = _apply(batch, warehouse, revisions)
            except RefusedRowError as error:
                refusals = _all_refused(facts, error, catalog, warehouse, revisions)
            else:
                return counts + Counts(superseded=folded.superseded, duplicate=folded.duplicate, dead=dead)
        refused(refusals)
        # Fold again without the refused facts: the next best fact of the same key now wins. Each pass removes
        # at least one fact, so the loop ends.
        refused_ids = _ids(refusals)
        facts = [fact for fact in facts if id(fact) not in refused_ids]
        dead += len(refusals)


class _TriedError(Exception):
    """Rolls back a transaction that was opened only to see whether it would succeed."""


def _all_refused(
    facts: Sequence[Fact],
    error: RefusedRowError,
    catalog: Catalog,
    warehouse: Transactions,
    revisions: Mapping[str, int],
) -> list[Refusal]:
    """Return the refused facts, and the refused ones among those that would win in their place."""
    refusals = _refusals(facts, error)
    newest: Sequence[Refusal] = refusals
    # Only the keys of refused facts are tried again, in transactions that are rolled back. So all dead
    # letters are stored at once, and the whole batch, which may be large, is sent only one more time.
    while newest:
        refused_ids, keys = _ids(refusals), {_key(refusal.fact) for refusal in newest}
        rest = [fact for fact in facts if _key(fact) in keys and id(fact) not in refused_ids]
        newest = _tried(rest, catalog, warehouse, revisions) if rest else ()
        refusals += newest
    return refusals


def _tried(
    facts: Sequence[Fact], catalog: Catalog, warehouse: Transactions, revisions: Mapping[str, int]
) -> list[Refusal]:
    """Return the facts that are refused when these are written alone; nothing is committed."""
    rows, refusals = _rows(fold(facts), catalog)
    if refusals:
        return refusals
    try:
        _apply(Batch(rows), warehouse, revisions, keep=False)
    except _TriedError:
        return []
    except RefusedRowError as error:
        return _refusals(facts, error)
    raise AssertionError("a trial transaction was committed")


def _refusals(facts: Sequence[Fact], error: RefusedRowError) -> list[Refusal]:
    """Return the facts that the engine's error names."""
    # The rank is part of the lookup because history also holds facts that lost the fold. `pop` matches each
    # error once: a duplicate of a refused fact stays for the next pass.
    errors = {(row.entity, row.key_hash, row.rank): row for row in (error, *error.more)}
    matches = ((fact, errors.pop((*_key(fact), fact.rank), None)) for fact in facts)
    return [Refusal(fact, refused) for fact, refused in matches if refused]


def _key(fact: Fact) -> tuple[str, bytes]:
    return fact.event.entity, fact.key_hash


def _ids(refusals: Iterable[Refusal]) -> set[int]:
    # By identity, since duplicates compare equal.
    return {id(refusal.fact) for refusal in refusals}


def _apply(
    batch: Batch, warehouse: Transactions, revisions: Mapping[str, int], *, keep: bool = True
) -> Counts:
    """Apply a batch in one transaction. Raises _TriedError, which rolls it back, unless `keep`."""
    # A sweep of the live revision excludes other writers: a row that another batch inserts at the same time
    # would not see the new floor yet. Only the live revision is written by several consumers.
    sweeping = [entity for entity in batch.sweeps if entity not in revisions]
    with warehouse.transaction(shared=batch.entities(), exclusive=sweeping) as transaction:
        counts = transaction.apply(batch, revisions)
        if not keep:
            raise _TriedError
        return counts


def _rows(folded: Folded, catalog: Catalog) -> tuple[Mapping[str, list[Row]], list[Refusal]]:
    """Return the rows of the winners, and the winners that are refused, sweeps included."""
    rows: dict[str, list[Row]] = defaultdict(list)
    refusals = []
    for (entity, _), fact in folded.rows.items():
        try:
            # A live batch has decoded every row already; a replay decodes and checks the winners only.
            rows[entity].append(fact.row or to_row(fact, catalog.entity_of(fact.schema)))
        except PoisonEventError as error:
            refusals.append(Refusal(fact, error))
    for fact in folded.sweeps.values():
        try:
            check_envelope(fact, catalog.entity_of(fact.schema))
        except PoisonEventError as error:
            refusals.append(Refusal(fact, error))
    return rows, refusals


def _sweeps(folded: Folded) -> Mapping[str, list[Sweep]]:
    """Return the winning sweeps of each entity."""
    sweeps: dict[str, list[Sweep]] = defaultdict(list)
    for (entity, key_hash), fact in folded.sweeps.items():
        event = fact.event
        sweeps[entity].append(Sweep(event.source, bucket_of(event, key_hash), event.position))
    return sweeps
