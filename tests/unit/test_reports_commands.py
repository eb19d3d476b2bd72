"""`headwater reports` where a report fails, is held by somebody else, or is not there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consumers.consume import Consumer
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher, held_error
from consumers.warehouse.engines import open_warehouse
from headwater.cli import main
from headwater.exit_codes import DONE, GAVE_UP, REFUSED
from schemas.catalog.entity import Catalog
from schemas.catalog.loader import load_catalog
from schemas.event import Operation, encode_event, make_event
from schemas.letters.letter import InMemoryLetters

ROOT = Path(__file__).parents[2]
GOOD = "SELECT s.town, COUNT(*) AS n FROM staging.school AS s GROUP BY s.town"
REPORTS = {
    "a_cast": "SELECT s.town, SUM(CAST(s.name AS DECIMAL(9))) AS n FROM staging.school AS s GROUP BY s.town",
    "b_key": "SELECT s.town, s.urn FROM staging.school AS s",
    "c_sqlite": "SELECT s.town, MAX(JSON_VALUE(s.name, '$.a')) AS n FROM staging.school AS s GROUP BY s.town",
    "d_good": GOOD,
}


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    shutil.copytree(ROOT / "schemas" / "entities", tmp_path / "entities")
    (tmp_path / "reports").mkdir()
    for name, body in REPORTS.items():
        write(tmp_path, name, body)
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    monkeypatch.setenv("HEADWATER_WAREHOUSE", f"sqlite:///{tmp_path / 'warehouse.db'}")
    return load_catalog(tmp_path)


@pytest.fixture
def home(catalog: Catalog, tmp_path: Path) -> Iterator[Path]:
    with closing(open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}", catalog.entities.values())) as made:
        made.ensure()
        Consumer(catalog, made, InMemoryLetters()).consume([school(catalog, urn) for urn in (1, 2, 3)])
        yield tmp_path


def write(home: Path, name: str, body: str) -> None:
    (home / "reports" / f"{name}.sql").write_text(f'/* headwater\nkey = ["town"]\n*/\n{body}\n')


def school(catalog: Catalog, urn: int) -> bytes:
    schema = catalog.entities["school"].schema
    return encode_event(
        make_event(
            source="csv:school",
            entity="school",
            operation=Operation.UPSERT,
            key=f'["{urn}"]',
            position=f"20260101T000000Z-0000000000000000-{urn:012}",
            occurred_at=0,
            schema_fingerprint=schema.fingerprint,
            after=schema.encode({"urn": urn, "name": "SECRET", "town": "York", "is_open": True}),
        )
    )


def run(*words: str) -> int:
    return main(["reports", *words])


@pytest.mark.parametrize("action", ["refresh", "verify"])
def test_one_that_fails_stops_no_other_and_each_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    assert run(action) == REFUSED
    told = capsys.readouterr()
    assert told.out.startswith("d_good: ")
    lines = [line.removeprefix("headwater: ") for line in told.err.splitlines()]
    for name, said in (
        ("a_cast", "a value does not convert"),
        ("b_key", "its key town is not unique"),
        ("c_sqlite", "needs SQL Server: line 4, column 20: JSON_VALUE("),
    ):
        (line,) = [line for line in lines if line.startswith(f"report {name}: ")]
        assert said in line
    assert "SECRET" not in told.err
    if action == "verify":
        assert "4 reports: 1 right, 3 not verified" in told.err
        assert home.is_dir()


def test_what_is_wrong_with_a_report_names_it_in_the_list_too(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("refresh")
    assert run("list") == DONE
    assert "report a_cast: " in capsys.readouterr().out
    assert home.is_dir()


@pytest.mark.parametrize("action", ["refresh", "verify", "plan"])
def test_a_file_that_is_wrong_is_told_where_all_reports_are_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    for name in "a_cast", "b_key", "c_sqlite":
        (home / "reports" / f"{name}.sql").unlink()
    (home / "reports" / "e_empty.sql").touch()
    assert run(action) == DONE
    told = capsys.readouterr()
    assert "d_good" in told.out
    assert f"{home / 'reports' / 'e_empty.sql'}: the file is empty" in told.err
    assert run(action, "d_good") == DONE
    assert "e_empty" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nope", "A_CAST", "d_good; --", ""])
def test_a_report_that_is_not_there_is_not_dropped(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run("refresh")
    capsys.readouterr()
    assert run("drop", name) == REFUSED
    told = capsys.readouterr()
    assert "is gone" not in told.out
    assert "d_good" in told.err
    assert home.is_dir()


def test_a_report_whose_file_was_renamed_while_it_failed_can_be_dropped(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("refresh")
    (home / "reports" / "b_key.sql").rename(home / "reports" / "renamed.sql")
    capsys.readouterr()
    assert run("list", "--json") == DONE
    assert '"its file is gone: `reports drop` removes the record of it"' in capsys.readouterr().out
    assert run("drop", "b_key") == DONE
    assert run("drop", "b_key") == REFUSED


def test_a_report_that_is_held_is_told_with_the_time_that_was_waited(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    def held_elsewhere(self: Refresher, report: object) -> list[str]:
        waited.append(self.wait_seconds)
        raise held_error("d_good", self.wait_seconds)

    monkeypatch.setattr(Refresher, "verify", held_elsewhere)
    assert run("verify", "d_good") == GAVE_UP
    assert waited == [60]
    said = capsys.readouterr().err
    assert "report d_good: another process is refreshing it; waited 60 s for it: try again later" in said
    assert home.is_dir()


def test_a_refresh_that_finds_its_transaction_gone_tells_what_went_wrong_and_not_what_came_of_it(
    home: Path, catalog: Catalog
) -> None:
    """After some errors SQLite has undone all by itself, savepoints too."""
    with closing(open_warehouse(f"sqlite:///{home / 'warehouse.db'}", catalog.entities.values())) as made:
        engine = reports_in(made)

        def go_wrong() -> None:
            with engine.holding("d_good") as holder, holder.transaction() as session:
                session.run("ROLLBACK")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            go_wrong()
        with engine.reading() as session:
            assert session.registry.all() == []
