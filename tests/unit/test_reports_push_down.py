"""What a SELECT in FROM is told of the units, as text, and what it must not be told."""

from __future__ import annotations

import pytest
from reports_world import CATALOG
from sqlglot import exp

from consumers.reporting.definition.report import read_report
from consumers.reporting.refresh.statements import restricted_to_units

GROUPED = "SELECT x.customer AS who, SUM(x.amount) AS spent FROM staging.purchase AS x GROUP BY x.customer"
SPENT = "SELECT c.id, s.spent FROM staging.customer AS c"
RANKED = (
    "SELECT o.customer AS who, o.product AS what, o.price AS price, "
    "ROW_NUMBER() OVER (PARTITION BY o.customer ORDER BY o.amount DESC, o.id) AS place "
    "FROM staging.purchase AS o"
)


def told(body: str, nulls: tuple[str, ...] = ()) -> list[str]:
    """Which columns of SELECTs in FROM are asked to be a unit's."""
    report = read_report("r", f'/* headwater\nkey = ["id"]\n*/\n{body}', CATALOG)
    made = restricted_to_units(report.query, report.unit, nulls, exp.to_table("units"))
    return [
        f"{each.this.sql()} = {each.args['query'].this.selects[0].name}"
        for each in made.find_all(exp.In)
        if each.args["query"].find(exp.Table).name == "units"
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"{SPENT} INNER JOIN ({GROUPED}) AS s ON s.who = c.id", ["x.customer = id"]),
        (f"{SPENT} LEFT JOIN ({GROUPED}) AS s ON c.id = s.who", ["x.customer = id"]),
        (f"{SPENT}, ({GROUPED}) AS s WHERE s.who = c.id", ["x.customer = id"]),
        (
            f"WITH s AS ({GROUPED}) SELECT c.id, s.spent, t.spent AS other FROM staging.customer AS c "
            "LEFT JOIN s ON s.who = c.id LEFT JOIN s AS t ON t.who = s.who AND t.spent > 1",
            ["x.customer = id"],
        ),
        (
            f"WITH s AS ({GROUPED}), twice AS (SELECT s.who, MAX(s.spent) AS most FROM s GROUP BY s.who) "
            "SELECT c.id, w.most FROM staging.customer AS c INNER JOIN twice AS w ON w.who = c.id",
            ["x.customer = id", "s.who = id"],
        ),
        (
            f"SELECT c.id, r.place FROM staging.customer AS c INNER JOIN ({RANKED}) AS r ON r.who = c.id "
            "AND r.place = 1",
            ["o.customer = id"],
        ),
        (
            f"SELECT c.id, u.n FROM staging.customer AS c INNER JOIN ({GROUPED} UNION ALL "
            "SELECT p.id, COUNT(*) FROM staging.product AS p GROUP BY p.id) AS u(who, n) ON u.who = c.id",
            ["x.customer = id", "p.id = id"],
        ),
    ],
)  # fmt: skip
def test_a_select_in_from_is_told_by_what_it_is_joined(body: str, expected: list[str]) -> None:
    assert sorted(told(body)) == sorted(expected)


@pytest.mark.parametrize(
    "body",
    [
        # What is ranked among fewer rows has another rank.
        f"SELECT c.region AS id, COUNT(*) AS n FROM staging.customer AS c INNER JOIN ({RANKED}) AS r "
        "ON r.who = c.id AND r.what = c.region WHERE r.place = 1 GROUP BY c.region",
        # '01' and '1' are equal to the number 1, and not to each other.
        f"SELECT c.tier AS id, COUNT(*) AS n FROM staging.customer AS c INNER JOIN ({GROUPED}) AS s "
        "ON s.who = c.id AND s.who = c.tier GROUP BY c.tier",
        # One of two conditions need not hold.
        f"SELECT c.region AS id, COUNT(*) AS n FROM staging.customer AS c INNER JOIN ({GROUPED}) AS s "
        "ON s.who = c.id AND (s.who = c.region OR s.spent > 1) GROUP BY c.region",
    ],
)
def test_a_select_in_from_is_not_told_what_it_does_not_hang_on(body: str) -> None:
    assert told(body) == []


def test_units_with_null_are_not_told() -> None:
    body = f"SELECT s.who AS id, s.spent FROM ({GROUPED}) AS s"
    assert told(body) == ["x.customer = id"]
    assert told(body, nulls=("id",)) == []
