"""INV-7 with private fields, through the commands: nothing that they print or leave holds a planted value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from headwater_up import Done, Up, headwater
from pipe import write_entity

from schemas.privacy import hasher

KEY = "a key of thirty-two bytes or more"
ENVIRONMENT = {"HEADWATER_HASH_KEY": KEY, "HEADWATER_HASH_KEY_ID": "2026-01"}
HASH = hasher("2026-01", KEY.encode())
PLANTED = "Swordfish"
OPEN = "Plaice"
"""A public value: that it is found shows that a planted one would be."""
SOURCES_OWN = ("drop/", "archive/", "rejects/", "corrections/", "dead-letters/dynamodb/", "dead-letters/csv/")


def private(name: str, level: str) -> dict[str, Any]:
    return {"name": name, "type": "string", "headwater.private": level}


CITY, AGE = {"name": "city", "type": "string"}, {"name": "age", "type": "int"}
FIELDS = (private("mail", "hash"), private("full_name", "mask"), private("notes", "drop"), CITY, AGE)


def write_home(home: Path) -> None:
    toml = 'key = ["id"]\n[[source]]\ndynamodb = "people"\n'
    write_entity(home, "person", toml, {"name": "id", "type": "string"}, *FIELDS)
    toml = 'key = ["mail"]\n[[source]]\ncsv = "contacts"\nmode = "upsert"\n'
    write_entity(home, "contact", toml, *FIELDS)


def fill(up: Up, folder: Path) -> None:
    """Good and bad items, a file with a bad row, and a bad file."""
    plain = {
        "mail": f"{PLANTED}@a.org",
        "full_name": PLANTED,
        "notes": PLANTED,
        "unnamed": PLANTED,
        "city": OPEN,
    }
    up.put("people", {"id": "1", **plain, "age": 30})
    up.put("people", {"id": "2", **plain, "age": PLANTED})
    row = f"{PLANTED}@a.org,{PLANTED},{PLANTED},{OPEN}"
    (folder / "good.csv").write_text(
        f"mail,full_name,notes,city,age,other\n{row},5,{PLANTED}\n{row},{PLANTED},{PLANTED}\n"
    )
    (folder / "bad.csv").write_text(f"mail,full_name,notes,city\n{row}\n")
    for name in ("good.csv", "bad.csv"):
        assert up.run("drop", folder / name, "--entity", "contact").code == 0
    assert up.run("drain").code == 3  # with two dead letters


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home, files = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("files")
    write_home(home)
    with Up(environment={"HEADWATER_HOME": str(home), **ENVIRONMENT}) as running:
        fill(running, files)
        yield running


def objects(up: Up, bucket: str) -> Iterator[tuple[str, bytes]]:
    s3 = up.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for each in page.get("Contents", []):
            yield each["Key"], s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()


def records(up: Up) -> Iterator[bytes]:
    kinesis, name = up.client("kinesis"), "headwater-events"
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        place = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        for record in kinesis.get_records(ShardIterator=place["ShardIterator"])["Records"]:
            yield record["PartitionKey"].encode() + record["Data"]


def commands(up: Up) -> Iterator[tuple[str, str]]:
    """Everything that is told about data without being asked for one dead letter's payload."""
    for argv in (
        ("tables", "person"),
        ("tables", "contact"),
        ("tables",),
        ("status",),
        ("dead-letters", "list"),
        ("dead-letters", "redrive", "--dry-run"),
        ("schemas", "show", "person"),
        ("schemas", "drift"),
    ):
        for more in ((), ("--json",)):
            done = up.run(*argv, *more)
            assert done.code == 0, done
            yield " ".join((*argv, *more)), done.out + done.err


def files_of(up: Up) -> Iterator[tuple[str, bytes]]:
    """What the runtime keeps: its progress, and the warehouse with the summary of dead letters. Not what the
    embedded AWS keeps: a part of that is the source account itself."""
    state = Path(up.environment["HEADWATER_STATE"])
    for path in sorted(state.rglob("*")):
        if path.is_file() and path.relative_to(state).parts[0] != "content":
            yield path.name, path.read_bytes()


