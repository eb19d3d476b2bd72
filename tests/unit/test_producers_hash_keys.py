"""The key of hashed fields: found or refused at the start, told nowhere, and never another under one id."""

import json
from typing import Any

import pytest
from dynamodb_world import entity

from producers.hash_keys import check_use, read_hash_key
from schemas.catalog.entity import Catalog, Entity
from schemas.errors import ConfigurationError
from schemas.payload.codec import SchemaRegistry
from schemas.privacy import HashKey, Privacy, protection
from schemas.settings import Settings, read_settings

SECRET = "an-unmistakable-secret-of-more-than-32-bytes"
HASHED = {"name": "mail", "type": "string", "headwater.private": "hash"}
ID = {"name": "id", "type": "string"}


def catalog(*entities: Entity) -> Catalog:
    return Catalog({each.name: each for each in entities}, SchemaRegistry([each.schema for each in entities]))


WITH = catalog(entity("person", [ID, HASHED], ["id"], table="people"))
WITHOUT = catalog(entity("person", [ID], ["id"], table="people"))
KEYED = catalog(entity("person", [HASHED], ["mail"], table="people"))


UNREAD: dict[str, str] = {}


def refusal(environ: dict[str, str], secret: Any = None) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read_hash_key(read_settings(environ), WITH, secret or (lambda _name: ""))
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    return str(refused.value)


def test_no_key_is_looked_for_where_no_field_is_hashed() -> None:
    assert read_hash_key(Settings(hash_key="short"), WITHOUT, UNREAD.__getitem__) is None


def test_a_key_comes_from_the_environment_or_from_a_secret() -> None:
    expected = HashKey("2026-01", SECRET.encode())
    given = {"HEADWATER_HASH_KEY": SECRET, "HEADWATER_HASH_KEY_ID": "2026-01"}
    assert read_hash_key(read_settings(given), WITH, UNREAD.__getitem__) == expected
    secrets = {"hash": json.dumps({"id": "2026-01", "key": SECRET})}
    assert read_hash_key(Settings(hash_secret="hash"), WITH, secrets.__getitem__) == expected


def test_without_a_key_nothing_begins() -> None:
    words = "field mail of person is hashed, and neither HEADWATER_HASH_SECRET nor HEADWATER_HASH_KEY is set"
    assert refusal({}).startswith(words)
    assert refusal({"HEADWATER_HASH_KEY": ""}).startswith(words)
    both = {"HEADWATER_HASH_KEY": SECRET, "HEADWATER_HASH_SECRET": "hash"}
    assert "and both HEADWATER_HASH_SECRET and HEADWATER_HASH_KEY are set" in refusal(both)
    assert refusal({"HEADWATER_HASH_KEY": SECRET}).startswith("HEADWATER_HASH_KEY_ID is not set")


@pytest.mark.parametrize(
    ("key_id", "key", "words"),
    [
        ("k1", "x" * 31, "hash key k1: has 31 bytes; allowed: at least 32"),
        (
            "a:b",
            SECRET,
            "id of the hash key: it has 3 characters; allowed: 1 to 32 of A-Z, a-z, 0-9, _, - and .",
        ),
        ("x" * 33, SECRET, "allowed: 1 to 32 of A-Z, a-z, 0-9, _, - and ."),
    ],
)
def test_a_key_that_is_no_good(key_id: str, key: str, words: str) -> None:
    assert words in refusal({"HEADWATER_HASH_KEY": key, "HEADWATER_HASH_KEY_ID": key_id})


@pytest.mark.parametrize("text", ["", "[]", '{"id": "k1"}', json.dumps({"id": 5, "key": SECRET}), SECRET])
def test_a_secret_that_is_none(text: str) -> None:
    assert refusal({"HEADWATER_HASH_SECRET": "hash"}, lambda _name: text).startswith(
        "the secret hash is not JSON text of the form"
    )


def test_inv7_nothing_tells_the_key() -> None:
    key = HashKey("k1", SECRET.encode())
    assert SECRET not in f"{key!r} {key}"


def test_inv7_a_key_in_the_place_of_its_id_is_not_told() -> None:
    refusal({"HEADWATER_HASH_KEY": "2026-01", "HEADWATER_HASH_KEY_ID": SECRET})
    swapped = json.dumps({"id": SECRET, "key": "2026-01"})
    refusal({"HEADWATER_HASH_SECRET": "hash"}, lambda _name: swapped)


def test_a_hash_without_a_key_is_refused_where_it_would_be_used() -> None:
    with pytest.raises(ConfigurationError, match="no hash key"):
        protection(Privacy.HASH, None)
    assert protection(Privacy.PUBLIC, None) is None


# In use


def test_another_key_under_an_id_that_was_used_is_refused(aws: Any) -> None:
    s3, bucket = _bucket(aws)
    first, other = HashKey("k1", SECRET.encode()), HashKey("k1", SECRET[::-1].encode())
    for _ in range(2):
        check_use(s3, bucket, first, WITH)
    with pytest.raises(ConfigurationError, match="hash key k1: another key was used under this id before"):
        check_use(s3, bucket, other, WITH)
    check_use(s3, bucket, HashKey("k2", SECRET[::-1].encode()), WITH)
    stored = [
        s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        for each in s3.list_objects_v2(Bucket=bucket)["Contents"]
    ]
    assert stored
    assert not any(SECRET.encode() in each for each in stored)


def test_a_new_key_is_refused_where_rows_are_known_by_a_hash(aws: Any) -> None:
    s3, bucket = _bucket(aws)
    check_use(s3, bucket, HashKey("k1", SECRET.encode()), KEYED)
    with pytest.raises(ConfigurationError, match="the rows of person are known by keys that k1 hashed"):
        check_use(s3, bucket, HashKey("k2", SECRET[::-1].encode()), KEYED)


def _bucket(aws: Any) -> tuple[Any, str]:
    s3, bucket = aws.client("s3"), f"source-{aws.suffix}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return s3, bucket
