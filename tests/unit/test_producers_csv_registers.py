"""A snapshot that would delete more than `max_deleted` deletes nothing, and a person is told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations

import pytest
from csv_world import HEADER, World, links, notification, source_of

from producers import publisher
from producers.csv import stages
from producers.csv.registers import SIZE, KeySample, Loss, loss
from schemas.errors import TransientError
from schemas.event import key_hash
from schemas.sources.csv import Mode


def world(**source: object) -> World:
    return World(links(mode=Mode.SNAPSHOT, **source))


def body(urns: Iterable[object]) -> str:
    return "\n".join([HEADER, *(f"{urn},Name,,Y" for urn in urns), ""])


def drop(of: World, urns: Iterable[object]) -> bool:
    """Whether it swept."""
    before = len(of.sweeps())
    of.drop(body(urns))
    return len(of.sweeps()) > before


def test_a_register_cut_from_20_rows_to_2_deletes_nothing_and_alarms() -> None:
    one = world()
    assert drop(one, range(20))
    assert not drop(one, range(2))
    (reason,) = one.reasons()
    assert reason.startswith("no sweep published: it would delete 18 of 20 rows, more than max_deleted = 0.2")
    assert "raise max_deleted" in reason
    (letter,) = one.letters.letters
    assert json.loads(letter.payload)["moved_to"] in one.objects()
    assert len(one.facts()) == 22  # its rows are right


@pytest.mark.parametrize(
    ("before", "now", "limit", "swept"),
    [
        (100, 80, 0.2, True),
        (100, 79, 0.2, False),
        (12, 2, 0.2, True),  # ten rows
        (12, 1, 0.2, False),
        (20, 2, 0.9, True),
        (20, 2, 1.0, True),
        (20, 2, 18, True),
        (20, 2, 17, False),
        (20, 20, 0, True),
        (20, 19, 0, False),
        (20, 19, 0.0, True),
        (5, 50, 0.2, True),
    ],
)
def test_the_limit_is_a_number_of_rows_or_a_share_beyond_ten(
    before: int, now: int, limit: float, swept: bool
) -> None:
    one = world(max_deleted=limit)
    assert drop(one, range(before))
    assert drop(one, range(now)) is swept


def test_a_register_of_the_same_length_with_other_keys_deletes_too_much_as_well() -> None:
    one = world()
    assert drop(one, range(20))
    assert not drop(one, range(100, 120))
    assert "18" not in one.reasons()[0]
    assert "20 of 20 rows" in one.reasons()[0]


def test_rows_that_come_twice_do_not_hide_those_that_are_missing() -> None:
    one = world()
    assert drop(one, range(20))
    assert not drop(one, [1, 2] * 10)


def test_a_refused_file_does_not_become_the_measure() -> None:
    one = world()
    assert drop(one, range(20))
    assert [drop(one, range(2)) for _ in range(3)] == [False] * 3
    assert drop(one, range(19))


def test_rows_of_a_file_that_could_not_sweep_count_as_well() -> None:
    one = world()
    assert not drop(one, [*range(20), "x"])
    assert not drop(one, range(2))
    assert "it would delete 18 of 20 rows" in one.reasons()[1]


def test_a_person_who_raises_the_limit_and_drops_the_file_again_gets_the_rows_deleted() -> None:
    one = world()
    drop(one, range(20))
    assert not drop(one, range(2))
    one.entity = replace(one.entity, sources=(replace(source_of(one.entity), max_deleted=1.0),))
    assert drop(one, range(2))
    one.entity = links(mode=Mode.SNAPSHOT)
    assert drop(one, range(2))


def test_a_person_who_removes_the_register_and_drops_the_file_again_gets_the_rows_deleted() -> None:
    one = world()
    drop(one, range(20))
    assert not drop(one, range(2))
    for key in [key for key in one.objects() if key.startswith("registers/links/links/")]:
        one.bucket.delete(one.bucket.pin(key, None))
    assert drop(one, range(2))


def test_only_the_last_register_that_swept_is_kept() -> None:
    one = world()
    for count in (20, 21, 22):
        assert drop(one, range(count))
    assert len([key for key in one.objects() if key.startswith("registers/")]) == 1


def test_a_correction_and_other_modes_leave_no_register() -> None:
    for mode in (Mode.UPSERT, Mode.APPEND):
        one = World(links(mode=mode))
        one.drop(body(range(20)))
        one.drop(body(range(2)))
        assert one.reasons() == []
        assert not any(key.startswith("registers/") for key in one.objects())


def test_an_older_register_that_comes_late_is_not_measured_by_a_newer_one() -> None:
    for order in permutations(range(3)):
        one = world()
        uploads = [one.upload(body(range(count))) for count in (20, 25, 22)]
        for number in order:
            one.producer().take(notification(uploads[number]))
        assert one.reasons() == [], order
        assert len({sweep.position for sweep in one.sweeps()}) == 3


def test_a_file_that_goes_on_counts_the_keys_of_all_its_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MAX_CALL_BYTES", 1_000)
    monkeypatch.setattr(stages, "STAGE_BYTES", 1)
    one = world()
    assert drop(one, range(40))
    upload = one.upload(body(range(40)))
    left = iter([900.0] * 8)
    with pytest.raises(TransientError, match="the rest follows"):
        one.producer().handle(json.loads(notification(upload)), lambda: next(left, 0.0))
    one.producer().take(notification(upload))
    assert one.reasons() == []
    assert len({sweep.position for sweep in one.sweeps()}) == 2


# Samples


def sample(keys: Iterable[int]) -> KeySample:
    made = KeySample()
    for key in keys:
        made.add(key_hash("csv:school", f'["{key}"]'))
    return made


def test_a_sample_is_exact_up_to_its_size() -> None:
    assert loss(sample(range(SIZE - 1)), sample(range(100, SIZE))) == Loss(100, SIZE - 1)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("new", [0, 20_000], ids=["no new rows", "many new rows"])
def test_a_sample_of_a_large_register_is_near_the_truth(share: float, new: int) -> None:
    rows = 20_000
    gone = int(rows * share)
    found = loss(sample(range(rows)), sample(range(gone, rows + new)))
    assert found.keys == pytest.approx(rows, rel=0.06)
    assert found.missing / found.keys == pytest.approx(share, abs=0.03)


def test_inv5_a_sample_has_the_same_bytes_in_any_order_and_by_any_way() -> None:
    keys = range(3 * SIZE)
    merged = KeySample()
    for part in (range(SIZE), range(SIZE, 3 * SIZE)):
        merged.take(sample(part).encoded())
    assert sample(keys).encoded() == sample(reversed(keys)).encoded() == merged.encoded()
    assert len(merged.encoded()) == 8 * SIZE
