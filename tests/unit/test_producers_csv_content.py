"""Rows without a key: the same content is the same facts, however it was uploaded."""

import json

import pytest
from csv_world import HEADER, LINK_FIELDS, World, entity, notification

from producers import publisher
from producers.csv import stages
from producers.csv.uploads import Upload
from schemas.errors import TransientError

BODY = f"{HEADER}\n1,Alpha,,Y\n2,Beta,,N\n".encode()
PARTS = "5d41402abc4b2a76b9719d911017c592-3"
OF_KMS = "0f343b0931126a20f133d67c2b018a3b"


def take(world: World, body: bytes, etag: str | None, key: str = "drop/links/a.csv") -> Upload:
    world.minutes += 1
    upload = world.bucket.upload(key, body, etag)
    world.producer().take(notification(upload))
    return upload


def keys(world: World) -> list[str]:
    return [fact.key for fact in world.facts()]


@pytest.mark.parametrize("etag", [PARTS, OF_KMS], ids=["in parts", "KMS"])
def test_the_same_file_is_the_same_facts_however_it_is_uploaded(etag: str) -> None:
    world = World(entity(LINK_FIELDS))
    take(world, BODY, None)
    take(world, BODY, etag)
    first, second = keys(world)[:2], keys(world)[2:]
    assert first == second
    assert len(set(first)) == 2


def test_a_simple_upload_has_the_key_that_it_has_in_the_log() -> None:
    """There its ETag was taken for its content."""
    world = World(entity(LINK_FIELDS))
    upload = take(world, BODY, None)
    assert json.loads(keys(world)[0]) == ["a.csv", upload.etag, "1"]


def test_another_file_with_the_etag_of_the_first_is_other_facts() -> None:
    world = World(entity(LINK_FIELDS))
    take(world, BODY, OF_KMS)
    take(world, BODY.replace(b"Alpha", b"Gamma"), OF_KMS)
    assert len(set(keys(world))) == 4


def test_the_same_content_under_another_name_is_other_facts() -> None:
    world = World(entity(LINK_FIELDS))
    take(world, BODY, None)
    take(world, BODY, None, "drop/links/b.csv")
    assert len(set(keys(world))) == 4


def test_inv5_a_file_that_goes_on_keeps_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MAX_CALL_BYTES", 1_000)
    monkeypatch.setattr(stages, "STAGE_BYTES", 1)
    body = f"{HEADER}\n".encode() + b"".join(b"%d,Name,,Y\n" % number for number in range(40))
    alone, world = World(entity(LINK_FIELDS)), World(entity(LINK_FIELDS))
    take(alone, body, PARTS)
    world.minutes += 1
    upload = world.bucket.upload("drop/links/a.csv", body, PARTS)
    left = iter([900.0, 900.0, *[900.0] * 5, *[0.0] * 1_000])
    with pytest.raises(TransientError, match="the rest follows"):
        world.producer().handle(json.loads(notification(upload)), lambda: next(left))
    assert 0 < len(world.facts()) < 40
    world.producer().take(notification(upload))
    assert keys(world) == keys(alone)
