"""The commands as a user runs them, all against one `headwater up`, in the order of the file."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from headwater_up import ROOT, Done, Up, headwater

from headwater.local import sample

REGISTER = sample.schools(12)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running `up` that was given items and files, and drained."""
    folder = tmp_path_factory.mktemp("files")
    with Up() as running:
        (folder / "register 1.csv").write_bytes(sample.register_csv(REGISTER))
        first = headwater(
            "drop", folder / "register 1.csv", "--entity", "school", environment=running.environment
        )
        dropped = "s3://headwater-source/drop/school/register 1.csv"
        assert first == Done(0, f"dropped {folder / 'register 1.csv'} as {dropped}\n", "")
        usage = sample.usage(REGISTER[:4], date(2026, 1, 1))
        usage[5] = replace(usage[5], minutes="about an hour")
        (folder / "usage.csv").write_bytes(sample.usage_csv(usage))
        assert running.run("drop", folder / "usage.csv", "--entity", "platform_usage").code == 0
        for item in sample.subscriptions(REGISTER):
            running.put("subscriptions", item)
        for item in sample.accounts(REGISTER, 1):
            running.put("accounts", item)
        running.client("dynamodb").delete_item(
            TableName="subscriptions", Key={"subscription_id": {"S": "SUB-0002"}}
        )
        told = "drained, with 1 rejected row (`headwater rejects list`)\n"
        assert headwater("drain", environment=running.environment) == Done(3, told, "")
        yield running


