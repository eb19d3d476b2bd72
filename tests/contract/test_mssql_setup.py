"""`headwater warehouse init` and `check` on SQL Server: what each role may do, and where the password is."""

import json
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_endpoint import Aws
from babelfish import close_kept
from consumers_world import ENTITIES, ITEM, A, apply, floor, item, row
from history_world import CATALOG_OF_PAST, PAST, Happened, frames_of, shown_versions, versions
from mssql_server import bare, connected, is_babelfish, new_database, server, url_of
from sqlalchemy import event as engine_event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from consumers.consume import Consumer
from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.address import from_command_line, warehouse_url
from consumers.warehouse.mssql.login import RotatedLogin
from consumers.warehouse.mssql.setup import LEVEL, OWNERS, SELECT_LEVEL
from consumers.warehouse.mssql.warehouse import MssqlWarehouse, open_warehouse
from consumers.warehouse.port import Batch, Counts, LetterCount
from consumers.wiring import wire
from headwater.cli import main
from headwater.exit_codes import DONE, FINDINGS, REFUSED
from headwater.installation import load
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError
from schemas.letters.letter import InMemoryLetters
from schemas.payload.codec import SchemaRegistry
from schemas.settings import Settings, read_settings

pytest_plugins = ("warehouse_engines",)

PASSWORD = "Swordfish_12345678"


@pytest.fixture
def database() -> Iterator[str]:
    """Of each test's own: roles stay in it."""
    with new_database() as name:
        yield name
        close_kept()


@pytest.fixture
def warehouse(database: str) -> Iterator[MssqlWarehouse]:
    made = open_warehouse(url_of(database), ENTITIES)
    made.init()
    yield made
    made.close()


@pytest.fixture
def user(warehouse: MssqlWarehouse, database: str) -> Iterator[Any]:
    """Makes a login in a role; gives its URL."""
    made: list[str] = []

    def member_of(role: str) -> str:
        name = f"headwater_{uuid.uuid4().hex[:8]}"
        with bare(database) as connection:
            cursor = connection.cursor()
            cursor.execute(f"CREATE LOGIN {name} WITH PASSWORD = '{PASSWORD}'")
            cursor.execute(f"CREATE USER {name} FOR LOGIN {name}")
            cursor.execute(f"ALTER ROLE {role} ADD MEMBER {name}")
        made.append(name)
        url = make_url(url_of(database)).set(username=name, password=PASSWORD)
        return url.render_as_string(hide_password=False)

    yield member_of
    close_kept()
    for name in made:
        with bare(database) as connection:
            connection.cursor().execute(f"DROP USER {name}")
        with connected(server()) as connection:
            connection.cursor().execute(f"DROP LOGIN {name}")


def test_init_makes_all_and_may_be_repeated(database: str) -> None:
    made = open_warehouse(url_of(database), ENTITIES)
    assert {each for each in made.problems() if "missing" in each} >= {
        "the role headwater_writer is missing, or not visible to this login",
        "the role headwater_refresher is missing, or not visible to this login",
        "the table headwater.revisions is missing",
    }
    made.init()
    assert made.problems() == []
    apply(made, ITEM, row(ITEM, item("x"), 1))
    made.init()
    assert made.problems() == []
    assert len(made.select("item")[1]) == 1
    made.close()


