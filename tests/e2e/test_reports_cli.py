"""Reports through the command line: made, kept right while events come, changed, verified, dropped."""

from __future__ import annotations

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from headwater_up import ROOT, Up, headwater

from headwater.local import sample

SCHOOLS = sample.schools(40)
SUBSCRIPTIONS = sample.subscriptions(SCHOOLS)
BAD = (
    "/* headwater\nkey = ['town']\n*/\nSELECT s.twn, COUNT(*) AS n FROM staging.school AS s GROUP BY s.twn\n"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "schemas" / "entities", made / "entities")
    (made / "reports").mkdir()
    for path in (ROOT / "consumers" / "reporting").glob("*.sql"):
        shutil.copy(path, made / "reports")
    (made / "reports" / "bad.sql").write_text(BAD)
    return made


@pytest.fixture(scope="module")
def up(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    files = tmp_path_factory.mktemp("files")
    with Up(environment={"HEADWATER_HOME": str(home)}) as made:
        (files / "schools.csv").write_bytes(sample.register_csv(SCHOOLS))
        (files / "usage.csv").write_bytes(sample.usage_csv(sample.usage(SCHOOLS, date(2026, 1, 1))))
        assert made.run("drop", files / "schools.csv", "--entity", "school").code == 0
        assert made.run("drop", files / "usage.csv", "--entity", "platform_usage").code == 0
        for item in SUBSCRIPTIONS:
            made.put("subscriptions", item)
        assert made.run("drain").code == 0
        yield made


def rows(up: Up, report: str) -> list[dict[str, Any]]:
    """As a reader of the warehouse sees them."""
    path = up.environment["HEADWATER_WAREHOUSE"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as warehouse:
        warehouse.row_factory = sqlite3.Row
        return [dict(each) for each in warehouse.execute(f"SELECT * FROM reporting_{report}")]


def expected(items: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[int, int, Decimal]]:
    """Subscriptions, seats and price by town and plan, counted by hand."""
    town = {school.urn: school.town for school in SCHOOLS}
    made: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for item in items:
        if item["active"]:
            made[town[int(item["urn"])], item["plan"]].append(item)
    return {
        key: (len(group), sum(int(i.get("seats", 0)) for i in group), sum(Decimal(i["price"]) for i in group))
        for key, group in made.items()
    }


def active(up: Up) -> dict[tuple[str, str], tuple[int, int, Decimal]]:
    return {
        (each["town"], each["plan"]): (each["subscriptions"], each["seats"], Decimal(each["price_per_year"]))
        for each in rows(up, "active_subscriptions")
    }


def listed(up: Up) -> dict[str, dict[str, Any]]:
    return {each["report"]: each for each in up.json("reports", "list")}


def test_drain_returns_when_reports_are_right_too(up: Up) -> None:
    assert active(up) == expected(SUBSCRIPTIONS)
    assert len(rows(up, "usage_beside_seats")) == 3 * len(SCHOOLS)


def test_renewals_that_are_due_are_those_of_the_next_90_days(up: Up) -> None:
    today = datetime.now(UTC).date()
    ends = {i["subscription_id"]: date.fromisoformat(i["ends_on"]) for i in SUBSCRIPTIONS if i.get("ends_on")}
    due = {
        i["subscription_id"]: (ends[i["subscription_id"]] - today).days
        for i in SUBSCRIPTIONS
        if i["active"] and 0 <= (ends.get(i["subscription_id"], date.max) - today).days < 90
    }
    assert {each["subscription_id"]: each["days_left"] for each in rows(up, "renewals_due")} == due
    assert listed(up)["renewals_due"]["problem"] is None


def test_a_change_a_new_item_and_a_deleted_one_are_followed(up: Up) -> None:
    items = [dict(item) for item in SUBSCRIPTIONS]
    items[0] = {**items[0], "plan": "trial", "active": True, "price": Decimal("0.01")}
    items[1] = {**items[1], "active": False}
    for item in items[:2]:
        up.put("subscriptions", item)
    gone = items.pop()
    key = {"subscription_id": {"S": gone["subscription_id"]}}
    up.client("dynamodb").delete_item(TableName="subscriptions", Key=key)
    assert up.run("drain").code == 0
    assert active(up) == expected(items)
    standing = listed(up)["active_subscriptions"]
    assert (standing["waiting"], standing["rows"], standing["kept"]) == (
        0,
        len(expected(items)),
        "change by change",
    )


def test_status_shows_each_report_and_its_backlog(up: Up) -> None:
    told = {each["report"]: each for each in up.json("status")["reports"]}
    assert told["active_subscriptions"]["waiting"] == 0
    assert told["active_subscriptions"]["problem"] is None
    assert "report active_subscriptions: " in up.run("status").out


def test_reports_verify_compares_with_their_selects(up: Up) -> None:
    done = up.run("reports", "verify")
    assert done.code == 0, done
    assert "active_subscriptions: as its SELECT says" in done.out
    path = up.environment["HEADWATER_WAREHOUSE"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as warehouse:
        number = listed(up)["active_subscriptions"]["rows"]
        table = warehouse.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' "
            "AND name LIKE 'reporting_active_subscriptions__r%'"
        ).fetchone()[0]
        warehouse.execute(
            f"UPDATE {table} SET seats = seats + 1 WHERE rowid = (SELECT MIN(rowid) FROM {table})"
        )
        warehouse.commit()
        assert number > 0
    found = up.run("reports", "verify", "active_subscriptions")
    assert found.code == 3
    assert "active_subscriptions: differs at " in found.out
    assert up.run("reports", "refresh", "--whole", "active_subscriptions").code == 0
    assert up.run("reports", "verify", "active_subscriptions").code == 0


def test_a_file_that_is_wrong_says_where_and_stops_nothing_else(up: Up) -> None:
    wrong = up.run("reports", "check")
    assert wrong.code == 2
    assert 'bad.sql: line 4, column 10: column: found "twn"; did you mean "town"?' in wrong.err
    assert up.run("reports", "check", "active_subscriptions").code == 0
    assert "twn" in listed(up)["bad"]["problem"]
    assert up.run("reports", "refresh", "bad").code == 2
    unknown = up.run("reports", "refresh", "active_subscription")
    assert (unknown.code, "did you mean" in unknown.err) == (2, True)


def test_check_names_the_index_that_a_refresh_lacks_and_makes_it(up: Up) -> None:
    lacks = "staging.school (town) has no index: --create-indexes makes it"
    assert lacks in up.run("reports", "check", "active_subscriptions", "--warehouse").out
    made = up.run("reports", "check", "active_subscriptions", "--create-indexes")
    assert (made.code, "staging.school (town): index made" in made.out, lacks in made.out) == (0, True, False)
    assert "index" not in up.run("reports", "check", "active_subscriptions", "--warehouse").out
    assert up.run("replay", "rebuild", "school").code == 0
    assert "index" not in up.run("reports", "check", "active_subscriptions", "--warehouse").out


def test_a_changed_file_is_a_new_table_and_a_file_that_is_gone_leaves_its_own(
    up: Up, home: Path, tmp_path: Path
) -> None:
    """It is planned in a copy of the home: `up` takes up what changes in its own."""
    file = home / "reports" / "active_subscriptions.sql"
    changed = file.read_text().replace(
        "SUM(u.seats)          AS seats,", "SUM(u.seats) AS seats, MAX(u.seats) AS most,"
    )
    draft = shutil.copytree(home, tmp_path / "draft")
    (draft / "reports" / file.name).write_text(changed)
    there = {**up.environment, "HEADWATER_HOME": str(draft)}
    plan = headwater("reports", "plan", environment=there).out
    assert "build a new table and switch the view to it: the file has changed" in plan
    compared = headwater("reports", "plan", "active_subscriptions", "--compare", environment=there).out
    assert "  columns that are new: most" in compared
    assert "only the old table has: 0; only the new one: 0; of both, and different: 0" in compared
    assert not any("most" in each for each in rows(up, "active_subscriptions"))
    file.write_text(changed)
    assert up.run("reports", "refresh", "active_subscriptions").code == 0
    assert all("most" in each for each in rows(up, "active_subscriptions"))
    file.unlink()
    assert "nothing: its file is gone, and its table stays" in up.run("reports", "plan").out
    assert rows(up, "active_subscriptions") != []
    assert up.run("reports", "drop", "active_subscriptions").code == 0
    with pytest.raises(sqlite3.OperationalError):
        rows(up, "active_subscriptions")


def test_check_with_a_warehouse_shows_the_types_that_it_says(up: Up) -> None:
    alone = up.run("reports", "check", "usage_beside_seats")
    asked = up.run("reports", "check", "usage_beside_seats", "--warehouse")
    assert (alone.code, asked.code) == (0, 0)
    assert "month DATE" not in alone.out
    assert "usage_beside_seats: urn INTEGER, platform NVARCHAR(100), month DATE" in asked.out


def test_a_proposed_report_is_made_as_it_is_and_has_a_row_for_each_that_it_says(up: Up) -> None:
    made = up.run("reports", "new", "paid_by_school", "--from", "subscription", "school")
    assert made.code == 0, made
    assert "paid_by_school.sql: one row for each subscription_id" in made.err
    assert up.run("reports", "check", "paid_by_school").code == 0
    assert up.run("reports", "refresh", "paid_by_school").code == 0
    assert len(rows(up, "paid_by_school")) == len(up.json("tables", "subscription", "--limit", "0"))
    assert up.run("reports", "verify", "paid_by_school").code == 0
    again = up.run("reports", "new", "paid_by_school", "--from", "school")
    assert (again.code, "is there already and is never overwritten" in again.err) == (2, True)


def test_reports_of_a_rebuilt_table_follow(up: Up) -> None:
    before = {each["urn"]: each for each in rows(up, "paid_and_unused")}
    assert up.run("replay", "rebuild", "subscription").code == 0
    assert up.run("drain").code == 0
    assert {each["urn"]: each for each in rows(up, "paid_and_unused")} == before
    assert up.run("reports", "verify", "paid_and_unused").code == 0


@pytest.mark.parametrize("action", ["list", "check", "new", "plan", "refresh", "verify", "drop"])
def test_every_action_has_help_with_an_example(action: str) -> None:
    done = headwater("reports", action, "--help")
    assert (done.code, "example:\n  headwater reports" in done.out) == (0, True)
