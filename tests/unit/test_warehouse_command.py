"""`headwater warehouse init` and `check`: what they say, and that a lost connection does not end `init`."""

from pathlib import Path
from typing import Any

import pytest
from consumers_world import ENTITIES

from consumers.warehouse.mssql import setup as mssql_setup
from consumers.warehouse.mssql.warehouse import open_warehouse
from consumers.warehouse.port import TransactionLostError
from consumers.warehouse.tables import StagingTables
from headwater.cli import main
from headwater.exit_codes import DONE, FINDINGS


def test_check_says_so_when_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWATER_WAREHOUSE", f"sqlite:///{tmp_path}/w.db")
    (tmp_path / "w.db").touch()
    assert main(["warehouse", "check"]) == FINDINGS
    assert "missing: see `headwater warehouse init`" in capsys.readouterr().err
    assert main(["warehouse", "init"]) == DONE
    capsys.readouterr()
    assert main(["warehouse", "check"]) == DONE
    assert capsys.readouterr().err == "the warehouse has all that it needs\n"


def test_init_goes_on_after_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    made = open_warehouse("mssql+pymssql://owner:p@host/db", ENTITIES)
    failures = [TransactionLostError("the connection is dead"), None]

    def attempt() -> None:
        if failure := failures.pop(0):
            raise failure

    monkeypatch.setattr(made, "_init", attempt)
    made.init()
    assert failures == []


class Answers:
    """A database of SQL Server that answers single values; `may_select` is the login's right."""

    def __init__(self, may_select: int | None) -> None:
        self._may_select = may_select

    def exec_driver_sql(self, statement: str, **_: Any) -> "Answers":
        self._answer = self._may_select if statement == mssql_setup.MAY_SELECT else 130
        self._answer = 1 if statement == mssql_setup.OWNERS else self._answer
        return self

    def scalar_one(self) -> int | None:
        return self._answer


@pytest.mark.parametrize(
    ("may_select", "says"),
    [
        (0, "the tables of headwater are not visible to this login: run `check` as the owner"),
        (1, "the table headwater.floors is missing"),
        (None, "the table headwater.floors is missing"),
    ],
)
def test_a_login_that_may_not_see_the_tables_is_not_told_that_they_are_missing(
    may_select: int | None, says: str
) -> None:
    connection: Any = Answers(may_select)
    assert mssql_setup.database_problems(connection, StagingTables(ENTITIES), ["floors"]) == [says]
