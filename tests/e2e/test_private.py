"""INV-7 with private fields: planted values are nowhere beyond the source, whatever becomes of their rows."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pipe import Pipe, Table, write_entity

from consumers.facts import frames_of
from schemas.errors import ConfigurationError
from schemas.event import decode_event
from schemas.letters.letter import encode_letters
from schemas.privacy import HashKey, hasher, mask

KEY = HashKey("2026-01", b"a key of thirty-two bytes or more")
PLANTED = "Swordfish"
MAIL = f"{PLANTED}@example.org"
PHONE = 447700900123


def private(name: str, level: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "string", "headwater.private": level, **more}


NULLABLE = {"type": ["null", "string"], "default": None}
PERSON = (
    {"name": "id", "type": "string"},
    private("full_name", "mask", **{"from": "name"}),
    {**private("mail", "hash"), **NULLABLE},
    {**private("phone", "hash"), **NULLABLE},
    private("notes", "drop"),
    {"name": "age", "type": "int"},
)
CONTACT = (private("mail", "hash"), private("full_name", "mask"), private("notes", "drop"), PERSON[-1])


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    write_entity(tmp_path, "person", 'key = ["id"]\n[[source]]\ndynamodb = "people"\n', *PERSON)
    toml = 'key = ["mail"]\n[[source]]\ncsv = "contacts"\nmode = "upsert"\n'
    write_entity(tmp_path, "contact", toml, *CONTACT)
    made = Pipe(tmp_path, tmp_path, hash_key=KEY)
    yield made
    made.close()


def person(id: str, age: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
    return {
        "id": {"S": id},
        "name": {"S": f"{PLANTED} Name"},
        "mail": {"S": MAIL},
        "phone": {"N": str(PHONE)},
        "notes": {"S": f"{PLANTED} notes"},
        "unnamed": {"S": f"{PLANTED} unnamed"},
        "age": age,
        **more,
    }


def play(pipe: Pipe) -> None:
    """Good items and rows, and every kind of bad ones."""
    table = Table("people", "id")
    for number, age in enumerate([{"N": "30"}, {"S": PLANTED}, {"N": PLANTED}, {"NULL": True}]):
        table.put(person(str(number), age), 1_772_366_400 + number)
    table.put(person("0", {"N": "31"}, mail={"S": ""}, name={"L": [{"S": PLANTED}]}), 1_772_366_410)
    table.put(person("5", {"N": "31"}, mail={"NULL": True}, phone={"S": f"{PLANTED}"}), 1_772_366_411)
    table.put(person("6", {"N": "1"}), 1_772_366_412)
    table.delete({"id": {"S": "6"}}, 1_772_366_413)
    pipe.publish(table.stream)
    header, row = "mail,full_name,notes,age,other", f"{MAIL},{PLANTED},{PLANTED},{{}},{PLANTED}"
    files = {
        "good.csv": f"{header}\n{row.format(5)}\n",
        "bad_row.csv": f"{header}\n{row.format(PLANTED)}\n{row.format(6)}\n",
        "bad_file.csv": f"mail,full_name,other\n{MAIL},{PLANTED},{PLANTED}\n",
    }
    for name, content in files.items():
        pipe.take(pipe.upload(f"drop/contacts/{name}", content))
    poison = pipe.frames()[0]
    payloads = [*pipe.payloads(), poison[:40] + bytes([poison[40] ^ 1]) + poison[41:], b"no frame"]
    pipe.consume(payloads)


def forms(text: str) -> Iterator[bytes]:
    """In which a value may lie in bytes. Of base64 what does not depend on what stands before it."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        yield text.encode(encoding)
    for pad in range(3):
        yield b64encode(bytes(pad) + text.encode())[4 if pad else 0 : -4]


def beyond_the_source(pipe: Pipe, caplog: pytest.LogCaptureFixture) -> Iterator[tuple[str, bytes]]:
    """Everything that the reporting account, or whoever reads logs, may see."""
    for number, payload in enumerate(pipe.payloads()):
        yield f"record {number} on Kinesis", payload
    for frame in pipe.frames():
        event = decode_event(frame)
        for part in (event.before, event.after, event.key.encode(), repr(event.metadata).encode()):
            yield f"event of {event.entity}", part or b""
    for key, content in pipe.ports().log.contents.items():  # type: ignore[attr-defined]
        yield f"log object {key}", content
    yield "dead letters of the consumer", encode_letters(pipe.letters.letters)
    yield "reasons of the producers", "\n".join(each.reason for each in pipe.source_letters.letters).encode()
    for file in pipe.folder.glob("warehouse.db*"):
        yield f"file {file.name}", file.read_bytes()
    yield "logs", caplog.text.encode()


def test_inv7_no_planted_value_is_anywhere_beyond_its_source(
    pipe: Pipe, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        play(pipe)
    assert len(pipe.letters.letters) == 2
    assert len(pipe.source_letters.letters) == 5  # four items and a file
    assert any(f"{PLANTED}".encode() in each.payload for each in pipe.source_letters.letters)
    places = list(beyond_the_source(pipe, caplog))
    assert len(places) > 20
    for place, content in places:
        for value in (PLANTED, PLANTED.lower(), str(PHONE)):
            assert not [form for form in forms(value) if form in content], place


def test_only_places_of_its_own_hold_what_the_source_said(pipe: Pipe) -> None:
    play(pipe)
    kept = pipe.bucket._versions
    holding = {key.partition("/")[0] for key, versions in kept.items() if PLANTED in repr(versions)}
    assert holding <= {"drop", "archive", "rejects", "corrections", "dead-letters"}
    assert holding


def test_values_that_are_equal_join_across_sources(pipe: Pipe) -> None:
    play(pipe)
    people = {row.values[0]: row.values for row in pipe.rows("person") if not row.deleted}
    [contact] = [row.values for row in pipe.rows("contact")]
    hashed = hasher(KEY.id, KEY.secret)
    assert people["0"][1:4] == (mask(f"{PLANTED} Name"), hashed(MAIL), hashed(str(PHONE)))
    assert people["5"][1:4] == (mask(f"{PLANTED} Name"), None, hashed(PLANTED))
    assert contact[:2] == (hashed(MAIL), mask(PLANTED))
    assert [column.field.name for column in pipe.catalog.entity("person").columns] == [
        "id",
        "full_name",
        "mail",
        "phone",
        "age",
    ]


def test_a_before_image_is_protected_too(pipe: Pipe) -> None:
    table = Table("people", "id")
    table.put(person("0", {"N": "30"}), 1_772_366_400)
    table.put(person("0", {"N": "31"}), 1_772_366_401)
    pipe.publish(table.stream)
    schema = pipe.catalog.entity("person").schema
    [_, changed] = [decode_event(frame) for payload in pipe.payloads() for frame in frames_of(payload)]
    assert changed.before is not None
    before = schema.decode(changed.before)
    assert before["mail"] == hasher(KEY.id, KEY.secret)(MAIL)
    assert before["age"] == 30


def test_without_its_key_nothing_is_published(tmp_path: Path) -> None:
    write_entity(tmp_path, "person", 'key = ["id"]\n[[source]]\ndynamodb = "people"\n', *PERSON)
    pipe, table = Pipe(tmp_path, tmp_path), Table("people", "id")
    table.put(person("0", {"N": "30"}), 1_772_366_400)
    with pytest.raises(ConfigurationError, match="no hash key is configured"):
        pipe.publish(table.stream)
    assert pipe.payloads() == []
    pipe.close()