def rows(up: Up, name: str, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = up.json("tables", name, "--limit", "0", *more)
    return found


def table(up: Up, name: str) -> dict[str, Any]:
    (found,) = [table for table in up.json("status")["tables"] if table["entity"] == name]
    return dict(found)


def test_rows_of_a_dropped_file_are_in_the_table(up: Up) -> None:
    assert [row["urn"] for row in rows(up, "school")] == [school.urn for school in REGISTER]
    assert rows(up, "school")[0]["name"] == REGISTER[0].name
    assert rows(up, "school")[0]["is_open"] is True


def test_changes_of_items_are_in_the_tables(up: Up) -> None:
    assert (table(up, "subscription")["live"], table(up, "subscription")["tombstones"]) == (11, 1)
    assert (table(up, "teacher")["live"], table(up, "class_group")["live"]) == (12, 12)
    assert "SUB-0002" not in {row["subscription_id"] for row in rows(up, "subscription")}


def test_a_person_reads_aligned_columns_and_is_told_of_the_rest(up: Up) -> None:
    shown = up.run("tables", "school", "--limit", "2")
    header, line, *below = shown.out.splitlines()
    assert header.split() == ["urn", "name", "town", "postcode", "opened_on", "pupils", "is_open", "_source"]
    assert set(line) == {"-", " "}
    assert len(below) == 2
    assert "the first 2 rows; --limit 0 shows all" in shown.err
    assert re.search(r"^school +12 ", up.run("tables").out, re.MULTILINE)


def test_a_bad_row_is_rejected_and_counted_and_the_rest_is_there(up: Up) -> None:
    assert len(rows(up, "platform_usage")) == 11
    place = "s3://headwater-source/rejects/"
    assert up.json("status")["rejects"] == {"rows": 1, "files": 0, "closed": 0, "place": place}


def test_status_tells_what_each_part_holds(up: Up) -> None:
    status = up.json("status")
    assert sorted(status["checkpoints"]) == ["shardId-000000000000", "shardId-000000000001"]
    assert all(int(sequence) > 0 for sequence in status["checkpoints"].values())
    assert status["log"]["objects"] > 0
    assert status["log"]["bytes"] > 1_000
    assert status["dead_letters"] == 0
    told = up.run("status").out
    assert "rejected: 1 row, 0 whole files, in s3://headwater-source/rejects/" in told
    assert "log: " in told


def test_a_table_is_made_again_from_the_log_and_rolled_back(up: Up) -> None:
    before = rows(up, "school")
    planned = up.run("replay", "rebuild", "school", "--dry-run")
    assert planned.code == 0
    assert planned.out.startswith("rebuild of school")
    rebuilt = up.json("replay", "rebuild", "school")
    assert (rebuilt["swapped"], rebuilt["differences"], rebuilt["revision"]) == (True, [], 2)
    assert rows(up, "school") == before
    back = up.run("replay", "rollback", "school")
    assert back.code == 0, back
    assert "revision 1 is live in place of revision 2" in back.out
    assert rows(up, "school") == before


def test_the_table_of_an_earlier_moment_is_a_view_of_its_own(up: Up, tmp_path: Path) -> None:
    (tmp_path / "next.csv").write_bytes(sample.register_csv(sample.next_register(REGISTER, gone=2, grown=1)))
    moment = table(up, "school")["newest"]
    up.run("drop", tmp_path / "next.csv", "--entity", "school")
    assert up.run("drain").code == 3  # with the one rejected row
    told = up.run("replay", "rebuild", "school", "--as-of", moment)
    assert told.code == 0, told
    assert [row["urn"] for row in rows(up, "school", "--as-of", moment)] == [s.urn for s in REGISTER]
    assert len(rows(up, "school")) == 11


def test_compare_finds_nothing_in_a_table_that_is_right(up: Up) -> None:
    compared = up.run("replay", "compare", "subscription")
    assert compared == Done(0, "every row of subscription is what the log says\n", "")


def test_a_row_that_is_not_what_the_log_says_is_found_and_the_rebuild_not_swapped_in(up: Up) -> None:
    path = up.environment["HEADWATER_WAREHOUSE"].removeprefix("sqlite:///")
    physical, urn = f"staging_school__r{table(up, 'school')['revision']}", REGISTER[3].urn
    with closing(sqlite3.connect(path)) as tampering, tampering:
        tampering.execute(f"UPDATE {physical} SET name = 'Tampered' WHERE urn = {urn}")
    compared = up.run("replay", "compare", "school", "--json")
    assert compared.code == 3
    assert json.loads(compared.out)["differences"] == 1
    assert json.loads(compared.out)["rows"] == [{"key": f'["{urn}"]', "what": ["name"], "newer": "neither"}]
    refused = up.run("replay", "rebuild", "school")
    assert refused.code == 3
    assert "--accept-differences swaps all the same" in refused.out
    assert up.run("replay", "rebuild", "school", "--accept-differences").code == 0
    assert "Tampered" not in {row["name"] for row in rows(up, "school")}


def test_a_reshard_in_mid_stream_loses_nothing(up: Up) -> None:
    kinesis = up.client("kinesis")
    shard = kinesis.list_shards(StreamName="headwater-events")["Shards"][0]
    ends = (int(shard["HashKeyRange"][end]) for end in ("StartingHashKey", "EndingHashKey"))
    kinesis.split_shard(
        StreamName="headwater-events",
        ShardToSplit=shard["ShardId"],
        NewStartingHashKey=str(sum(ends) // 2),
    )
    for item in sample.subscriptions(REGISTER):
        up.put("subscriptions", {**item, "seats": 777})
    assert up.run("drain").code == 3  # with the one rejected row
    assert {row["seats"] for row in rows(up, "subscription")} == {777}
    assert len(rows(up, "subscription")) == len(REGISTER)
    assert up.run("replay", "compare", "subscription").code == 0
    assert len(up.json("status")["checkpoints"]) > 2  # a child, at least, has taken and given records


def test_dead_letters_are_listed_and_shown_with_their_payload(up: Up, tmp_path: Path) -> None:
    """A file that is rejected whole, and a record that is none of ours."""
    (tmp_path / "wrong.csv").write_bytes("rien,à,voir\n1,2,3\n".encode("cp1252"))
    up.run("drop", tmp_path / "wrong.csv", "--entity", "platform_usage")
    up.client("kinesis").put_record(StreamName="headwater-events", Data=b"not a frame", PartitionKey="k")
    drained = up.run("drain", "--json")
    assert (drained.code, json.loads(drained.out)) == (
        3,
        {"drained": True, "dead_letters": 2, "rejected_rows": 1},
    )
    consumer, file = up.json("dead-letters", "list")
    assert [consumer["stage"], file["stage"], file["entity"]] == ["consumer", "csv", "platform_usage"]
    assert up.json("dead-letters", "show", consumer["id"])["text"] == "not a frame"
    shown = up.run("dead-letters", "show", file["id"][:8])
    assert shown.code == 0
    assert f"reason:      {file['reason']}" in shown.out
    assert "wrong.csv" in shown.out
    assert "rejected: 1 row, 1 whole file" in up.run("status").out


def test_a_foreign_record_is_named_acknowledged_once_and_stops_replay_no_more(up: Up) -> None:
    kinesis, s3 = up.client("kinesis"), up.client("s3")
    kinesis.put_record(StreamName="headwater-events", Data=b"hello from a colleague", PartitionKey="x")
    assert up.run("drain").code in (0, 3)
    s3.put_object(Bucket="headwater-log", Key="log/notes.txt", Body=b"not an object of the log")
    stopped = up.run("replay", "compare", "subscription")
    assert stopped.code == 4
    assert "`headwater replay damage acknowledge OBJECT --reason TEXT`" in stopped.err

    listed = up.run("replay", "damage", "list", "--json")
    assert listed.code == 4
    for each in json.loads(listed.out):
        words = f"{each['object']} --range {each['range']} --reason test --by ann".split()
        done = up.run("replay", "damage", "acknowledge", *words)
        assert done.code == 0, done
        assert "1 damaged range acknowledged" in done.out
    again = up.run("replay", "damage", "acknowledge", "log/notes.txt", "--reason", "again")
    assert again == Done(0, "acknowledged already\n", "")

    assert {each["acknowledged_by"] for each in up.json("replay", "damage", "list")} == {"ann"}
    assert up.run("replay", "compare", "subscription").code == 0
    nowhere = up.run("replay", "damage", "acknowledge", "log/nope", "--reason", "a test")
    assert (nowhere.code, nowhere.err) == (2, "headwater: the log has no object log/nope\n")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["drop", "/nowhere.csv", "--entity", "school"], "/nowhere.csv can't be read: No such file"),
        (["drop", "README.md", "--entity", "scool"], 'did you mean "school"?'),
        (["drop", "README.md", "--entity", "teacher"], "comes from the DynamoDB table accounts"),
        (["drop", "README.md", "--entity", "school", "--feed", "x"], "has the feeds school: say which"),
        (["tables", "teachers"], 'did you mean "teacher"?'),
        (["tables", "school", "--as-of", "2001-01-01T00:00:00Z"], "20010101T000000Z"),
        (["replay", "rebuild", "scool"], 'did you mean "school"?'),
        (["replay", "rollback", "teacher"], "no retired revision"),
        (["dead-letters", "show", "nothing"], "headwater dead-letters list"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_2_with_one_clear_line(up: Up, argv: list[str], told: str) -> None:
    done = up.run(*argv)
    assert (done.code, done.out) == (2, ""), done
    assert told in done.err
    assert done.err.count("\n") == 1


def test_nothing_is_drained_where_nothing_runs_any_more(up: Up) -> None:
    assert up.stop() == 0
    done = up.run("drain")
    assert done.code == 5
    assert "start `headwater up`" in done.err


@pytest.mark.parametrize("argv", [["dead-letters", "list"], ["up"]], ids=" ".join)
def test_an_endpoint_that_is_away_is_5_within_seconds_and_named(argv: list[str], tmp_path: Path) -> None:
    away = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "HEADWATER_WAREHOUSE": f"sqlite:///{tmp_path}/never-made.db",
    }
    done = headwater(*argv, environment=away, timeout=30)
    assert done.code == 5, done
    assert "Nothing answers at AWS_ENDPOINT_URL=http://127.0.0.1:9" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [["status"], ["dead-letters", "list"]], ids=" ".join)
def test_without_an_environment_it_says_where_to_get_one(argv: list[str]) -> None:
    done = headwater(*argv)
    assert done.code == 2, done
    assert "headwater up" in done.err


def test_help_comes_at_once_without_the_heavy_libraries() -> None:
    """Start-up is what a person waits for at every command."""
    code = "import sys; from headwater.cli import parser; parser(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "argparse" in loaded
    assert set(loaded) & {"boto3", "botocore", "sqlalchemy", "moto", "flask"} == set()
