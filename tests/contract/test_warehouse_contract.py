"""What every SQL engine behind the warehouse port keeps: the guard, sweeps and transactions."""

from collections.abc import Callable
from itertools import permutations

import pytest
from consumers_world import (
    CATALOG,
    ITEM,
    OTHER,
    A,
    B,
    apply,
    deleted,
    floor,
    item,
    position,
    row,
    seen,
    table,
)

from consumers.warehouse.port import (
    LIVE_READER,
    Batch,
    Checkpoint,
    Counts,
    Row,
    Sweep,
    Warehouse,
    padded,
)
from schemas.errors import ConfigurationError

pytest_plugins = ("warehouse_engines",)

Open = Callable[..., Warehouse]


# Rows: the guard.


def test_ensure_makes_an_empty_view_of_each_entity_and_is_harmless_to_repeat(connect: Open) -> None:
    first, second = connect(), connect()
    first.ensure()
    apply(first, ITEM, row(ITEM, item("x"), 1))
    second.ensure()
    assert len(seen(second)) == 1
    assert [(each.entity, each.revision) for each in second.status()] == [
        (name, 1) for name in sorted(CATALOG.entities)
    ]


def test_a_row_is_changed_only_by_a_greater_rank(warehouse: Warehouse) -> None:
    older, newer = row(ITEM, item("x", 1), 1), row(ITEM, item("x", 2), 2)
    assert apply(warehouse, ITEM, older) == Counts(applied=1)
    assert apply(warehouse, ITEM, newer) == Counts(applied=1)
    assert apply(warehouse, ITEM, older) == Counts(superseded=1)
    assert apply(warehouse, ITEM, newer) == Counts(duplicate=1)
    assert table(warehouse) == [newer]


def test_inv4_each_row_of_a_mixed_batch_is_counted_once(warehouse: Warehouse) -> None:
    there = [row(ITEM, item(f"{n}"), 5) for n in range(1_000)]
    apply(warehouse, ITEM, *there)
    mixed = [
        *there[:200],
        *(row(ITEM, item(f"{n}"), 4) for n in range(200, 500)),
        *(row(ITEM, item(f"{n}"), 6) for n in range(500, 900)),
        *(row(ITEM, item(f"{n}"), 1) for n in range(2_000, 2_050)),
    ]
    assert apply(warehouse, ITEM, *mixed) == Counts(applied=450, superseded=300, duplicate=200)
    assert apply(warehouse, ITEM) == Counts()


def test_of_one_position_with_other_bytes_the_same_one_wins_in_both_orders(warehouse: Warehouse) -> None:
    lesser, greater = sorted([row(ITEM, item("x", 1), 7), row(ITEM, item("x", 2), 7)])
    for order in ([lesser, greater], [greater, lesser]):
        revision = warehouse.create_revision("item")
        for each in order:
            apply(warehouse, ITEM, each, revision=revision)
        assert table(warehouse, revision=revision) == [greater]


def test_keys_that_differ_in_case_blanks_accents_or_width_are_different_rows(
    warehouse: Warehouse, nul: str
) -> None:
    plain = ["a", "A", "a ", " a", "", "ä", "a\u0308", "ａ", "x" * 2_000, "'; DROP TABLE x; --", "😀", "%s"]
    keys = [*plain, *([f"a{nul}"] if nul else [])]
    rows = [row(ITEM, item(key), 1) for key in keys]
    assert apply(warehouse, ITEM, *rows) == Counts(applied=len(keys))
    assert sorted(table(warehouse)) == sorted(rows)


def test_two_entities_with_one_key_have_a_row_each(warehouse: Warehouse) -> None:
    mine, others = row(ITEM, item("x"), 1), row(OTHER, {"id": "x"}, 1)
    assert mine.key_hash == others.key_hash
    with warehouse.transaction(shared=["item", "other"]) as transaction:
        assert transaction.apply(Batch({"item": [mine], "other": [others]})) == Counts(applied=2)
    assert table(warehouse) == [mine]
    assert table(warehouse, OTHER) == [others]


