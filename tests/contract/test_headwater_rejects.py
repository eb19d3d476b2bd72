"""Rejected rows are open until they are corrected or discarded, and each object is read once in its life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from csv_world import HEADER, World, links

from headwater.views.kept_facts import facts_of, load
from headwater.views.letter_ledgers import KeptLedger, count_letters
from headwater.views.letter_summary import counts_of
from headwater.views.log_size import LogSize, log_size
from headwater.views.rejected_rows import RejectedRow, Rejects, count_rejects, discard, rejected
from replay.log.reader import S3Log
from schemas.errors import ConfigurationError
from schemas.letters.letter import DeadLetter, encode_letters, letter_id, letters_key
from schemas.letters.outcomes import LetterOutcome
from schemas.letters.redriving import iter_letters
from schemas.letters.s3_letters import S3Letters
from schemas.s3_objects import StoredObject
from schemas.settings import Settings


class Place:
    """A bucket of the test's own, and how many requests were made for objects in it."""

    def __init__(self, aws: Any) -> None:
        self.s3, self.bucket = aws.client("s3"), aws.name("place")
        self.s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        self.aws: Any = SimpleNamespace(s3=self.s3)
        self.settings = Settings(source_bucket=self.bucket, log_bucket=self.bucket)
        self.read: list[str] = []
        self.s3.meta.events.register("provide-client-params.s3.GetObject", self._note)

    def _note(self, params: dict[str, Any], **_: object) -> None:
        if not params["Key"].startswith("summaries/"):
            self.read.append(params["Key"])

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def hold(self, world: World) -> None:
        """Everything that lies in the world's bucket."""
        for key in world.objects():
            self.put(key, world.bucket.body(key))

    def rejects(self) -> Rejects:
        return count_rejects(self.aws, self.settings)

    def rows(self) -> list[RejectedRow]:
        return list(rejected(self.aws, self.settings))


@pytest.fixture
def place(aws: Any) -> Place:
    return Place(aws)


def corrected(world: World, *rows: list[str]) -> bytes:
    """A correction of these rows of the world's one rejects file."""
    header = next(iter(world.rejects()))
    return "".join(",".join(row) + "\n" for row in [header, *rows]).encode()


BAD = f"{HEADER}\n1,a,,Y\n2,b,,maybe\n3,c,,maybe\nx,d,,N\n"


def test_a_rejected_row_is_open_until_a_correction_was_accepted(place: Place) -> None:
    world = World(links())
    world.drop(BAD)
    place.hold(world)
    assert place.rejects() == (3, 0, 0)
    _, second, third, _ = world.rejects()
    world.drop(corrected(world, [*second[:-1], "Y"], third), "corrections/links/mine.csv")
    place.hold(world)
    assert place.rejects() == (2, 0, 1)  # the third was rejected again, and counts once
    states = {row.cells["row"]: row.closed.state if row.closed else None for row in place.rows()}
    assert states == {"2": "corrected", "3": None, "4": None}


def test_a_killed_correction_closes_nothing_that_is_not_published(place: Place) -> None:
    """And run again it records the same, under the same name (INV-5)."""
    world = World(links())
    world.drop(BAD)
    _, second, *_ = world.rejects()
    body = corrected(world, [*second[:-1], "Y"])
    world.drop(body, "corrections/links/mine.csv")
    (key,) = [key for key in world.objects() if key.endswith(".closed.jsonl")]
    before = world.bucket.body(key)
    world.bucket.upload("corrections/links/mine.csv", body)
    place.hold(world)
    assert place.rejects() == (2, 0, 1)
    assert second[1].encode() in before


def test_a_row_is_discarded_with_a_reason_and_stays_as_a_record(place: Place) -> None:
    world = World(links())
    world.drop(BAD)
    place.hold(world)
    first, *others = place.rows()
    discard(place.aws, place.settings, [first.id], "a test row")
    discard(place.aws, place.settings, [others[0].id], "a test row")
    assert place.rejects() == (1, 0, 2)
    assert [row.closed and (row.closed.state, row.closed.reason) for row in place.rows()] == [
        ("discarded", "a test row"),
        ("discarded", "a test row"),
        None,
    ]
    for wrong in (first.id, "nothing"):
        with pytest.raises(ConfigurationError, match="is no open rejected row: see `headwater"):
            discard(place.aws, place.settings, [others[1].id, wrong], "once more")
    assert place.rejects() == (1, 0, 2)


