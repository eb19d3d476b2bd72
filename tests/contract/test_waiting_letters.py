"""The number of waiting letters, as `list_letters` counts them, at a bounded cost."""

from __future__ import annotations

from typing import Any

import pytest

from consumers import waiting_letters
from consumers.waiting_letters import WaitingLetters
from schemas.letters.letter import DeadLetter, letter_id, letters_key
from schemas.letters.outcomes import WAITING, LetterOutcome, LetterState
from schemas.letters.redriving import list_letters
from schemas.letters.s3_letters import S3Letters


class Bucket:
    """A bucket of the test's own, and how many of its objects were read."""

    def __init__(self, aws: Any) -> None:
        self.s3, self.name = aws.client("s3"), aws.name("letters")
        place = {"LocationConstraint": "eu-west-1"}
        self.s3.create_bucket(Bucket=self.name, CreateBucketConfiguration=place)
        self.s3.meta.events.register("before-call.s3.GetObject", self._note)
        self.letters = S3Letters(self.s3, self.name)
        self.reads = 0

    def _note(self, **_: object) -> None:
        self.reads += 1

    def put(self, *payloads: bytes) -> str:
        letters = [letter(payload) for payload in payloads]
        self.letters.put(letters)
        return letters_key(letters)

    def record(self, key: str, payload: bytes, state: LetterState) -> None:
        self.letters.record(key, [LetterOutcome("consumer", letter(payload).id, state)])

    def waiting(self) -> int:
        before = self.reads
        listed = list_letters([self.letters])
        self.reads = before
        return sum(one.status.state in WAITING for one in listed)


@pytest.fixture
def bucket(aws: Any) -> Bucket:
    return Bucket(aws)


def letter(payload: bytes) -> DeadLetter:
    return DeadLetter(letter_id(payload), "consumer", None, None, None, "why", "data", payload, None)


def test_it_counts_as_the_ledger_does_and_reads_each_object_once(bucket: Bucket) -> None:
    waiting = WaitingLetters(bucket.s3, bucket.name)
    assert waiting.count() == 0
    first, second = bucket.put(b"1", b"2", b"3"), bucket.put(b"3", b"4")
    assert waiting.count() == bucket.waiting() == 4
    for key, payload, state in [
        (first, b"1", "redriven"),
        (first, b"2", "failed-again"),
        (second, b"3", "discarded"),  # the letter is in the other object, too
        (second, b"4", "redriven"),
        (second, b"4", "failed-again"),  # by another person, at the same time
    ]:
        bucket.record(key, payload, state)  # type: ignore[arg-type]
        assert waiting.count() == bucket.waiting()
    assert waiting.count() == 1
    assert bucket.reads == 7
    bucket.s3.delete_object(Bucket=bucket.name, Key=first)
    assert waiting.count() == bucket.waiting() == 0


def test_its_cost_is_bounded_and_the_next_call_goes_on(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting_letters, "MAX_READS", 2)
    monkeypatch.setattr(waiting_letters, "MAX_OBJECTS", 6)
    for number in range(5):
        bucket.put(b"%d" % number)
    waiting = WaitingLetters(bucket.s3, bucket.name)
    assert [waiting.count() for _ in range(4)] == [2, 4, 5, 5]
    assert len(caplog.messages) == 2
    for number in range(5, 8):
        bucket.put(b"%d" % number)
    assert 5 <= waiting.count() <= 6
    assert len(caplog.messages) == 3