def test_rows_come_in_the_order_of_their_key_hashes(warehouse: Warehouse) -> None:
    rows = [row(ITEM, item(f"{n}"), n) for n in range(3_000)]
    apply(warehouse, ITEM, *rows)
    assert table(warehouse) == sorted(rows)


def test_many_rows_come_whole_whether_they_differ_in_source_and_deletion_or_not(warehouse: Warehouse) -> None:
    alike = [row(ITEM, item(f"{n}", label='a "\\n" %s'), n)._replace(source="50%s's") for n in range(1_500)]
    mixed = [
        deleted(ITEM, {"id": f"x{n}"}, n) if n % 3 else row(ITEM, item(f"x{n}", label="\\"), n, source=B)
        for n in range(1_500)
    ]
    apply(warehouse, ITEM, *alike)
    apply(warehouse, ITEM, *mixed)
    assert table(warehouse) == sorted([*alike, *mixed], key=lambda each: each.key_hash)


# Tombstones and sweeps.


def test_a_deleted_row_stays_as_a_tombstone_that_no_reader_sees(warehouse: Warehouse) -> None:
    gone = deleted(ITEM, {"id": "x"}, 2)
    apply(warehouse, ITEM, row(ITEM, item("x"), 1))
    apply(warehouse, ITEM, gone)
    assert table(warehouse) == [gone]
    assert seen(warehouse) == []
    assert apply(warehouse, ITEM, row(ITEM, item("x"), 1)) == Counts(superseded=1)
    apply(warehouse, ITEM, row(ITEM, item("x", 3), 3))
    assert len(seen(warehouse)) == 1


def test_a_sweep_buries_what_is_older_and_changes_nothing_else_of_a_row(warehouse: Warehouse) -> None:
    swept = row(ITEM, item("x"), 1)
    apply(warehouse, ITEM, swept)
    assert apply(warehouse, ITEM, sweeps=[floor(swept, 2)]) == Counts(applied=1)
    assert table(warehouse) == [swept._replace(deleted=True)]
    assert seen(warehouse) == []


def test_a_sweep_reaches_its_own_bucket_source_and_entity_only(warehouse: Warehouse) -> None:
    mine = row(ITEM, item("x"), 1)
    other_source = row(ITEM, item("x"), 1, source=B)
    other_source = other_source._replace(key_hash=mine.key_hash[:1] + other_source.key_hash[1:])
    twin = row(OTHER, {"id": "x"}, 1)
    neighbours = [
        each
        for each in (row(ITEM, item(f"{n}"), 1) for n in range(50))
        if each.key_hash[0] != mine.key_hash[0]
    ]
    apply(warehouse, ITEM, mine, other_source, *neighbours)
    apply(warehouse, OTHER, twin)
    apply(warehouse, ITEM, sweeps=[floor(mine, 2)])
    assert sorted(table(warehouse)) == sorted([mine._replace(deleted=True), other_source, *neighbours])
    assert table(warehouse, OTHER) == [twin]


@pytest.mark.parametrize("bucket", [0, 127, 255])
def test_the_first_and_the_last_bucket_are_swept_as_any_other(warehouse: Warehouse, bucket: int) -> None:
    made = row(ITEM, item("x"), 1)
    rows = [
        made._replace(key_hash=bytes([at]) + end)
        for at in {0, 1, 126, 127, 128, 254, 255}
        for end in (bytes(15), b"\xff" * 15)
    ]
    apply(warehouse, ITEM, *rows)
    apply(warehouse, ITEM, sweeps=[Sweep(A, bucket, position(2))])
    buried = [each.key_hash for each in table(warehouse) if each.deleted]
    assert buried == [bytes([bucket]) + bytes(15), bytes([bucket]) + b"\xff" * 15]


def test_a_row_at_the_position_of_the_sweep_or_above_lives(warehouse: Warehouse) -> None:
    at_floor = row(ITEM, item("x"), 2)
    corrected = row(ITEM, item("y"), 0, position=position(2) + "+20240101T000000Z")
    apply(warehouse, ITEM, sweeps=[floor(at_floor, 2), floor(corrected, 2)])
    apply(warehouse, ITEM, at_floor, corrected)
    apply(warehouse, ITEM, sweeps=[floor(at_floor, 2), floor(corrected, 2)])
    assert not any(each.deleted for each in table(warehouse))