def test_a_database_of_an_older_level_is_found(warehouse: MssqlWarehouse) -> None:
    """OPENJSON is not there below it: SQL Server would say that a table is missing."""

    def older(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        asked = statement in (SELECT_LEVEL, f"SELECT {LEVEL}")  # the latter as tests/babelfish.py asks
        return "SELECT 120" if asked else statement, parameters

    engine_event.listen(warehouse.engine, "before_cursor_execute", older, retval=True)
    assert warehouse.problems() == ["the database's compatibility level is 120: OPENJSON needs 130"]


@pytest.mark.parametrize("role", ["headwater_reader", "headwater_writer", "headwater_refresher"])
def test_check_calls_nothing_missing_that_a_role_may_not_see(
    warehouse: MssqlWarehouse, user: Any, role: str
) -> None:
    assert warehouse.problems() == []
    member = open_warehouse(user(role), ENTITIES)
    expected = {
        "headwater_reader": [
            "the tables of headwater are not visible to this login: run `check` as the owner"
        ]
    }
    assert member.problems() == expected.get(role, [])
    member.close()


def test_check_says_of_a_view_that_it_may_be_there_unseen_unless_it_is_the_owner_who_asks(
    warehouse: MssqlWarehouse, user: Any, database: str
) -> None:
    with bare(database) as connection:
        connection.cursor().execute("DROP VIEW staging.item")
    member = open_warehouse(user("headwater_refresher"), ENTITIES)
    assert member.problems() == [
        "the view staging.item is missing, or not visible to this login, or does not match its entity"
    ]
    assert warehouse.problems() == ["the view staging.item is missing, or does not match its entity"]
    member.close()


def test_a_writer_writes_and_makes_nothing(warehouse: MssqlWarehouse, user: Any) -> None:
    writer = open_warehouse(user("headwater_writer"), ENTITIES)
    writer.require()
    writer.ensure()
    rows = [row(ITEM, item("x"), number) for number in (1, 2)]
    for made in rows:
        assert apply(writer, ITEM, made, sweeps=[floor(made, 1)]).applied >= 1
    with pytest.raises(ConfigurationError):
        writer.create_revision("item")
    number = warehouse.create_revision("item")
    with pytest.raises(ConfigurationError):
        writer.drop_revision("item", number)
    writer.close()


def test_a_reader_sees_views_and_no_tables(warehouse: MssqlWarehouse, user: Any) -> None:
    apply(warehouse, ITEM, row(ITEM, item("x"), 1))
    reader = open_warehouse(user("headwater_reader"), ENTITIES)
    assert [each[0] for each in reader.select("item")[1]] == ["x"]
    with pytest.raises(ConfigurationError):
        list(reader.rows("item", 1))
    with pytest.raises(ConfigurationError):
        reader.status()
    with (
        pytest.raises(ConfigurationError),
        reader.transaction(shared=["item"]) as transaction,
    ):
        transaction.apply(Batch({"item": [row(ITEM, item("y"), 1)]}))
    reader.close()


def test_a_writer_adds_to_history_and_changes_none_of_it_and_a_reader_sees_versions(
    database: str, user: Any
) -> None:
    frames = frames_of([Happened(kind, "k", A, n, n, 1, "") for n, kind in enumerate(("insert", "sweep"), 1)])
    admin = open_warehouse(url_of(database), [PAST])
    admin.init()
    writer = open_warehouse(user("headwater_writer"), [PAST])
    writer.ensure()
    Consumer(CATALOG_OF_PAST, writer, InMemoryLetters()).consume(frames)
    with pytest.raises(DBAPIError), writer.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE history.past__r1 SET size = 2")
    reader = open_warehouse(user("headwater_reader"), [PAST])
    assert shown_versions(reader.engine, "history.past") == versions(frames)
    with writer.engine.connect() as connection:  # Babelfish has no ownership chain through a function
        rows = connection.exec_driver_sql("SELECT * FROM history.past_at('2024-01-01T00:00:01')").all()
        assert [tuple(row) for row in rows] == [("k", 1, "", A)]
    with pytest.raises(DBAPIError):
        shown_versions(reader.engine, "history.past__r1")
    for made in (admin, writer, reader):
        made.close()


def test_a_reader_sees_the_summary_of_dead_letters_which_a_writer_replaces(
    warehouse: MssqlWarehouse, user: Any
) -> None:
    count = LetterCount("item", "csv", "data", "open", 2, 0, 1)
    writer = open_warehouse(user("headwater_writer"), ENTITIES)
    for letters in (1, 2):
        writer.save_letter_counts([count._replace(letters=letters)])
    reader = open_warehouse(user("headwater_reader"), ENTITIES)
    with reader.engine.connect() as connection:
        select = "SELECT entity, state, letters FROM headwater.dead_letter_summary"
        assert connection.exec_driver_sql(select).all() == [("item", "open", 2)]
    with pytest.raises(ConfigurationError):
        reader.letter_counts()  # the table itself
    writer.close()
    reader.close()


def test_a_reader_keeps_her_rights_through_a_swap(warehouse: MssqlWarehouse, user: Any) -> None:
    reader = open_warehouse(user("headwater_reader"), ENTITIES)
    number = warehouse.create_revision("item")
    assert apply(warehouse, ITEM, row(ITEM, item("new"), 1), revision=number) == Counts(applied=1)
    with warehouse.transaction(exclusive=["item"]) as transaction:
        transaction.swap("item", number)
    assert [each[0] for each in reader.select("item")[1]] == ["new"]
    reader.close()


REPORT = """/* headwater
key = ["label"]
*/
SELECT i.label, COUNT(*) AS items FROM staging.item AS i GROUP BY i.label"""


def _report() -> Report:
    return read_report("labels", REPORT, Catalog({"item": ITEM}, SchemaRegistry([ITEM.schema])))


def test_a_refresher_keeps_reports_that_a_writers_rows_change_and_readers_see(
    warehouse: MssqlWarehouse, user: Any
) -> None:
    """On Babelfish a table is its owner's alone to make: there the owner makes the report."""
    refresher = open_warehouse(user("headwater_refresher"), ENTITIES)
    reader = open_warehouse(user("headwater_reader"), ENTITIES)
    makes = Refresher(reports_in(warehouse if is_babelfish() else refresher))
    assert makes.refresh(_report()).how == "whole"
    writer = open_warehouse(user("headwater_writer"), ENTITIES)
    for key in ("x", "y"):
        apply(writer, ITEM, row(ITEM, item(key, label="l"), 1))
    assert Refresher(reports_in(refresher)).refresh(_report()).how == "units"
    with reader.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT label, items FROM reporting.labels").all()
        waiting = connection.exec_driver_sql("SELECT waiting FROM reporting._freshness").scalar_one()
    assert ([tuple(each) for each in rows], waiting) == ([("l", 2)], 0)
    assert Refresher(reports_in(refresher)).verify(_report()) == []
    for made in (refresher, reader, writer):
        made.close()


def test_a_refresher_writes_no_rows_but_those_of_reports(warehouse: MssqlWarehouse, user: Any) -> None:
    refresher = open_warehouse(user("headwater_refresher"), ENTITIES)
    with pytest.raises(ConfigurationError):
        apply(refresher, ITEM, row(ITEM, item("x"), 1))
    for statement in (
        "UPDATE staging.item__r1 SET label = N'x'",
        "DELETE FROM staging.item__r1",
        "INSERT INTO headwater.checkpoints (reader, stream, shard, sequence) VALUES (N'a', N'b', N'c', N'd')",
        "UPDATE headwater.floors SET position = N'x'",
    ):
        with pytest.raises(DBAPIError), refresher.engine.connect() as connection:
            connection.exec_driver_sql(statement)
    refresher.close()


def test_a_writer_makes_no_report(warehouse: MssqlWarehouse, user: Any) -> None:
    writer = open_warehouse(user("headwater_writer"), ENTITIES)
    with pytest.raises(ConfigurationError):
        Refresher(reports_in(writer)).refresh(_report())
    assert Refresher(reports_in(warehouse)).revisions()[0] == []
    writer.close()


def test_schemas_of_several_owners_are_told(warehouse: MssqlWarehouse) -> None:
    def several(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return "SELECT 2" if statement == OWNERS else statement, parameters

    engine_event.listen(warehouse.engine, "before_cursor_execute", several, retval=True)
    (said,) = warehouse.problems()
    assert "ALTER AUTHORIZATION ON SCHEMA::reporting TO dbo" in said


def test_the_commands_say_it_and_their_exit_codes(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWATER_WAREHOUSE", url_of(database))
    assert main(["warehouse", "check"]) == FINDINGS
    assert "the role headwater_writer is missing" in capsys.readouterr().out
    assert main(["warehouse", "init"]) == DONE
    assert main(["warehouse", "check"]) == DONE
    assert main(["tables"]) == DONE
    assert "school" in capsys.readouterr().out


# The URL and its password. These need no server.


def test_a_password_on_the_command_line_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warehouse", "check", "--warehouse", f"mssql+pymssql://u:{PASSWORD}@h/d"]) == REFUSED
    said = capsys.readouterr()
    assert "HEADWATER_WAREHOUSE_PASSWORD" in said.err
    assert PASSWORD not in said.out + said.err


def test_the_password_of_a_url_on_the_command_line_comes_from_the_environment() -> None:
    url = "mssql+pymssql://u@h/d"
    made = from_command_line(url, {"HEADWATER_WAREHOUSE_PASSWORD": "p@ss/word"})
    assert make_url(made).password == "p@ss/word"
    assert from_command_line(url, {}) == url
    assert from_command_line("sqlite:///w.db", {"HEADWATER_WAREHOUSE_PASSWORD": "x"}) == "sqlite:///w.db"


def test_the_settings_do_not_show_the_url() -> None:
    settings = read_settings({"HEADWATER_WAREHOUSE": f"mssql+pymssql://u:{PASSWORD}@h/d"})
    assert PASSWORD not in repr(settings)
    assert settings != Settings()


@pytest.fixture
def environment(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_the_url_may_be_a_secret(aws: Aws) -> None:
    url = f"mssql+pymssql://u:{PASSWORD}@h/d"
    secret = aws.name("warehouse")
    aws.client("secretsmanager").create_secret(Name=secret, SecretString=f"{url}\n")
    named = {"HEADWATER_WAREHOUSE_SECRET": secret}
    assert warehouse_url(read_settings(named)) == url
    assert warehouse_url(read_settings({**named, "HEADWATER_WAREHOUSE": "other"})) == "other"
    with pytest.raises(ConfigurationError) as caught:
        warehouse_url(Settings(warehouse_secret="no-such-secret"))
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.usefixtures("environment")
def test_functions_and_commands_follow_the_rotation_of_a_secret(aws: Aws) -> None:
    secret, login = aws.name("warehouse"), {"username": "u", "password": PASSWORD}
    aws.client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps(login))
    settings = Settings(warehouse_secret=secret, warehouse_host="h", warehouse_database="d")
    with load(settings).new_warehouse() as of_commands, load(settings).warehouse() as existing:
        for opened in (wire(settings).warehouse, of_commands, existing):
            listeners = opened.engine.dialect.dispatch.do_connect  # type: ignore[attr-defined]
            assert isinstance(next(iter(listeners)).__self__, RotatedLogin)


def test_check_of_sqlite_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.db").touch()
    monkeypatch.setenv("HEADWATER_WAREHOUSE", f"sqlite:///{tmp_path}/w.db")
    assert main(["warehouse", "check"]) == FINDINGS
    assert main(["warehouse", "init"]) == DONE
    assert main(["warehouse", "check"]) == DONE
