"""The facts of a batch as history keeps them: all of them, not the fold's winners. Pure."""

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
    """By entity, of those that keep one. The same rows for any order of the facts and any copies (INV-2).

    A payload that is not decoded yet is decoded; raises PoisonEventError as `to_row` does.
    """
    kept = {name for name, entity in catalog.entities.items() if entity.history}
    if not kept:
        return {}
    rows: dict[str, Rows] = defaultdict(dict)
    sweeps: dict[str, Sweeps] = defaultdict(dict)
    for fact in facts:
        entity = fact.event.entity
        if entity not in kept:
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
    return HistoryRow(*row, fact.event.operation)


def _sweep(fact: Fact) -> HistorySweep:
    event = fact.event
    bucket = bucket_of(event, fact.key_hash)
    return HistorySweep(event.source, bucket, event.position, event.occurred_at, event.event_id)
