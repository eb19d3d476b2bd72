"""Items from before the stream: `headwater backfill`, and `up` by itself. The table is then the source."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from headwater_up import Done, Up, clean_environment, command, headwater

from headwater.local import sample

TABLE, ENTITY = "subscriptions", "subscription"
ITEMS = sample.subscriptions(sample.schools(90))


def key(item: Any) -> Any:
    return {"subscription_id": {"S": item["subscription_id"]}}


def make_again_without_a_stream(up: Up, table: str, *key_names: str) -> None:
    """As after a restore. (Moto takes no items into a table whose stream was switched off.)"""
    dynamodb = up.client("dynamodb")
    dynamodb.delete_table(TableName=table)
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(key_names, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in key_names],
    )


def source(up: Up) -> dict[str, int]:
    items = up.client("dynamodb").scan(TableName=TABLE)["Items"]
    return {item["subscription_id"]["S"]: int(item["seats"]["N"]) for item in items}


def rows(up: Up) -> dict[str, int]:
    found = up.json("tables", ENTITY, "--limit", "1000")
    return {row["subscription_id"]: row["seats"] for row in found}


def is_rebuilt_the_same(up: Up) -> bool:
    """Exit code 3 if a row differs."""
    return up.run("replay", "rebuild", ENTITY).code == 0


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "state"
    with Up("--state", folder, "--no-backfill") as up:
        for item in ITEMS[:10]:
            up.put(TABLE, item)
        assert up.run("drain").code == 0
        # Two items are gone, one has changed, others are new: no stream has a record of it.
        make_again_without_a_stream(up, TABLE, "subscription_id")
        for item in [{**ITEMS[2], "seats": 777}, *ITEMS[3:]]:
            up.put(TABLE, item)
        assert up.stop() == 0
    return folder


@pytest.fixture
def state(kept: Path, tmp_path: Path) -> Path:
    """A state of `up` with a table that has changed since its stream was read."""
    return Path(shutil.copytree(kept, tmp_path / "state"))


def test_up_backfills_what_was_there_before_it_once(state: Path) -> None:
    with Up("--state", state) as up:
        up.put(TABLE, {**ITEMS[20], "seats": 888})  # while it runs
        assert up.run("drain").code == 0
        said = up.said()
        assert f"the table {TABLE} holds items from before its stream was read here: their backfill" in said
        assert f"backfill of the table {TABLE}: 88 rows published" in said
        assert "accounts" not in said.partition("stops it")[2]  # which is empty
        assert rows(up) == source(up)
        assert rows(up)[ITEMS[20]["subscription_id"]] == 888
        assert len(rows(up)) == 88
        assert is_rebuilt_the_same(up)
        assert up.stop() == 0
    with Up("--state", state) as again:
        assert again.run("drain").code == 0
        assert "their backfill" not in again.said()
        assert rows(again) == source(again)


def backfill(up: Up, *argv: str) -> Done:
    return up.run("backfill", *argv)


@pytest.fixture
def up(state: Path) -> Iterator[Up]:
    with Up("--state", state, "--no-backfill") as running:
        assert running.run("drain").code == 0
        yield running


def test_the_command_publishes_and_sweeps_and_can_be_repeated(up: Up) -> None:
    assert rows(up) != source(up)
    done = backfill(up, ENTITY)
    assert done.code == 0
    assert done.out.splitlines()[2].split()[:5] == [ENTITY, f"dynamodb:{TABLE}", "88", "0", "yes"]
    assert f"the stream of the table {TABLE} is read by headwater up" in done.err
    assert up.run("drain").code == 0
    assert rows(up) == source(up)
    (again,) = up.json("backfill", TABLE, "--segments", "2")
    assert (again["published"], again["rejected"], again["swept"]) == (88, 0, "yes")
    assert up.run("drain").code == 0
    assert rows(up) == source(up)
    assert is_rebuilt_the_same(up)


def test_a_rejected_item_is_a_dead_letter_and_nothing_is_swept(up: Up) -> None:
    up.client("dynamodb").update_item(
        TableName=TABLE,
        Key=key(ITEMS[5]),
        UpdateExpression="SET price = :p",
        ExpressionAttributeValues={":p": {"S": "dear"}},
    )
    up.run("drain")
    done = backfill(up, ENTITY)
    assert done.code == 3
    assert done.out.splitlines()[2].split()[2:5] == ["87", "1", "no"]
    assert "no row was swept, since items were rejected" in done.err
    assert "dear" not in done.out + done.err
    up.run("drain")
    found = rows(up)
    gone = {item["subscription_id"] for item in ITEMS[:2]}
    assert gone <= found.keys()  # the rows that only a sweep would delete
    assert {name: seats for name, seats in found.items() if name not in gone} == source(up)


def test_killed_half_way_it_goes_on_whatever_changed_meanwhile(up: Up) -> None:
    """The stream is read all the while, and tells of what changes."""
    process = subprocess.Popen(
        command("backfill", ENTITY, "--segments", "2", "--read-units", "1"),
        env=clean_environment(up.environment),
        stderr=subprocess.DEVNULL,
    )
    bucket = up.environment.get("HEADWATER_SOURCE_BUCKET", "headwater-source")
    give_up = time.monotonic() + 60
    while not _chunks(up, bucket):
        assert time.monotonic() < give_up
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for item in ITEMS[30:35]:
        up.client("dynamodb").delete_item(TableName=TABLE, Key=key(item))
    up.put(TABLE, ITEMS[0])  # one that only a sweep would have deleted comes back
    up.put(TABLE, {**ITEMS[40], "seats": 999})
    done = backfill(up, ENTITY)
    assert done.code == 0
    assert "a run is in progress elsewhere or was killed: waiting" in done.err
    assert "going on with the backfill that began at " in done.err
    assert _chunks(up, bucket) == []
    assert up.run("drain").code == 0
    assert rows(up) == source(up)
    assert is_rebuilt_the_same(up)


def _chunks(up: Up, bucket: str) -> list[str]:
    listed = up.client("s3").list_objects_v2(Bucket=bucket, Prefix="runs/").get("Contents", [])
    return [found["Key"] for found in listed if not found["Key"].endswith("run.json")]


def test_what_cannot_be_backfilled_is_refused_with_what_to_do(up: Up, tmp_path: Path) -> None:
    unknown = backfill(up, "nothing")
    assert unknown.code == 2
    assert "nothing is neither an entity nor a table of one; tables: accounts, subscriptions" in unknown.err
    no_table = backfill(up, "school")
    assert (no_table.code, "has no DynamoDB table" in no_table.err) == (2, True)
    dynamodb = up.client("dynamodb")
    make_again_without_a_stream(up, "accounts", "pk", "sk")
    off = backfill(up, "accounts")
    assert (off.code, "has no stream: enable it" in off.err) == (2, True)
    dynamodb.delete_table(TableName="accounts")
    gone = backfill(up, "teacher")
    assert (gone.code, "there is no table accounts in this account and region" in gone.err) == (2, True)
    unread = {**up.environment, "HEADWATER_STATE": str(tmp_path)}
    done = headwater("backfill", ENTITY, environment=unread)
    assert done.code == 2
    assert f"nothing reads the stream of the table {TABLE}" in done.err
    assert "Enable the event source mapping of its producer, or start `headwater up`" in done.err
