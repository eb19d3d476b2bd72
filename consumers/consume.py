"""Records to tables: decode and check every event, fold, apply. Lambda, local process and replay share it."""

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
    """A fact that can't become a row, and why."""

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
        """`read` gives a document of the log by its key: the schemas that the catalog does not know."""
        self._catalog = Catalog(catalog.entities, LogRegistry(catalog.registry, read))
        self._warehouse = warehouse
        self._letters = letters

    def consume(self, payloads: Iterable[bytes], checkpoints: Sequence[Checkpoint] = ()) -> Counts:
        """Apply all events of these records, and the checkpoints, in one transaction.

        Every event is counted (INV-4); a record that can't be taken apart counts as one that is dead. Dead
        letters are durable before the commit (INV-1). Raises TransientError or ConfigurationError with
        nothing committed, and the same call again is harmless (INV-2).
        """
        with no_collection():
            return self._consume(payloads, checkpoints)

    def _consume(self, payloads: Iterable[bytes], checkpoints: Sequence[Checkpoint]) -> Counts:
        facts, letters = self._read(payloads)
        if letters:
            self._letters.put(letters)

        def projected() -> Counts:
            return project(facts, self._catalog, self._warehouse, self._refused, checkpoints=checkpoints)

        return retry_lost_transaction(projected) + Counts(dead=len(letters))

    def _read(self, payloads: Iterable[bytes]) -> tuple[list[Fact], list[DeadLetter]]:
        """Everything is checked before the fold: a poison event takes no good one of its key with it."""
        facts: list[Fact] = []
        letters: list[DeadLetter] = []
        for frame in _frames(payloads, letters):
            try:
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
    """The dead letter of a frame, or of a record that no frame could be cut from."""
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
    """Fold facts and apply the winners and the checkpoints in one transaction; of an entity with history all
    facts, of which each is decoded before.

    `refused` is told of winners whose payload or row is refused, before anything commits; then the rest is
    folded again, so that the next best fact of that key counts. Raises what the warehouse and `refused`
    raise, with nothing committed. Retries nothing: `warehouse` may be a transaction that the caller holds,
    and a lost transaction can only be begun again as a whole.
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
        gone = _ids(refusals)
        facts = [fact for fact in facts if id(fact) not in gone]
        dead += len(refusals)


class _TriedError(Exception):
    """Undoes a transaction that was only tried."""


def _all_refused(
    facts: Sequence[Fact],
    error: RefusedRowError,
    catalog: Catalog,
    warehouse: Transactions,
    revisions: Mapping[str, int],
) -> list[Refusal]:
    """The refused facts, and those that would take their places and are refused as well.

    They are tried by themselves in transactions that are undone, so that all letters are stored at once and
    the whole batch is sent only once more.
    """
    refusals = _refusals(facts, error)
    newly: Sequence[Refusal] = refusals
    while newly:
        gone, keys = _ids(refusals), {_key(refusal.fact) for refusal in newly}
        rest = [fact for fact in facts if _key(fact) in keys and id(fact) not in gone]
        newly = _tried(rest, catalog, warehouse, revisions) if rest else ()
        refusals += newly
    return refusals


def _tried(
    facts: Sequence[Fact], catalog: Catalog, warehouse: Transactions, revisions: Mapping[str, int]
) -> list[Refusal]:
    rows, refusals = _rows(fold(facts), catalog)
    if refusals:
        return refusals
    try:
        _apply(Batch(rows), warehouse, revisions, keep=False)
    except _TriedError:
        return []
    except RefusedRowError as error:
        return _refusals(facts, error)
    raise AssertionError("a try was kept")


def _refusals(facts: Sequence[Fact], error: RefusedRowError) -> list[Refusal]:
    """Of facts that history alone would have kept, too."""
    errors = {(each.entity, each.key_hash, each.rank): each for each in (error, *error.more)}
    found = ((fact, errors.pop((*_key(fact), fact.rank), None)) for fact in facts)
    return [Refusal(fact, refused) for fact, refused in found if refused]


def _key(fact: Fact) -> tuple[str, bytes]:
    return fact.event.entity, fact.key_hash


def _ids(refusals: Iterable[Refusal]) -> set[int]:
    return {id(refusal.fact) for refusal in refusals}


def _apply(
    batch: Batch, warehouse: Transactions, revisions: Mapping[str, int], *, keep: bool = True
) -> Counts:
    """One transaction through the guard; where it is not to be kept it ends with _TriedError."""
    sweeping = [entity for entity in batch.sweeps if entity not in revisions]
    with warehouse.transaction(shared=batch.entities(), exclusive=sweeping) as transaction:
        counts = transaction.apply(batch, revisions)
        if not keep:
            raise _TriedError
        return counts


def _rows(folded: Folded, catalog: Catalog) -> tuple[Mapping[str, list[Row]], list[Refusal]]:
    """The winners' rows, and the winners, sweeps included, that are refused: a replay checks only these."""
    rows: dict[str, list[Row]] = defaultdict(list)
    refusals = []
    for (entity, _), fact in folded.rows.items():
        try:
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
    sweeps: dict[str, list[Sweep]] = defaultdict(list)
    for (entity, key_hash), fact in folded.sweeps.items():
        event = fact.event
        sweeps[entity].append(Sweep(event.source, bucket_of(event, key_hash), event.position))
    return sweeps
