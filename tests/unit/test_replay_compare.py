"""A live table against its log."""

from pathlib import Path
from uuid import UUID

import pytest
from consumers_world import EVERY, ITEM, LINE, A, B, deleted, event, item, row, sweep
from replay_world import Pipe, Watched

from consumers.warehouse.port import Row
from replay.compare import compare
from replay.differences import differences, paired
from schemas.errors import LogIntegrityError
from schemas.event import encode_event


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    made = Pipe(tmp_path)
    made.publish(*(event(ITEM, item(f"k{n}", n), n) for n in range(5)))
    made.flush()
    made.consume()
    return made


def told(pipe: Pipe, **more: object) -> list[tuple[str, tuple[str, ...]]]:
    return sorted((each.key, each.what) for each in compare(pipe.ports(**more), ITEM))


def hashed(number: int, **more: object) -> Row:
    return row(ITEM, item("k"), 1)._replace(key_hash=bytes([number]) * 16, **more)


def test_a_table_that_is_what_its_log_says_has_no_differences(pipe: Pipe) -> None:
    assert told(pipe) == []


def test_every_row_that_differs_is_named_with_what_differs(pipe: Pipe) -> None:
    pipe.consumer.consume([encode_event(event(ITEM, item("never logged"), 9))])
    with pipe.warehouse.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE staging_item__r1 SET size = 9, price = '0.01' WHERE id = 'k1'")
        connection.exec_driver_sql("DELETE FROM staging_item__r1 WHERE id = 'k2'")
        connection.exec_driver_sql("UPDATE staging_item__r1 SET _deleted = 1 WHERE id = 'k3'")

    assert told(pipe) == [
        ('["k1"]', ("size", "price")),
        ('["k2"]', ("missing",)),
        ('["k3"]', ("_deleted",)),
        ('["never logged"]', ("extra",)),
    ]


def test_more_rows_under_way_than_are_looked_at_again_count_at_once(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.compare.MAX_PENDING", 1)
    pipe.publish(event(ITEM, item("k1", 77), 50), event(ITEM, item("k2", 77), 51))
    pipe.flush()
    assert len(told(pipe)) == 1


def test_what_is_not_in_the_log_yet_makes_no_difference(pipe: Pipe) -> None:
    pipe.publish(event(ITEM, item("k1", 77), 50))
    pipe.consume()
    assert told(pipe) == []


def test_what_is_not_in_the_table_yet_makes_no_difference(pipe: Pipe) -> None:
    pipe.publish(event(ITEM, item("k1", 77), 50), sweep(ITEM, 3, 51))
    pipe.flush()
    assert told(pipe) == []


def test_a_consumer_that_goes_on_meanwhile_makes_no_difference(pipe: Pipe) -> None:
    watched = Watched(pipe.warehouse)
    numbers = iter(range(100, 110))

    def just_before(_exclusive: object) -> None:
        for number in numbers:
            pipe.publish(event(ITEM, item(f"k{number % 7}", number), number))
            pipe.consume()
            return

    watched.before = just_before
    pipe.stream.before_read = lambda _shard: just_before(())
    assert told(pipe, warehouse=watched) == []
    assert len(pipe.published) > 5


def test_a_damaged_log_is_no_base_for_a_comparison(pipe: Pipe) -> None:
    key = max(pipe.log.contents, key=lambda key: (not key.startswith("log/_"), key))
    pipe.log.put(key, pipe.log.contents[key][:-1])
    with pytest.raises(LogIntegrityError, match="the log is damaged: log/2026"):
        told(pipe)


def test_nothing_is_left_of_the_scratch_file(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pipe.folder / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    next(compare(pipe.ports(), ITEM), None)
    assert list(folder.iterdir()) == []


def test_pairs_come_in_key_hash_order_and_leave_no_row_out() -> None:
    left, right = [hashed(1), hashed(2), hashed(5)], [hashed(2), hashed(3), hashed(5), hashed(6)]
    found = [(a and a.key_hash[0], b and b.key_hash[0]) for a, b in paired(left, right)]
    assert found == [(1, None), (2, 2), (None, 3), (5, 5), (None, 6)]


def test_equal_columns_under_another_rank_are_no_difference() -> None:
    assert list(differences(ITEM, [hashed(1, rank="a")], [hashed(1, rank="b", event_id=b"x")])) == []


def test_a_difference_tells_which_side_knows_the_later_event() -> None:
    def newer(expected: list[Row], actual: list[Row]) -> str:
        return next(differences(ITEM, expected, actual)).newer

    old, new = hashed(1, rank="1", source=A), hashed(1, rank="2", source=B)
    assert newer([new], [old]) == "log"
    assert newer([old], [new]) == "table"
    assert newer([old], []) == "log"
    assert newer([], [old]) == "table"
    assert newer([old], [old._replace(source=B)]) == "neither"
    # A sweep changes no rank: the side that has the tombstone knows more.
    assert newer([old._replace(deleted=True)], [old]) == "log"
    assert newer([old], [old._replace(deleted=True)]) == "table"


def test_a_table_without_key_columns_is_told_apart_by_key_hash_alone() -> None:
    found = next(differences(LINE, [row(LINE, {"text": "a"}, 1)], []))
    assert (found.key, found.what, len(found.key_hash)) == ("", ("missing",), 16)


def test_keys_of_tombstones_and_of_other_types_are_named_in_canonical_form() -> None:
    key = "0a6d3ec5-5f0c-4c25-9bb8-7c0b7f1c6a52"
    gone = deleted(EVERY, {"id": UUID(key)}, 1)
    assert next(differences(EVERY, [gone], [])).key == f'["{key}"]'
