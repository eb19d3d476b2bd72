"""History rows of a batch: every fact, not only the winners of the fold. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from consumers.facts import SWEEP, Fact
from consumers.rows import to_row
from consumers.warehouse.port import History, HistoryRow, HistorySweep
from schemas.catalog.entity import Catalog
from schemas.event import bucket_of

Rows = dict[tuple[bytes, str], HistoryRow]
Sweeps = dict[HistorySweep, None]


def history_of(facts: Iterable[Fact], catalog: Catalog) -> Mapping[str, History]:
    """Return the history of each entity that keeps one.

    The result does not depend on the order of the facts or on duplicates among them (INV-2). Decodes payloads
    that are not decoded yet, and raises PoisonEventError as `to_row` does.
    """
    with_history = {name for name, entity in catalog.entities.items() if entity.history}
    if not with_history:
        return {}
    # Keyed by key hash and rank, or by the sweep itself: a duplicate replaces an equal entry.
    rows: dict[str, Rows] = defaultdict(dict)
    sweeps: dict[str, Sweeps] = defaultdict(dict)
    for fact in facts:
        entity = fact.event.entity
        if entity not in with_history:
            continue
        if fact.event.operation == SWEEP:
            sweeps[entity][_sweep(fact)] = None
        else:
            rows[entity][fact.key_hash, fact.rank] = _row(fact, catalog)
    return {
        entity: History(list(rows[entity].values()), list(sweeps[entity]))
        for entity in rows.keys() | sweeps.keys()
    }


def _row(fact: Fact, catalog: Catalog) -> HistoryRow:
    row = fact.row or to_row(fact, catalog.entity_of(fact.schema))
    return HistoryRow(*row, operation=fact.event.operation)


def _sweep(fact: Fact) -> HistorySweep:
    event = fact.event
    return HistorySweep(
        source=event.source,
        bucket=bucket_of(event, fact.key_hash),
        position=event.position,
        occurred_at=event.occurred_at,
        event_id=event.event_id,
    )
