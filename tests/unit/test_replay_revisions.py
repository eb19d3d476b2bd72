"""`headwater replay revisions | discard` over a warehouse that has revisions of every state."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumers.warehouse.engines import open_warehouse
from consumers.warehouse.port import Warehouse
from headwater.cli import main
from replay.as_of import view_suffix
from replay.revisions import expiry_checkpoint
from schemas.catalog.loader import load_catalog

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = MOMENT + timedelta(seconds=1)


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """Of the entity school: 1 retired, 2 live, 3 as of MOMENT and expired, 4 as of LATER, 5 half-made."""
    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    monkeypatch.setenv("HEADWATER_WAREHOUSE", url)
    made = open_warehouse(url, load_catalog().entities.values())
    made.ensure()
    for _ in range(4):
        made.create_revision("school")
    with made.transaction(exclusive=["school"]) as transaction:
        transaction.swap("school", 2)
        transaction.save_checkpoints([expiry_checkpoint("school", 3, MOMENT)])
        transaction.save_checkpoints([expiry_checkpoint("school", 4, datetime(2999, 1, 1, tzinfo=UTC))])
    made.publish_as_of("school", 3, view_suffix(MOMENT))
    made.publish_as_of("school", 4, view_suffix(LATER))
    yield made
    made.close()


def numbers(warehouse: Warehouse) -> list[int]:
    return [each.number for each in warehouse.revisions("school")]


@pytest.mark.usefixtures("warehouse")
def test_revisions_are_listed_with_state_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "revisions", "school", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["revision"], each["state"], each["expires"]) for each in found] == [
        (1, "retired", None),
        (2, "live", None),
        (3, "as of", "2026-01-31T12:00:00+00:00"),
        (4, "as of", "2999-01-01T00:00:00+00:00"),
        (5, "half-made", None),
    ]
    assert main(["replay", "revisions"]) == 0
    assert "20260131T120000Z" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("which", "dropped"),
    [
        (["--half-made"], 5),
        (["--expired"], 3),
        (["--as-of", LATER.isoformat()], 4),
        (["--revision", "1"], 1),
    ],
    ids=str,
)
def test_what_is_named_is_dropped_and_nothing_else(
    which: list[str], dropped: int, warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "discard", "school", *which]) == 0
    assert f"dropped revision {dropped} of school" in capsys.readouterr().out
    assert numbers(warehouse) == [number for number in range(1, 6) if number != dropped]
    with warehouse.transaction() as transaction:
        assert transaction.checkpoints(f"school__r{dropped}") == []


def test_the_live_revision_is_never_dropped(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "discard", "school", "--revision", "2"]) == 5
    assert "is live" in capsys.readouterr().err
    assert numbers(warehouse) == [1, 2, 3, 4, 5]


def test_what_is_not_there_is_said(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = ["replay", "discard", "school", "--as-of", "2020-01-01T00:00:00Z"]
    assert main(nowhere) == 2
    assert "`headwater replay revisions school`" in capsys.readouterr().err
    for _ in range(2):
        assert main(["replay", "discard", "school", "--expired"]) == 0
    assert "nothing to discard" in capsys.readouterr().out
    assert numbers(warehouse) == [1, 2, 4, 5]
    with pytest.raises(SystemExit):
        main(["replay", "discard", "school"])


@pytest.mark.parametrize("given", ["0", "-1", "nan", "1e9", "a week"])
def test_a_number_of_days_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(SystemExit):
        main(["replay", "rebuild", "school", "--as-of", "2026-01-31T12:00:00Z", "--keep-days", given])


@pytest.mark.usefixtures("warehouse")
def test_days_to_keep_are_of_an_as_of_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "rebuild", "school", "--keep-days", "3"]) == 2
    assert "--keep-days needs --as-of" in capsys.readouterr().err
