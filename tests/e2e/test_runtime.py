"""`headwater up` started, stopped, killed and started again."""

from __future__ import annotations

import gzip
import os
import re
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from headwater_up import Up, headwater, is_listening

from consumers.kinesis import StreamReader
from headwater.embedded.aws import EmbeddedAws
from headwater.local import sample

REGISTER = sample.schools(6)


def drop_register(up: Up, folder: Path, name: str, register: list[sample.School]) -> None:
    (folder / name).write_bytes(sample.register_csv(register))
    assert up.run("drop", folder / name, "--entity", "school").code == 0


NOTHING: set[str] = set()  # no batch at all


def consumed(up: Up) -> set[str]:
    """What became of the batches of an `up -v`."""
    return set(re.findall(r"Counts\(.*\)", up.said()))


def live_rows(up: Up) -> dict[str, int]:
    return {table["entity"]: table["live"] for table in up.json("status")["tables"]}


def test_a_port_in_use_is_2_and_nothing_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = headwater("up", "--port", str(port))
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith(f"headwater: port {port} cannot be used (Address already in use)")
    assert done.err.count("\n") == 1


def test_a_folder_that_no_clean_stop_left_is_2_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    done = headwater("up", "--state", tmp_path)
    assert done.code == 2
    assert "mine.txt" in done.err
    assert "remove" in done.err
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("option", [("--port", "0"), ("--state", "x")], ids=" ".join)
def test_options_of_the_embedded_aws_do_not_go_with_an_endpoint(option: tuple[str, str]) -> None:
    done = headwater("up", *option, environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert done.code == 2
    assert f"{option[0]} is for the embedded AWS" in done.err


def test_killed_and_started_again_it_works_on_the_same_port_and_ends_with_its_aws(tmp_path: Path) -> None:
    with Up() as first:
        drop_register(first, tmp_path, "a.csv", REGISTER)
        first.kill()
        port = first.port
    with Up("--port", str(port)) as again:
        assert live_rows(again)["school"] == 0  # fresh, and not what the dead one left
        drop_register(again, tmp_path, "a.csv", REGISTER)
        assert again.run("drain").code == 0
        assert live_rows(again)["school"] == 6
        os.kill(embedded_server_of(again), signal.SIGKILL)
        assert again.process.wait(timeout=60) == 5
        assert "the embedded AWS has ended" in again.said()
        assert not Path(again.environment["HEADWATER_STATE"]).exists()


def embedded_server_of(up: Up) -> int:
    """The process id of its one child."""
    (child,) = Path(f"/proc/{up.process.pid}/task/{up.process.pid}/children").read_text().split()
    return int(child)


def test_a_clean_stop_keeps_the_state_and_a_start_goes_on_from_it(tmp_path: Path) -> None:
    """Tables, items and log are there again, and no change to anybody."""
    state = tmp_path / "state"
    accounts = sample.accounts(REGISTER, 1)
    with Up("--state", state) as first:
        drop_register(first, tmp_path, "january.csv", REGISTER)
        for item in accounts:
            first.put("accounts", item)
        assert first.stop(signal.SIGINT) == 130  # not drained before: it does that itself
        assert f"saved in {state}" in first.said()

    with Up("-v", "--state", state) as second:
        assert "restored what the clean stop of " in second.said()
        assert (live_rows(second)["school"], live_rows(second)["teacher"]) == (6, 6)
        assert second.client("dynamodb").scan(TableName="accounts")["Count"] == len(accounts)
        assert second.run("drain").code == 0
        assert consumed(second) == NOTHING  # what was published is not published again

        second.put("accounts", {**accounts[0], "role": "changed"})
        next_register = sample.next_register(REGISTER, gone=2, grown=1)
        drop_register(second, tmp_path, "february.csv", next_register)
        assert second.run("drain").code == 0
        assert second.run("replay", "rebuild", "school").code == 0
        assert live_rows(second)["school"] == 5
        assert second.stop(signal.SIGTERM) == 0

    with Up("--state", state) as third:
        assert live_rows(third)["school"] == 5
        assert third.json("tables", "teacher")[0]["role"] == "changed"


def objects(up: Up, bucket: str) -> dict[str, bytes]:
    """Every object of a bucket."""
    s3 = up.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def archived(up: Up) -> dict[str, bytes]:
    """Files that were published. Other objects of their bucket may go, such as an older register's keys."""
    source = objects(up, "headwater-source")
    return {key: body for key, body in source.items() if key.startswith("archive/")}


def make_table(up: Up, name: str) -> None:
    up.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_inv1_what_was_drained_survives_a_kill_and_so_does_what_was_only_answered(tmp_path: Path) -> None:
    state = tmp_path / "state"
    accounts = sample.accounts(REGISTER, 1)
    with Up("--state", state) as first:
        make_table(first, "of-no-entity")
        first.put("of-no-entity", {"k": "kept"})
        drop_register(first, tmp_path, "january.csv", REGISTER)
        first.put("accounts", accounts[0])
        assert first.run("drain").code == 0
        log = objects(first, "headwater-log")
        archive = archived(first)
        first.put("accounts", accounts[1])
        drop_register(first, tmp_path, "february.csv", sample.next_register(REGISTER, gone=2, grown=1))
        first.kill()

    with Up("--state", state) as second:
        assert "a run that did not stop cleanly" in second.said()
        assert objects(second, "headwater-log").items() >= log.items()
        assert archived(second).items() >= archive.items()
        assert second.client("dynamodb").scan(TableName="of-no-entity")["Count"] == 1
        assert second.run("drain", "--timeout", "60").code == 0
        assert live_rows(second)["school"] == 5
        assert live_rows(second)["teacher"] + live_rows(second)["class_group"] == 2
        for entity in ("school", "teacher", "class_group"):
            assert second.run("replay", "compare", entity).code == 0
        log, archive = objects(second, "headwater-log"), archived(second)
        second.kill()

    with Up("-v", "--state", state) as third:  # from a snapshot now
        assert objects(third, "headwater-log").items() >= log.items()
        assert archived(third).items() >= archive.items()
        assert third.run("drain").code == 0
        assert consumed(third) == NOTHING
        assert live_rows(third)["school"] == 5
        assert third.run("replay", "rebuild", "school").code == 0


def test_a_kill_while_a_file_is_read_loses_no_row(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Up("--state", state) as first:
        drop_register(first, tmp_path, "a.csv", sample.schools(5_000))
        while not objects(first, "headwater-log"):
            time.sleep(0.05)
        first.kill()
    with Up("--state", state) as second:
        assert second.run("drain", "--timeout", "60").code == 0  # nothing is hidden by the dead one
        assert live_rows(second)["school"] == 5_000
        assert second.run("replay", "compare", "school").code == 0


def test_two_at_once_on_one_state_are_refused(tmp_path: Path) -> None:
    with Up("--state", tmp_path / "state") as up:
        drop_register(up, tmp_path, "a.csv", REGISTER)
        second = headwater("up", "--state", tmp_path / "state")
        assert (second.code, second.out) == (2, "")
        assert "is in use by another `headwater up`" in second.err
        assert up.run("drain").code == 0
        assert live_rows(up)["school"] == 6


def test_a_state_is_for_its_owner_alone(tmp_path: Path) -> None:
    with Up("--state", tmp_path / "state") as up:
        drop_register(up, tmp_path, "a.csv", REGISTER)
        assert up.run("drain").code == 0
        written = list((tmp_path / "state").rglob("*"))
        assert {path.name for path in written} >= {"warehouse.db", "content", "aws-000001.journal"}
        assert [path for path in [tmp_path / "state", *written] if path.stat().st_mode & 0o077] == []


def test_what_a_killed_one_left_in_the_temporary_folder_is_removed_by_the_next(tmp_path: Path) -> None:
    with Up() as first:
        folder = Path(first.environment["HEADWATER_STATE"])
        first.kill()
        assert folder.exists()
        with Up("--port", str(first.port), folder=folder.parent) as second:
            assert not folder.exists()
            assert Path(second.environment["HEADWATER_STATE"]).exists()


def test_a_state_that_is_torn_is_2_and_says_so(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Up("--state", state) as first:
        assert first.stop() == 0
    with Up("--state", state) as second:
        assert second.stop() == 0
    (snapshot,) = state.glob("*.snapshot")
    snapshot.write_bytes(snapshot.read_bytes()[:-100])
    torn = headwater("up", "--state", state)
    assert (torn.code, torn.out) == (2, "")
    assert "can't be read" in torn.err


def test_ctrl_c_once_more_stops_at_once(tmp_path: Path) -> None:
    """The first one waits for what is in flight: here a file that takes longer."""
    with Up("--state", tmp_path / "state") as up:
        drop_register(up, tmp_path, "a.csv", sample.schools(10_000))
        up.process.send_signal(signal.SIGINT)
        while "stopping" not in up.said():
            time.sleep(0.02)
        assert up.stop(signal.SIGINT) == 130
        assert "interrupted" in up.said()
        assert not is_listening(up.port)
    with Up("--state", tmp_path / "state") as again:
        assert "a run that did not stop cleanly" in again.said()
        assert again.run("drain", "--timeout", "60").code == 0
        assert live_rows(again)["school"] == 10_000


@pytest.fixture
def foreign() -> Iterator[dict[str, str]]:
    """An AWS that somebody else runs. It is moto's, whose Firehose never reads Kinesis."""
    with EmbeddedAws() as server:
        yield server.environment()


def client(environment: dict[str, str], service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def deliver(environment: dict[str, str]) -> None:
    """What Firehose does: all records of the stream into one object, here with GZIP."""
    stream = StreamReader(client(environment, "kinesis"), "headwater-events")
    payloads = [
        record.payload for shard in stream.shards() for record in stream.open(shard.id).read().records
    ]
    key = time.strftime("log/%Y/%m/%d/%H/delivered-by-the-test", time.gmtime())
    body = gzip.compress(b"".join(payloads))
    client(environment, "s3").put_object(Bucket="headwater-log", Key=key, Body=body)


def test_with_somebody_elses_aws_a_drain_waits_until_firehose_has_delivered(
    foreign: dict[str, str], tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse.db"
    environment = {**foreign, "HEADWATER_WAREHOUSE": f"sqlite:///{warehouse}"}
    with Up(environment=environment) as up:
        drop_register(up, tmp_path, "a.csv", REGISTER)
        early = up.run("drain", "--timeout", "16")
        assert early.code == 5, early
        assert "the log lacks the last event of shardId-" in early.err
        assert live_rows(up)["school"] == 6  # applied, but not in S3 yet
        deliver(environment)
        assert up.run("drain", "--timeout", "30").code == 0
        assert up.run("replay", "rebuild", "school").code == 0
        up.kill()
    with Up("-v", environment=environment) as again:  # its checkpoints are in the warehouse
        assert again.run("drain", "--timeout", "30").code == 0
        assert live_rows(again)["school"] == 6
        assert consumed(again) == NOTHING
        assert again.stop() == 0
    with closing(sqlite3.connect(warehouse)) as kept:
        assert kept.execute("SELECT COUNT(*) FROM staging_school").fetchone() == (6,)
