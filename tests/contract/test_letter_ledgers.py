"""Every ledger of dead letters keeps the contract of the port; S3's is tried on HTTP, two keys a page."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from schemas.errors import ConfigurationError
from schemas.letters.letter import DeadLetter, encode_letters, letter_id, letters_key
from schemas.letters.outcomes import InMemoryLedger, LetterBatch, LetterLedger, LetterOutcome, outcomes_key
from schemas.letters.s3_letters import S3Letters


class InS3:
    def __init__(self, aws: Any) -> None:
        self.s3, self.bucket = aws.client("s3"), aws.name("letters")
        self.s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        self.s3.meta.events.register("provide-client-params.s3.ListObjectsV2", _two_keys)
        self.ledger: LetterLedger = S3Letters(self.s3, self.bucket)

    def write(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def keys(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


def _two_keys(params: dict[str, Any], **_: object) -> dict[str, Any]:
    return {**params, "MaxKeys": 2}


class InMemory:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.ledger: LetterLedger = InMemoryLedger(self.objects)

    def write(self, key: str, body: bytes) -> None:
        self.objects[key] = body

    def keys(self) -> list[str]:
        return sorted(self.objects)


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> InMemory | InS3:
    return InMemory() if request.param == "memory" else InS3(request.getfixturevalue("aws"))


def letter(payload: bytes, stage: str = "consumer") -> DeadLetter:
    return DeadLetter(letter_id(payload), stage, None, None, None, "no frame", "data", payload, None)


def put(store: InMemory | InS3, *letters: DeadLetter) -> str:
    """Key of the object."""
    key = letters_key(letters)
    store.write(key, encode_letters(letters))
    return key


def redriven(of: DeadLetter) -> LetterOutcome:
    return LetterOutcome(of.stage, of.id, "redriven")


def failed(of: DeadLetter, reason: str) -> LetterOutcome:
    return LetterOutcome(of.stage, of.id, "failed-again", reason)


def test_an_empty_ledger_is_a_ledger(store: InMemory | InS3) -> None:
    assert (list(store.ledger.batches()), list(store.ledger.outcomes())) == ([], [])


def test_batches_come_in_order_of_their_keys_each_with_all_outcomes_beside_it(store: InMemory | InS3) -> None:
    """Over as many pages as there are: seven letters in seven objects, and of each n have n outcomes."""
    letters = [letter(bytes([number]), ("consumer", "csv")[number % 2]) for number in range(7)]
    keys = {put(store, each): each for each in letters}
    said = {key: [failed(each, f"{n}") for n in range(each.payload[0])] for key, each in keys.items()}
    for key, outcomes in said.items():
        for outcome in outcomes:
            store.ledger.record(key, [outcome])
    batches = list(store.ledger.batches())
    assert [batch.key for batch in batches] == sorted(keys)
    assert {batch.key: list(batch.letters) for batch in batches} == {
        key: [each] for key, each in keys.items()
    }
    assert {batch.key: _texts(batch) for batch in batches} == {
        key: [outcome.reason for outcome in outcomes] for key, outcomes in said.items()
    }
    assert Counter(store.ledger.outcomes()) == Counter(
        each for outcomes in said.values() for each in outcomes
    )


def _texts(batch: LetterBatch) -> list[str]:
    return sorted(outcome.reason for outcome in batch.outcomes)


def test_inv5_the_same_outcomes_again_are_the_same_object(store: InMemory | InS3) -> None:
    one, other = letter(b"1"), letter(b"2")
    key = put(store, one, other)
    store.ledger.record(key, [redriven(one), redriven(other)])
    before = store.keys()
    store.ledger.record(key, [redriven(other), redriven(one)])
    assert (store.keys(), len(before)) == (before, 2)


def test_outcomes_whose_letters_are_not_there_are_beside_no_others(store: InMemory | InS3) -> None:
    """As a copy of a part of a bucket may have it."""
    here, away = letter(b"1"), letter(b"2")
    put(store, here)
    store.ledger.record(letters_key([away]), [redriven(away)])
    (batch,) = store.ledger.batches()
    assert (list(batch.letters), list(batch.outcomes)) == ([here], [])


@pytest.mark.parametrize("beside", [False, True])
def test_what_is_neither_letters_nor_outcomes_is_named(store: InMemory | InS3, beside: bool) -> None:
    """A person has to move it away: by its bucket and key, where there is one; never with what is in it."""
    key = put(store, letter(b"1"))
    if beside:
        key = outcomes_key(key, b"")
    store.write(key, b"a value")
    with pytest.raises(ConfigurationError) as caught:
        list(store.ledger.batches())
    assert "a value" not in str(caught.value)
    if isinstance(store, InS3):
        assert f"s3://{store.bucket}/{key}" in str(caught.value)


def test_a_bucket_that_is_not_there_is_a_matter_of_configuration(aws: Any) -> None:
    ledger = S3Letters(aws.client("s3"), aws.name("none"))
    with pytest.raises(ConfigurationError):
        list(ledger.batches())
    with pytest.raises(ConfigurationError):
        ledger.record("dead-letters/consumer/a.jsonl", [redriven(letter(b"1"))])
