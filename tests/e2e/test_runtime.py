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
from headwater import sample
from headwater.embedded import EmbeddedAws

REGISTER = sample.schools(6)


def drop_register(up: Up, folder: Path, name: str, register: list[sample.School]) -> None:
    (folder / name).write_bytes(sample.register_csv(register))
    assert up.run("drop", folder / name, "--entity", "school").code == 0


NOTHING = {"Counts(applied=0, superseded=0, duplicate=0, dead=0)"}  # the batch of nothing at the start


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
    """Tables, items and log are there again, and no change to anybody; a kill leaves the last clean stop."""
    state = tmp_path / "state"
    accounts = sample.accounts(REGISTER, 1)
    with Up("--state", state) as first:
        drop_register(first, tmp_path, "january.csv", REGISTER)
        for item in accounts:
            first.put("accounts", item)
        assert first.stop(signal.SIGINT) == 130  # not drained before: it does that itself
        assert f"saved in {state}" in first.said()
    assert [file.name for file in state.iterdir()] == ["headwater-state.zip"]

    with Up("-v", "--state", state) as second:
        assert "restored what the clean stop of " in second.said()
        assert (live_rows(second)["school"], live_rows(second)["teacher"]) == (6, 6)
        assert second.client("dynamodb").scan(TableName="accounts")["Count"] == len(accounts)
        assert second.run("drain").code == 0
        assert consumed(second) == NOTHING  # restored items are no new events

        second.put("accounts", {**accounts[0], "role": "changed"})
        next_register = sample.next_register(REGISTER, gone=2, grown=1)
        drop_register(second, tmp_path, "february.csv", next_register)
        assert second.run("drain").code == 0
        assert second.run("replay", "rebuild", "school").code == 0
        assert live_rows(second)["school"] == 5
        assert second.stop(signal.SIGTERM) == 0

    saved = (state / "headwater-state.zip").read_bytes()
    with Up("--state", state) as third:
        assert live_rows(third)["school"] == 5
        assert third.json("tables", "teacher")[0]["role"] == "changed"
        third.put("accounts", {**accounts[0], "role": "lost with the kill"})
        assert third.run("drain").code == 0
        third.kill()
    assert (state / "headwater-state.zip").read_bytes() == saved

    home = tmp_path / "home" / "entities" / "other"
    home.mkdir(parents=True)
    (home / "entity.toml").write_text('key = ["k"]\n[[source]]\ncsv = "other"\nmode = "upsert"\n')
    (home / "v1.avsc").write_text(
        '{"type": "record", "name": "Other", "fields": [{"name": "k", "type": "string", "maxLength": 9}]}'
    )
    other = headwater("up", "--state", state, environment={"HEADWATER_HOME": str(tmp_path / "home")})
    assert (other.code, other.out) == (2, "")
    assert "holds the table accounts, which no entity names" in other.err
    (state / "headwater-state.zip").write_bytes(saved[:-100])
    torn = headwater("up", "--state", state)
    assert (torn.code, torn.out) == (2, "")
    assert "can't be read: remove it to start fresh" in torn.err


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
        assert not (tmp_path / "state" / "headwater-state.zip").exists()


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