def test_inv7_the_commands_and_what_they_leave_behind_hold_no_planted_value(up: Up) -> None:
    told = dict(commands(up))
    kept = dict(files_of(up))
    places = {
        **{f"command {name}": text.encode() for name, text in told.items()},
        **{f"file {name}": content for name, content in kept.items()},
        **{f"log {key}": content for key, content in objects(up, "headwater-log")},
        **{f"record {number}": content for number, content in enumerate(records(up))},
        "what up says": up.said().encode(),
        "what up exports": repr({k: v for k, v in up.environment.items() if k not in ENVIRONMENT}).encode(),
    }
    found = {place for place, content in places.items() if OPEN.encode() in content}
    for kind in ("command tables person", "command tables contact", "file warehouse", "log ", "record "):
        assert [place for place in found if place.startswith(kind)], kind
    assert "progress.json" in kept
    assert up.json("status")["dead_letters"] == 2
    for place, content in places.items():
        assert PLANTED.lower().encode() not in content.lower(), place
        assert KEY.encode() not in content, place


def test_inv7_in_the_source_bucket_only_the_sources_own_places_hold_one(up: Up) -> None:
    holding = {key for key, content in objects(up, "headwater-source") if PLANTED.encode() in content}
    assert holding
    assert {key for key in holding if not key.startswith(SOURCES_OWN)} == set()
    assert not [key for key, content in objects(up, "headwater-source") if KEY.encode() in content]


def test_rows_join_by_their_hashes(up: Up) -> None:
    [person], [contact] = up.json("tables", "person"), up.json("tables", "contact")
    assert person["mail"] == contact["mail"] == HASH(f"{PLANTED}@a.org")
    assert person["full_name"] == contact["full_name"] == "*****"
    assert "notes" not in person


def redriven(up: Up, *argv: str, **changes: str) -> Done:
    """`dead-letters redrive` in the environment of somebody else."""
    theirs = {k: v for k, v in up.environment.items() if k not in ENVIRONMENT}
    return headwater("dead-letters", "redrive", *argv, environment={**theirs, **changes})


def test_a_redrive_of_items_without_the_key_is_refused_and_one_of_events_needs_none(up: Up) -> None:
    refused = redriven(up, "--stage", "dynamodb")
    assert refused.code == 2
    assert "is hashed, and neither HEADWATER_HASH_SECRET nor HEADWATER_HASH_KEY is set" in refused.err
    assert redriven(up, "--stage", "consumer").code == 0


def test_a_redrive_with_another_key_under_the_same_id_is_refused(up: Up) -> None:
    other = {**ENVIRONMENT, "HEADWATER_HASH_KEY": KEY[::-1]}
    refused = redriven(up, "--stage", "dynamodb", **other)
    assert refused.code == 2
    assert "hash key 2026-01: another key was used under this id before" in refused.err
    assert KEY[::-1] not in refused.err + refused.out


def test_inv7_a_redrive_that_fails_again_tells_no_value(up: Up) -> None:
    again = redriven(up, "--stage", "dynamodb", **ENVIRONMENT)
    assert again.code == 3
    assert PLANTED not in again.out + again.err
    assert {letter["state"] for letter in up.json("dead-letters", "list", "--stage", "dynamodb")} == {
        "failed-again"
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {},
            "is hashed, and neither HEADWATER_HASH_SECRET nor HEADWATER_HASH_KEY is set: set one of the two",
        ),
        (
            {**ENVIRONMENT, "HEADWATER_HASH_KEY": "too-short"},
            "hash key 2026-01: has 9 bytes; allowed: at least 32",
        ),
    ],
)
def test_up_does_not_start_without_a_good_key(tmp_path: Path, given: dict[str, str], words: str) -> None:
    write_home(tmp_path)
    done = headwater("up", environment={"HEADWATER_HOME": str(tmp_path), **given})
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert "too-short" not in done.err
    assert "Traceback" not in done.err


def test_names_that_no_schema_has_are_told_by_name(up: Up) -> None:
    drift = up.json("schemas", "drift")
    assert [(each["entity"], each["source"], each["name"], each["days"]) for each in drift] == [
        ("contact", "csv:contacts", "other", 1),
        ("person", "dynamodb:people", "unnamed", 1),
    ]
    assert up.json("schemas", "drift", "contact") == drift[:1]
    assert up.json("status")["drift"] == drift
    assert "no schema names unnamed of dynamodb:people, entity person: 1 day" in up.run("status").out
    assert up.run("schemas", "drift", "nobody").code == 2