def test_a_correction_of_a_row_below_the_floor_stays_below(warehouse: Warehouse) -> None:
    corrected = row(ITEM, item("y"), 0, position=position(1) + "+20240101T000000Z")
    apply(warehouse, ITEM, sweeps=[floor(corrected, 2)])
    apply(warehouse, ITEM, corrected)
    assert table(warehouse) == [corrected._replace(deleted=True)]


def test_inv2_an_older_row_that_comes_after_the_sweep_is_a_tombstone_and_a_newer_one_lives_again(
    warehouse: Warehouse,
) -> None:
    late, newer = row(ITEM, item("x", 1), 1), row(ITEM, item("x", 3), 3)
    assert apply(warehouse, ITEM, sweeps=[floor(late, 2)]) == Counts(applied=1)
    assert apply(warehouse, ITEM, late) == Counts(applied=1)
    assert table(warehouse) == [late._replace(deleted=True)]
    apply(warehouse, ITEM, newer)
    assert table(warehouse) == [newer]


def test_inv2_rows_and_sweeps_end_the_same_in_any_order_and_in_any_batches(warehouse: Warehouse) -> None:
    facts: list[Row | Sweep] = [
        row(ITEM, item("x", 1), 1),
        floor(row(ITEM, item("x"), 0), 2),
        row(ITEM, item("x", 3), 3),
        floor(row(ITEM, item("x"), 0), 4),
        deleted(ITEM, {"id": "x"}, 5),
    ]
    for length in range(1, len(facts) + 1):
        for order in permutations(facts[:length]):
            revision = warehouse.create_revision("item")
            for each in order:
                rows = [each] if isinstance(each, Row) else []
                sweeps = [each] if isinstance(each, Sweep) else []
                apply(warehouse, ITEM, *rows, sweeps=sweeps, revision=revision)
            (end,) = table(warehouse, ITEM, revision)
            winner = max(each for each in order if isinstance(each, Row))
            floors = [each.position for each in order if isinstance(each, Sweep)]
            buried = winner.deleted or any(winner.rank < each for each in floors)
            assert end == winner._replace(deleted=buried)
            warehouse.drop_revision("item", revision)


def test_inv4_a_sweep_is_applied_where_the_floor_rises_and_counted_where_not(warehouse: Warehouse) -> None:
    def swept(number: int) -> Counts:
        return apply(warehouse, ITEM, sweeps=[Sweep(A, 7, position(number))])

    assert [swept(2), swept(2), swept(1), swept(3)] == [
        Counts(applied=1),
        Counts(duplicate=1),
        Counts(superseded=1),
        Counts(applied=1),
    ]


def test_of_a_sweep_and_an_older_row_in_one_batch_the_row_is_a_tombstone(warehouse: Warehouse) -> None:
    older = row(ITEM, item("x"), 1)
    apply(warehouse, ITEM, older, sweeps=[floor(older, 2)])
    assert table(warehouse) == [older._replace(deleted=True)]


# Transactions.


def test_everything_of_a_batch_is_in_one_transaction(warehouse: Warehouse) -> None:
    made = row(ITEM, item("x"), 1)
    batch = Batch(
        {"item": [made], "other": [row(OTHER, {"id": "x"}, 1)]},
        {"item": [Sweep(A, 3, position(9))]},
        [Checkpoint(LIVE_READER, "stream", "shard", padded("1"))],
    )
    with pytest.raises(KeyboardInterrupt), warehouse.transaction(["other"], ["item"]) as transaction:  # noqa: PT012
        assert transaction.apply(batch) == Counts(applied=3)
        raise KeyboardInterrupt
    assert table(warehouse) == table(warehouse, OTHER) == []
    with warehouse.transaction(["other"], ["item"]) as transaction:
        assert transaction.checkpoints(LIVE_READER) == []
        assert transaction.apply(batch) == Counts(applied=3)
        assert transaction.checkpoints(LIVE_READER) == list(batch.checkpoints)


