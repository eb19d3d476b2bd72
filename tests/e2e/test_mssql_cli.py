"""The commands with SQL Server as the warehouse: what SQLite gives for the same, and what they say of a
server that is not as it should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from babelfish import close_kept
from headwater_up import ON_MSSQL, Done, Up, headwater
from mssql_server import bare, new_database, url_of
from sqlalchemy.engine import make_url

from headwater.local import sample

REGISTER = sample.schools(12)
ENTITIES = ("class_group", "platform_usage", "school", "subscription", "teacher")
WRONG = "Swordfish_12345678"


def spoken(url: str) -> tuple[str, dict[str, str]]:
    """A URL as a command line may show it, and the environment that has its password."""
    parsed = make_url(url)
    shown = parsed._replace(password=None).render_as_string(hide_password=False)
    return shown, {"HEADWATER_WAREHOUSE_PASSWORD": str(parsed.password)}


class Played:
    """A running `up`, and its commands; with `--warehouse` where the tables are in SQL Server."""

    def __init__(self, up: Up, warehouse: tuple[str, ...] = ()) -> None:
        self.up = up
        self._warehouse = warehouse

    def run(self, *argv: str | Path) -> Done:
        touches_tables = argv[0] in ("drain", "tables", "status", "replay")
        return self.up.run(*argv, *(self._warehouse if touches_tables else ()))

    def json(self, *argv: str | Path) -> Any:
        done = self.run(*argv, "--json")
        assert done.code in (0, 3), done
        return {"code": done.code, "said": json.loads(done.out)}


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with new_database() as name:
        yield name
        close_kept()


@pytest.fixture(scope="module")
def both(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Played, Played]]:
    """SQLite and SQL Server, each with an AWS of its own, and the same in both."""
    shown, environment = spoken(url_of(database))
    flag = ("--warehouse", shown)
    with ExitStack() as stack:
        sqlite = stack.enter_context(Up())
        mssql = stack.enter_context(Up(*flag, environment=environment, program=ON_MSSQL))
        made = Played(sqlite), Played(mssql, flag)
        for played in made:
            _fill(played, tmp_path_factory.mktemp("files"))
        yield made


def _fill(played: Played, folder: Path) -> None:
    usage = sample.usage(REGISTER[:4], date(2026, 1, 1))
    usage[5] = replace(usage[5], minutes="about an hour")
    (folder / "register.csv").write_bytes(sample.register_csv(REGISTER))
    (folder / "usage.csv").write_bytes(sample.usage_csv(usage))
    assert played.run("drop", folder / "register.csv", "--entity", "school").code == 0
    assert played.run("drop", folder / "usage.csv", "--entity", "platform_usage").code == 0
    for item in sample.subscriptions(REGISTER):
        played.up.put("subscriptions", item)
    for item in sample.accounts(REGISTER, 1):
        played.up.put("accounts", item)
    played.up.client("dynamodb").delete_item(
        TableName="subscriptions", Key={"subscription_id": {"S": "SUB-0002"}}
    )
    assert played.run("drain").code == 3  # a row of usage is rejected


def same(both: tuple[Played, Played], *argv: str | Path) -> Any:
    """What a command prints as JSON over both, which must be equal."""
    expected, found = (played.json(*argv) for played in both)
    assert found == expected
    return found["said"]


def test_what_goes_in_is_in_the_tables_as_in_sqlite(both: tuple[Played, Played]) -> None:
    assert same(both, "drain")["drained"]
    for entity in ENTITIES:
        assert same(both, "tables", entity, "--limit", "0"), entity
    assert len(same(both, "tables", "school", "--limit", "3")) == 3


def test_status_is_that_of_sqlite(both: tuple[Played, Played]) -> None:
    expected, found = (played.json("status")["said"] for played in both)
    assert found["rejects"] == expected["rejects"] == {**found["rejects"], "rows": 1, "files": 0}
    counted = [
        [(each["entity"], each["revision"], each["live"], each["tombstones"]) for each in status["tables"]]
        for status in (expected, found)
    ]
    assert counted[0] == counted[1]
    assert ("subscription", 1, 11, 1) in counted[1]
    assert all(int(sequence) > 0 for sequence in found["checkpoints"].values())


def test_a_table_is_made_again_compared_and_rolled_back(both: tuple[Played, Played]) -> None:
    rebuilt = [played.json("replay", "rebuild", "school") for played in both]
    for each in rebuilt:
        assert each["code"] == 0
        assert (each["said"]["swapped"], each["said"]["differences"], each["said"]["revision"]) == (
            True,
            [],
            2,
        )
    assert same(both, "replay", "compare", "school")["differences"] == 0
    assert [played.run("replay", "rollback", "school").code for played in both] == [0, 0]
    assert [row["urn"] for row in same(both, "tables", "school")] == [school.urn for school in REGISTER]


def test_the_table_of_a_moment_is_a_view_of_its_own(both: tuple[Played, Played]) -> None:
    moment = "2099-01-01T00:00:00Z"
    for played in both:
        told = played.run("replay", "rebuild", "school", "--as-of", moment)
        assert told.code == 0, told
    assert same(both, "tables", "school", "--as-of", moment, "--limit", "0") == same(
        both, "tables", "school", "--limit", "0"
    )


def test_a_row_that_somebody_changed_is_found(both: tuple[Played, Played], database: str) -> None:
    mssql = both[1]
    (live,) = [
        each["revision"] for each in mssql.json("status")["said"]["tables"] if each["entity"] == "teacher"
    ]
    with bare(database) as connection:
        connection.cursor().execute(
            f"DELETE FROM staging.teacher__r{live} WHERE _key_hash IN "
            f"(SELECT TOP (1) _key_hash FROM staging.teacher__r{live} ORDER BY _key_hash)"
        )
    compared = mssql.json("replay", "compare", "teacher")
    assert (compared["code"], compared["said"]["differences"]) == (3, 1)
    refused = mssql.run("replay", "rebuild", "teacher")
    assert refused.code == 3
    assert "--accept-differences swaps all the same" in refused.out
    assert mssql.run("replay", "rebuild", "teacher", "--accept-differences").code == 0
    assert same(both, "tables", "teacher", "--limit", "0")


def test_dead_letters_are_those_of_sqlite(both: tuple[Played, Played], tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_bytes("rien,à,voir\n1,2,3\n".encode("cp1252"))
    for played in both:
        played.run("drop", tmp_path / "wrong.csv", "--entity", "platform_usage")
        played.up.client("kinesis").put_record(
            StreamName="headwater-events", Data=b"not a frame", PartitionKey="k"
        )
    assert same(both, "drain") == {"drained": True, "dead_letters": 2, "rejected_rows": 1}
    kinds = [
        [
            (each["stage"], each["entity"], each["reason"])
            for each in played.json("dead-letters", "list")["said"]
        ]
        for played in both
    ]
    assert kinds[0] == kinds[1]


def test_the_password_is_in_no_command_line_and_in_nothing_that_is_said(
    both: tuple[Played, Played], database: str
) -> None:
    mssql = both[1]
    password = str(make_url(url_of(database)).password)
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _is_there(path)]
    assert any(b"headwater" in line for line in lines)
    assert not [line for line in lines if password.encode() in line]
    assert "HEADWATER_WAREHOUSE" not in mssql.up.environment
    assert "it holds a password and is not shown" in mssql.up.said()
    assert password not in mssql.up.said()


def _is_there(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:  # it has ended meanwhile
        return False


def test_a_clean_stop_leaves_the_tables(both: tuple[Played, Played], database: str) -> None:
    assert both[1].up.stop() == 0
    shown, environment = spoken(url_of(database))
    kept = headwater(
        *("tables", "school", "--limit", "0", "--json", "--warehouse", shown),
        environment=environment,
        program=ON_MSSQL,
    )
    assert kept.code == 0, kept
    assert len(json.loads(kept.out)) == len(REGISTER)


# A server that is not as it should be.


def changed(url: str, kind: str) -> str:
    parsed = make_url(url)
    match kind:
        case "no database":
            parsed = parsed.set(database="headwater_nowhere")
        case "no login":
            parsed = parsed.set(password=WRONG)
        case "no server":
            parsed = parsed.set(port=1)
    return parsed.render_as_string(hide_password=False)


@pytest.mark.parametrize("verbose", [(), ("-v",)], ids=["", "-v"])
@pytest.mark.parametrize("argv", [("up",), ("warehouse", "check"), ("warehouse", "init")], ids=" ".join)
@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        ("no database", 2, "database is missing"),
        ("no login", 2, "the login is refused"),
        ("no server", 5, "no server answers"),
    ],
)
def test_it_is_said_in_one_line_without_the_password(
    database: str, kind: str, code: int, told: str, argv: tuple[str, ...], verbose: tuple[str, ...]
) -> None:
    url = changed(url_of(database), kind)
    shown, environment = spoken(url)
    done = headwater(*(*verbose, *argv, "--warehouse", shown), environment=environment, program=ON_MSSQL)
    assert (done.code, done.out) == (code, ""), done
    said = [line for line in done.err.splitlines() if line.startswith("headwater: ")]
    assert len(said) == 1
    assert told in said[0]
    assert verbose or done.err.count("\n") == 1
    assert environment["HEADWATER_WAREHOUSE_PASSWORD"] not in done.err
