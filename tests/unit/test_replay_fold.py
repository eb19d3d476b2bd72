"""A chunk of frames to the facts that count."""

from pathlib import Path

import pytest
from consumers_world import CATALOG, ITEM, OTHER, A, B, entity, event, field, item, sweep
from replay_world import business, oracle

from consumers.consume import project
from consumers.warehouse.port import Counts
from consumers.warehouse.sqlite.warehouse import open_warehouse
from replay.fold import EventFilter, Facts, checked_facts, surviving_facts
from schemas.errors import PoisonEventError
from schemas.event import Operation, encode_event

K1 = [encode_event(event(ITEM, item("k1", n), n)) for n in range(4)]
WANTED = EventFilter(ITEM)


def survivors(frames: list[bytes], wanted: EventFilter = WANTED) -> Facts:
    return surviving_facts(frames, wanted, CATALOG.registry)


def positions(found: Facts) -> list[str]:
    return [each.event.position for each in found.facts]


def test_only_the_greatest_position_of_a_key_survives_in_any_order() -> None:
    for frames in (K1, K1[::-1], [K1[2], K1[3], K1[0], K1[1]]):
        found = survivors(frames)
        assert [each.frame for each in found.facts] == [K1[3]]
        assert found.counts == Counts(superseded=3)


def test_the_same_bytes_again_are_a_duplicate_and_other_bytes_of_the_position_are_kept_for_the_rank() -> None:
    redeployed = encode_event(event(ITEM, item("k1", 3), 3, metadata={"by": "another build"}))

    found = survivors([K1[3], K1[3], redeployed, K1[3]])

    assert {each.frame for each in found.facts} == {K1[3], redeployed}
    assert found.counts == Counts(duplicate=2)


def test_a_sweep_of_bucket_7_and_a_row_whose_key_is_7_are_two_things() -> None:
    row_7 = encode_event(event(ITEM, item("7"), 9))
    found = survivors([row_7, encode_event(sweep(ITEM, 7, 1)), encode_event(sweep(ITEM, 7, 2))])
    assert sorted(positions(found)) == ["2024-000002", "2024-000009"]


def test_one_key_of_two_sources_is_two_rows() -> None:
    found = survivors(
        [encode_event(event(ITEM, item("k1"), n, source=source)) for n, source in enumerate((A, B))]
    )
    assert len(found.facts) == 2


def test_events_of_others_are_left_out_and_not_counted() -> None:
    other = encode_event(event(OTHER, {"id": "item", "note": "item"}, 1))
    assert survivors([other]) == Facts([], Counts())
    assert checked_facts([other], WANTED, CATALOG.registry) == Facts([], Counts())


def test_until_is_inclusive() -> None:
    occurred = event(ITEM, item("k1", 2), 2).occurred_at
    assert positions(survivors(K1, EventFilter(ITEM, occurred))) == ["2024-000002"]
    assert positions(survivors(K1, EventFilter(ITEM, occurred - 1))) == ["2024-000001"]


def test_a_frame_that_is_no_event_is_dead() -> None:
    assert survivors([b"", b"item", K1[0]]).counts == Counts(dead=2)


def test_an_event_without_a_schema_gives_the_quick_way_up() -> None:
    stray = encode_event(event(ITEM, item("k1"), 9, schema_fingerprint=b"unknown!"))
    with pytest.raises(PoisonEventError):
        survivors([stray])
    found = checked_facts([stray, K1[1], K1[0]], WANTED, CATALOG.registry)
    assert positions(found) == ["2024-000001", "2024-000000"]
    assert found.counts == Counts(dead=1)


def test_every_frame_of_an_entity_holds_its_needle() -> None:
    for name in ("a", "x" * 63, "x" * 64, "x" * 100):
        long_name = entity(name, [field("id", "string")], ["id"])
        made = event(long_name, {"id": "k"}, 1)
        assert EventFilter(long_name).needle in encode_event(made)
        assert EventFilter(long_name).needle in encode_event(sweep(long_name, 3, 1))


def test_the_quick_way_and_the_checked_way_make_one_table(tmp_path: Path) -> None:
    frames = [
        encode_event(each)
        for n in range(30)
        for each in (
            event(ITEM, item(f"k{n % 5}", n), n * 7 % 30),
            event(ITEM, {"id": f"k{n % 4}"}, n * 11 % 30, Operation.DELETE),
            sweep(ITEM, n * 37 % 256, n),
        )
    ]
    tables = []
    for way in (surviving_facts, checked_facts):
        warehouse = open_warehouse(f"sqlite:///{tmp_path}/{way.__name__}.db", [ITEM])
        warehouse.ensure()
        facts, counts = way(frames, WANTED, CATALOG.registry)
        counts += project(facts, CATALOG, warehouse, lambda _refusals: None)
        tables.append(business(warehouse.rows("item", 1)))
        assert counts.accepted == len(frames)
    assert tables[0] == tables[1] == oracle(ITEM, frames)