def test_inv8_a_reader_sees_a_batch_when_it_is_committed_and_not_before(
    warehouse: Warehouse, connect: Open
) -> None:
    reader = connect()
    with warehouse.transaction(["item"]) as transaction:
        transaction.apply(Batch({"item": [row(ITEM, item(f"{n}"), 1) for n in range(100)]}))
        assert seen(reader) == table(reader) == []
    assert len(seen(reader)) == 100


def test_rows_are_all_from_one_snapshot_while_a_writer_goes_on(warehouse: Warehouse, connect: Open) -> None:
    before = [row(ITEM, item(f"{n}"), 1) for n in range(3_000)]
    apply(warehouse, ITEM, *before)
    rows = warehouse.rows("item", 1)
    first = next(rows)
    apply(connect(), ITEM, *(row(ITEM, item(f"{n}"), 2) for n in range(3_000)))
    assert [first, *rows] == sorted(before)


def test_checkpoints_only_go_forward(warehouse: Warehouse) -> None:
    def save(*sequences: str) -> list[Checkpoint]:
        with warehouse.transaction() as transaction:
            transaction.save_checkpoints(
                [Checkpoint(LIVE_READER, "stream", "shard", padded(each)) for each in sequences]
            )
            return transaction.checkpoints(LIVE_READER)

    assert [int(each.sequence) for each in save("9")] == [9]
    assert [int(each.sequence) for each in save("10", "8")] == [10]
    assert [int(each.sequence) for each in save("2")] == [10]
    assert save("49590338271490256608559692538361571095921575989136588898")[0].sequence.endswith("588898")


def test_checkpoints_of_readers_streams_and_shards_are_apart(warehouse: Warehouse) -> None:
    places = [
        Checkpoint(reader, stream, shard, padded("5"))
        for reader in (LIVE_READER, "item__r2")
        for stream in ("s1", "s2")
        for shard in ("a", "b")
    ]
    with warehouse.transaction() as transaction:
        transaction.save_checkpoints(reversed(places))
        assert transaction.checkpoints(LIVE_READER) == places[:4]
        assert transaction.checkpoints("nobody") == []


def test_rows_of_gives_the_rows_asked_for_that_are_there(warehouse: Warehouse) -> None:
    rows = [row(ITEM, item(f"{n}"), 1) for n in range(2_000)]
    apply(warehouse, ITEM, *rows[:1_500])
    with warehouse.transaction(shared=["item"]) as transaction:
        found = transaction.rows_of("item", 1, [each.key_hash for each in rows[400:]])
    assert found == {each.key_hash: each for each in rows[400:1_500]}


def test_what_needs_a_lock_that_is_not_held_fails_whatever_the_engine_locks(warehouse: Warehouse) -> None:
    made = row(ITEM, item("x"), 1)
    with pytest.raises(ValueError, match="lock"), warehouse.transaction(shared=["other"]) as transaction:
        transaction.apply(Batch({"item": [made]}))
    with pytest.raises(ValueError, match="lock"), warehouse.transaction(shared=["item"]) as transaction:
        transaction.apply(Batch({}, {"item": [floor(made, 1)]}))
    building = warehouse.create_revision("item")
    with pytest.raises(ValueError, match="lock"), warehouse.transaction(shared=["item"]) as transaction:
        transaction.swap("item", building)
    with warehouse.transaction(shared=["item"]) as transaction:
        transaction.apply(Batch({}, {"item": [floor(made, 1)]}), {"item": building})


def test_an_entity_that_is_not_in_the_catalog_is_a_configuration_error(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match="'nobody'"), warehouse.transaction(shared=["nobody"]):
        pass


def test_status_counts_live_rows_and_tombstones_and_tells_the_newest_moment(warehouse: Warehouse) -> None:
    newest = row(ITEM, item("y"), 7)
    apply(warehouse, ITEM, row(ITEM, item("x"), 1), newest, deleted(ITEM, {"id": "z"}, 2))
    status = {each.entity: each for each in warehouse.status()}
    assert (status["item"].live, status["item"].tombstones) == (2, 1)
    assert status["item"].newest == newest.occurred_at
    assert (status["other"].live, status["other"].newest) == (0, None)
