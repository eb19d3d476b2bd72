"""The life of dead letters through the command line: refused, listed, repaired, redriven, discarded."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from headwater_up import ROOT, Up, headwater

from headwater.local import sample

SCHOOLS = sample.schools(4)
SUBSCRIPTIONS = sample.subscriptions(SCHOOLS)
GOLD = SUBSCRIPTIONS[1]["subscription_id"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of entities that this module may change."""
    made = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "schemas" / "entities", made / "entities")
    return made


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


def running(home: Path, state: Path) -> Up:
    return Up("--state", state, environment={"HEADWATER_HOME": str(home)})


@pytest.fixture(scope="module")
def refused(home: Path, state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One item of a plan that no schema has, a bad row, a bad file and a record that is none of ours."""
    files = tmp_path_factory.mktemp("files")
    usage = sample.usage(SCHOOLS, date(2026, 1, 1))
    usage[2] = replace(usage[2], minutes="about an hour")
    (files / "usage.csv").write_bytes(sample.usage_csv(usage))
    (files / "wrong.csv").write_bytes(b"what,is,this\n1,2,3\n")
    with running(home, state) as up:
        for name in ("usage.csv", "wrong.csv"):
            assert up.run("drop", files / name, "--entity", "platform_usage").code == 0
        for item in SUBSCRIPTIONS:
            up.put("subscriptions", {**item, "plan": "gold"} if item["subscription_id"] == GOLD else item)
        up.client("kinesis").put_record(StreamName="headwater-events", Data=b"no frame", PartitionKey="k")
        assert up.run("drain").code == 3
        yield up


def letters(up: Up, *filters: str) -> dict[str, dict[str, Any]]:
    """By stage."""
    return {each["stage"]: each for each in up.json("dead-letters", "list", *filters)}


def subscriptions(up: Up) -> dict[str, str]:
    return {row["subscription_id"]: row["plan"] for row in up.json("tables", "subscription", "--limit", "0")}


def summary(up: Up) -> dict[tuple[str, str], int]:
    """Stage and state, as a report reads them in the warehouse."""
    path = up.environment["HEADWATER_WAREHOUSE"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as warehouse:
        rows = warehouse.execute("SELECT stage, state, letters FROM headwater_dead_letters").fetchall()
    return {(stage, state): count for stage, state, count in rows}


def test_what_is_refused_waits_and_the_rest_is_there(refused: Up) -> None:
    assert set(letters(refused)) == {"consumer", "csv", "dynamodb"}
    assert {each["state"] for each in letters(refused).values()} == {"open"}
    assert set(subscriptions(refused)) == {item["subscription_id"] for item in SUBSCRIPTIONS} - {GOLD}
    assert refused.json("status")["rejects"]["rows"] == 1  # the row is no letter, but a line of rejects/


@pytest.mark.parametrize(
    ("filters", "stages"),
    [
        (["--entity", "subscription"], ["dynamodb"]),
        (["--stage", "consumer"], ["consumer"]),
        (["--stage", "csv", "--entity", "subscription"], []),
        (["--cause", "data"], ["consumer", "csv", "dynamodb"]),
        (["--cause", "schema"], []),
        (["--since", "2001-01-01T00:00:00Z"], ["consumer", "csv", "dynamodb"]),
        (["--since", "2999-01-01T00:00:00Z"], []),
        (["--state", "discarded"], []),
        (["--state", "all"], ["consumer", "csv", "dynamodb"]),
    ],
    ids=" ".join,
)
def test_letters_are_listed_by_filters(refused: Up, filters: list[str], stages: list[str]) -> None:
    assert sorted(letters(refused, *filters)) == stages


def test_a_filter_that_fits_none_does_not_say_that_none_waits(refused: Up) -> None:
    misspelt = refused.run("dead-letters", "list", "--entity", "subscripton")
    assert (misspelt.code, misspelt.err) == (0, "no dead letters that fit the filters are waiting\n")
    other = refused.run("dead-letters", "list", "--state", "discarded")
    assert other.err == "no dead letters are discarded\n"


def test_a_letter_is_shown_with_its_payload_and_a_reason_without_a_value(refused: Up) -> None:
    letter = letters(refused)["dynamodb"]
    shown = refused.json("dead-letters", "show", letter["id"][:10])
    assert json.loads(shown["text"])["dynamodb"]["NewImage"]["plan"] == {"S": "gold"}
    assert "plan" in shown["reason"]
    assert "gold" not in shown["reason"]


def test_a_dry_run_counts_and_does_nothing(refused: Up) -> None:
    told = refused.json("dead-letters", "redrive", "--entity", "subscription", "--dry-run")
    assert told == [{"stage": "dynamodb", "entity": "subscription", "cause": "data", "letters": 1}]
    file = refused.run("dead-letters", "redrive", "--stage", "csv", "--dry-run", "--json")
    assert (file.code, json.loads(file.out)) == (0, []), "a file that was read has no redrive"
    assert "1 letter of files left as they are" in file.err
    assert {each["state"] for each in letters(refused).values()} == {"open"}


def test_what_is_not_repaired_fails_again_with_3_and_the_summary_has_it(refused: Up) -> None:
    done = refused.run("dead-letters", "redrive", "--json")
    assert done.code == 3, done
    assert json.loads(done.out) == {"redriven": 0, "failed_again": 2, "not_redrivable": 1}
    assert "corrections/" in done.err
    assert set(letters(refused, "--state", "failed-again")) == {"consumer", "dynamodb"}
    assert summary(refused) == {
        ("consumer", "failed-again"): 1,
        ("csv", "open"): 1,
        ("dynamodb", "failed-again"): 1,
    }


def test_a_discarded_letter_stays_as_a_record_and_waits_no_more(refused: Up) -> None:
    letter = letters(refused)["consumer"]
    argv = ["dead-letters", "discard", letter["id"], "--reason", "  "]
    silent = headwater(*argv, environment=refused.environment)
    assert silent.code == 2
    assert "say why" in silent.err
    done = refused.run("dead-letters", "discard", letter["id"], "--reason", "a test of the network")
    assert (done.code, done.out) == (0, "1 letter discarded\n")
    assert set(letters(refused)) == {"csv", "dynamodb"}
    kept = refused.json("dead-letters", "show", letter["id"])
    assert (kept["state"], kept["outcome"], kept["text"]) == (
        "discarded",
        "a test of the network",
        "no frame",
    )
    assert summary(refused)["consumer", "discarded"] == 1


def test_the_next_version_of_an_entity_lets_its_letter_through_once(
    refused: Up, home: Path, state: Path
) -> None:
    """After a clean stop: the version is there for producers, consumer and whoever redrives."""
    assert refused.stop() == 0
    versions = home / "entities" / "subscription"
    first = (versions / "v1.avsc").read_text()
    (versions / "v2.avsc").write_text(first.replace('"premium"', '"premium", "gold"'))
    with running(home, state) as up:
        assert set(letters(up, "--state", "all")) == {"consumer", "csv", "dynamodb"}
        done = up.run("dead-letters", "redrive", "--entity", "subscription")
        assert (done.code, done.out) == (0, "1 letter redriven, 0 failed again\n"), done
        assert up.run("drain").code == 3  # the file that was rejected whole still waits
        assert subscriptions(up)[GOLD] == "gold"
        again = up.run("dead-letters", "redrive", "--entity", "subscription")
        assert (again.code, again.out) == (0, "0 letters redriven, 0 failed again\n")
        _end(up)


def _end(up: Up) -> None:
    """Redriven letters are no more to be discarded; the summary and status say the same."""
    redriven = letters(up, "--state", "redriven")["dynamodb"]
    late = up.run("dead-letters", "discard", redriven["id"], "--reason", "late")
    assert (late.code, late.out) == (2, "")
    assert "redriven already" in late.err
    for each in letters(up).values():  # of the file, and of the stray record if no test has discarded it
        assert up.run("dead-letters", "discard", each["id"], "--reason", "sent again by mail").code == 0
    assert up.json("dead-letters", "list") == []
    assert up.json("status")["dead_letters"] == 0
    told = up.json("status")["dead_letter_summary"]
    assert Counter({(e["stage"], e["state"]): e["letters"] for e in told}) == summary(up)
    assert set(summary(up)) == {("consumer", "discarded"), ("csv", "discarded"), ("dynamodb", "redriven")}
    assert up.run("drain").code == 3  # a rejected row is open
    (row,) = up.json("rejects", "list")
    assert row["id"] in up.run("rejects", "show", row["id"]).out
    assert up.run("rejects", "discard", row["id"], "--reason", "sent again by mail").code == 0
    assert up.json("rejects", "list") == []
    assert up.run("drain").code == 0
