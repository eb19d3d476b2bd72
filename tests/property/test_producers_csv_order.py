"""The order of uploads is that of S3: within one second, too, and beside positions made without it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import NamedTuple

from csv_world import HEADER, World, links, notification
from hypothesis import given
from hypothesis import strategies as st

from producers.csv.uploads import Upload
from schemas.event import Event
from schemas.positions import (
    SWEEP_ROW,
    corrected_position,
    csv_file_position,
    csv_position,
    order_within_second,
)
from schemas.sources.csv import Mode

START = datetime(2025, 4, 22, 9, 30, tzinfo=UTC)
SECONDS = st.integers(0, 3)
MILLIS = st.integers(0, 999)
SEQUENCERS = st.text("0123456789ABCDEF", min_size=1, max_size=18)


class Told(NamedTuple):
    """One upload as its notification tells it. `order`: whether it tells when, as it did not always."""

    second: int
    millis: int
    sequencer: str
    version: str
    order: bool

    @property
    def position(self) -> str:
        last_modified = START + timedelta(seconds=self.second)
        event_time = last_modified + timedelta(milliseconds=self.millis)
        order = order_within_second(last_modified, event_time, self.sequencer) if self.order else ""
        return csv_file_position("", last_modified, "drop/links/a.csv", self.version, "e", order)


TOLD = st.builds(Told, SECONDS, MILLIS, SEQUENCERS, st.uuids().map(str), st.booleans())


@given(TOLD, TOLD)
def test_positions_of_both_forms_follow_the_uploads(one: Told, other: Told) -> None:
    same_form = one.order and other.order
    if one.second != other.second:
        expected = one.second < other.second
    elif same_form and one.millis != other.millis:
        expected = one.millis < other.millis
    elif same_form and one.sequencer.ljust(18, "0") != other.sequencer.ljust(18, "0"):
        expected = one.sequencer.ljust(18, "0") < other.sequencer.ljust(18, "0")
    elif one.order is not other.order:
        expected = other.order  # what was uploaded before this version of Headwater came
    else:
        return
    assert (one.position < other.position) is expected


@given(TOLD, TOLD, st.integers(1, 10**12 - 1), st.integers(1, 10**12 - 1))
def test_all_of_one_file_is_on_one_side_of_all_of_another(one: Told, other: Told, a: int, b: int) -> None:
    if one.position == other.position:
        return
    low, high = sorted([one.position, other.position])
    of_low = [
        csv_position(low, SWEEP_ROW),
        csv_position(low, a),
        corrected_position(csv_position(low, a), START),
    ]
    of_high = [csv_position(high, SWEEP_ROW), csv_position(high, b)]
    assert max(of_low) < min(of_high)


@given(MILLIS, SEQUENCERS, st.integers(1, 10**12 - 2))
def test_a_corrected_row_is_below_the_next_row_and_above_an_earlier_correction(
    millis: int, sequencer: str, row: int
) -> None:
    place = csv_file_position(
        "", START, "drop/links/a.csv", "v", "e", order_within_second(START, START, "0A")
    )
    order = order_within_second(START, START + timedelta(milliseconds=millis), sequencer)
    row_position, following = csv_position(place, row), csv_position(place, row + 1)
    before, after = corrected_position(row_position, START), corrected_position(row_position, START, order)
    assert row_position < before < after < following


@given(st.integers(-(10**9), 10**12), st.text(max_size=40))
def test_the_order_has_one_width_whatever_is_told(millis: int, sequencer: str) -> None:
    order = order_within_second(START, START + timedelta(milliseconds=millis), sequencer)
    assert len(order) == 26
    assert order.isascii()


# The whole source


def told(upload: Upload, millis: int, sequencer: str = "0A", **changes: object) -> str:
    found = json.loads(notification(upload, sequencer=sequencer, **changes))
    moment = upload.last_modified + timedelta(milliseconds=millis)
    found["Records"][0]["eventTime"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(found)


def winner(world: World) -> dict[str, str]:
    """Name by key, in the end: the greatest position wins."""
    facts = sorted(world.facts(), key=lambda fact: fact.position)
    return {fact.key: world.entity.schema.decode(fact.after or b"")["name"] for fact in facts}


def in_one_second(world: World, *names: str, keys: tuple[str, ...]) -> list[Upload]:
    world.minutes += 1
    return [
        world.bucket.upload(key, f"{HEADER}\n1,{name},,Y\n".encode())
        for name, key in zip(names, keys, strict=True)
    ]


ONE_KEY = ("drop/links/a.csv",) * 3
THREE_KEYS = tuple(f"drop/links/{name}.csv" for name in "cab")


def test_of_uploads_within_one_second_the_last_wins_in_whatever_order_they_are_taken() -> None:
    for keys in (ONE_KEY, THREE_KEYS):
        for order in permutations(range(3)):
            world = World(links())
            uploads = in_one_second(world, "first", "second", "third", keys=keys)
            for number in order:
                world.producer().take(told(uploads[number], millis=100 * number))
            assert winner(world) == {'["1"]': "third"}


def test_where_the_time_is_the_same_the_sequencer_decides_for_one_key() -> None:
    world = World(links())
    first, second = in_one_second(world, "first", "second", keys=ONE_KEY[:2])
    world.producer().take(told(second, 5, "0055AED6DCD90281E6"))
    world.producer().take(told(first, 5, "0055AED6DCD90281E5"))
    assert winner(world) == {'["1"]': "second"}


def test_notifications_without_a_version_speak_of_the_version_with_their_etag() -> None:
    for order in permutations(range(3)):
        world = World(links())
        uploads = in_one_second(world, "first", "second", "third", keys=ONE_KEY)
        for number in order:
            world.producer().take(told(uploads[number], millis=number, versionId=None))
        assert winner(world) == {'["1"]': "third"}
        assert world.reasons() == []


def sweeps_below(world: World, fact: Event) -> int:
    return sum(sweep.position > fact.position for sweep in world.sweeps())


def test_the_sweep_of_an_older_register_does_not_bury_the_rows_of_a_newer_one_of_its_second() -> None:
    for order in permutations(range(2)):
        world = World(links(mode=Mode.SNAPSHOT))
        world.minutes += 1
        older = world.bucket.upload("drop/links/b.csv", f"{HEADER}\n1,old,,Y\n2,gone,,Y\n".encode())
        newer = world.bucket.upload("drop/links/a.csv", f"{HEADER}\n1,new,,Y\n3,made,,Y\n".encode())
        notifications = told(older, 10), told(newer, 900)
        for number in order:
            world.producer().take(notifications[number])
        live = [fact.metadata["file"] for fact in world.facts() if not sweeps_below(world, fact)]
        assert live == ["a.csv", "a.csv"]


def test_inv5_a_notification_that_comes_again_gives_the_same_positions() -> None:
    positions = []
    for _ in range(2):
        world = World(links())
        (upload,) = in_one_second(world, "first", keys=ONE_KEY[:1])
        world.producer().take(told(upload, 123))
        world.producer().take(told(upload, 123))  # it is done
        positions.append([fact.position for fact in world.facts()])
        assert world.reasons() == []
    assert positions[0] == positions[1]


def test_rows_with_an_order_can_be_corrected_and_the_last_correction_wins() -> None:
    world = World(links())
    (upload,) = in_one_second(world, "x" * 30, keys=ONE_KEY[:1])
    world.producer().take(told(upload, 7))
    header, row = world.rejects()
    world.minutes += 1
    fixes = []
    for name in ("once", "twice"):
        cells = [*row[:5], name, *row[6:]]
        body = "\n".join([",".join(header), ",".join(f'"{cell}"' for cell in cells)])
        fixes.append(world.bucket.upload(f"corrections/links/{name}.csv", body.encode()))
    world.producer().take(told(fixes[1], 20))
    world.producer().take(told(fixes[0], 10))
    assert winner(world) == {'["1"]': "twice"}