def test_rows_without_a_position_have_a_place_and_can_be_discarded(place: Place) -> None:
    """Of a correction that names no rejected row, or of a file that a person put there."""
    world = World(links())
    world.drop(BAD)
    _, second, *_ = world.rejects()
    world.drop(corrected(world, ["1", "nowhere", *second[2:]]), "corrections/links/mine.csv")
    place.hold(world)
    assert place.rejects() == (4, 0, 0)
    (odd,) = [row for row in place.rows() if "#" in row.id]
    discard(place.aws, place.settings, [odd.id], "a mistake")
    assert place.rejects() == (3, 0, 1)


def test_an_object_is_read_once_in_its_life(place: Place) -> None:
    world = World(links())
    for number in range(5):
        world.drop(BAD, f"drop/links/{number}.csv")
    place.hold(world)
    assert place.rejects() == (15, 0, 0)
    assert len(place.read) == 5
    assert place.rejects() == (15, 0, 0)
    assert len(place.read) == 5
    world.drop(BAD, "drop/links/new.csv")
    place.hold(world)
    assert place.rejects() == (18, 0, 0)
    assert len(place.read) == 6


def letters(*payloads: bytes) -> list[DeadLetter]:
    return [
        DeadLetter(letter_id(each), "consumer", "school", "s", "p", "secret", "data", each, 5)
        for each in payloads
    ]


def test_kept_counts_of_letters_equal_a_full_count_after_each_change(place: Place) -> None:
    ledger, asked = S3Letters(place.s3, place.bucket), 0
    batches = [letters(b"1", b"2"), letters(b"2", b"3"), letters(b"4")]
    for number, batch in enumerate(batches):
        key = letters_key(batch)
        place.put(key, encode_letters(batch))
        if number:
            ledger.record(
                key, [LetterOutcome("consumer", batch[0].id, ("redriven", "discarded")[number - 1], "why")]
            )
        asked -= len(place.read)
        kept = count_letters(place.aws, place.settings)
        asked += len(place.read)
        assert kept == counts_of(iter_letters([ledger]))
    assert asked == 5  # three objects of letters and two of outcomes, each once
    assert b"secret" not in repr(load(place.aws, place.bucket, "dead-letters")).encode()


def test_a_kept_ledger_has_no_payloads(place: Place) -> None:
    batch = letters(b"1")
    place.put(letters_key(batch), encode_letters(batch))
    (found,) = KeptLedger(place.aws, place.bucket).batches()
    assert [(each.name, each.payload, each.reason) for each in found.letters] == [(batch[0].name, b"", "")]


@pytest.mark.parametrize("body", [b"", b"junk", b"\x1f\x8b\x08junk"])
def test_kept_facts_that_cannot_be_read_are_read_again(place: Place, body: bytes) -> None:
    place.put("a", b"1")
    items = [StoredObject("a", 1, 0.0)]
    assert facts_of(place.aws, place.bucket, "x", items, lambda item: item.key) == {"a": "a"}
    place.put("summaries/x.json.gz", body)
    assert facts_of(place.aws, place.bucket, "x", items, lambda item: item.key * 2) == {"a": "aa"}


def test_an_object_of_another_size_is_read_again(place: Place) -> None:
    for size in (1, 2):
        found = facts_of(place.aws, place.bucket, "x", [StoredObject("a", size, 0.0)], lambda item: item.size)
        assert found == {"a": size}
    assert facts_of(place.aws, place.bucket, "x", [], lambda item: item.size) == {}


def test_facts_are_told_where_the_bucket_may_not_be_written_to(place: Place) -> None:
    gone: Any = SimpleNamespace(s3=place.s3)
    items = [StoredObject("a", 1, 0.0)]
    assert facts_of(gone, "no-such-bucket-here", "x", items, lambda item: item.key) == {"a": "a"}


NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_the_size_of_the_log_is_that_of_a_full_count_and_the_past_is_listed_once(place: Place) -> None:
    listed: list[str] = []

    def note(params: dict[str, Any], **_: object) -> None:
        listed.append(params["StartAfter"])

    def count(now: datetime) -> LogSize:
        return log_size(S3Log(place.s3, place.bucket), place.aws, place.bucket, now)

    place.s3.meta.events.register("provide-client-params.s3.ListObjectsV2", note)
    assert count(NOW - timedelta(days=30)) == (0, 0)
    for day in range(1, 11):
        place.put(f"log/2026/03/{day:02}/05/x", b"123")
    place.put("log/_schemas/1.avsc", b"{}")
    place.put("log-errors/processing-failed/2026/x", b"12345")
    for later in range(3):
        assert count(NOW + timedelta(days=later)) == (11, 35)
    place.put("log/2026/03/12/05/late", b"1")
    assert count(NOW + timedelta(days=30)) == (12, 36)
    assert count(NOW + timedelta(days=31)) == (12, 36)
    assert "log/2026/04/06/12" in listed
