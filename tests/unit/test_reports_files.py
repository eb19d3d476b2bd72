"""Report files: what each may say, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot
from reports_world import CATALOG

from consumers.reporting.definition.report import Report, read_report
from consumers.reporting.files import chosen, problems, read_reports
from consumers.reporting.refresh.statements import at_time
from consumers.reporting.sqlite.translation import NeedsSqlServerError, to_sqlite
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError

C, P = "staging.customer AS c", "staging.product AS p"
FULL = 'set refresh = "full every 30 minutes" in the comment at the beginning, or change the SELECT'
GOOD = "SELECT c.region, COUNT(*) AS n FROM staging.customer AS c GROUP BY c.region"


def text(body: str = GOOD, key: str = '["region"]', more: str = "") -> str:
    return f"/* headwater\nkey = {key}\n{more}\n*/\n{body}\n"


def report(body: str = GOOD, key: str = '["region"]', more: str = "") -> Report:
    return read_report("sales", text(body, key, more), CATALOG)


def refusal(body: str = GOOD, key: str = '["region"]', more: str = "") -> str:
    with pytest.raises(ConfigurationError) as caught:
        report(body, key, more)
    return str(caught.value)


def test_the_sample_reports_are_right() -> None:
    found = read_reports(None, load_catalog())
    assert list(problems(found)) == []
    assert {name: each.unit for name, each in found.right.items()} == {
        "active_subscriptions": ("town", "plan"),
        "paid_and_unused": ("urn",),
        "renewals_due": (),
        "usage_beside_seats": ("urn", "platform", "month"),
    }
    assert found.right["renewals_due"].minutes == 60


@pytest.mark.parametrize(
    "name", ["active_subscriptions", "paid_and_unused", "renewals_due", "usage_beside_seats"]
)
def test_the_sample_reports_can_be_kept_in_sqlite(name: str) -> None:
    query = read_reports(None, load_catalog()).right[name].query
    assert "SELECT" in to_sqlite(at_time(query, "2026-01-31T12:00:00.000000")).sql("sqlite")


@pytest.mark.parametrize(
    "expression",
    [
        "STRING_AGG(c.region, ',')",
        "CONVERT(VARCHAR(7), GETDATE(), 120)",
        "AVG(CAST(c.tier AS DECIMAL(9, 2)))",
        "CASE WHEN CAST(c.tier AS INT) = N'one' THEN 1 END",
        "CASE CAST(c.tier AS INT) WHEN N'one' THEN 1 END",
        "CASE WHEN CAST(c.region AS NVARCHAR(9)) BETWEEN 1 AND 2 THEN 1 END",
    ],
)
def test_what_sqlite_has_not_is_named_and_needs_sql_server(expression: str) -> None:
    body = f"SELECT c.region, {expression} AS n FROM staging.customer AS c GROUP BY c.region"
    with pytest.raises(NeedsSqlServerError, match="needs SQL Server: "):
        to_sqlite(sqlglot.parse_one(body, read="tsql"))


def test_the_first_select_of_a_union_names_the_columns() -> None:
    made = report(
        "SELECT c.region, c.id AS n, c.id AS m FROM staging.customer AS c UNION ALL "
        "SELECT p.family, p.family, p.family FROM staging.product AS p"
    )
    assert (made.columns, made.entities) == (("region", "n", "m"), ("customer", "product"))


@pytest.mark.parametrize(
    ("one", "other", "is_kept"),
    [
        ("o.price", "o.price", True),
        ("o.price", "CAST(NULL AS DECIMAL(12, 2))", True),
        ("o.amount", "o.price", True),
        ("o.price", "CAST(o.price AS DECIMAL(14, 4))", True),
        ("o.price", "o.product", False),
        ("o.day", "o.amount", False),
    ],
)
def test_a_union_has_money_in_one_form_or_needs_sql_server(one: str, other: str, is_kept: bool) -> None:
    """SQLite would sort and tell apart texts and numbers in one column: each is converted as T-SQL does."""
    made = report(
        f"SELECT o.id AS region, {one} AS n FROM staging.purchase AS o UNION ALL "
        f"SELECT o.id, {other} FROM staging.purchase AS o"
    )
    if is_kept:
        assert "UNION" in to_sqlite(made.query).sql("sqlite")
    else:
        with pytest.raises(NeedsSqlServerError, match="needs SQL Server: "):
            to_sqlite(made.query)


def test_a_report_says_by_what_a_change_leads_to_its_rows_and_what_it_reads() -> None:
    made = report()
    assert (made.columns, made.key, made.unit, made.entities) == (
        ("region", "n"),
        ("region",),
        ("region",),
        ("customer",),
    )
    assert made.images == {"customer": ("region",)}


def test_names_of_columns_stay_as_they_are_written() -> None:
    assert report(GOOD.replace("AS n", "AS HowMany")).columns == ("region", "HowMany")


def test_comments_and_lines_make_no_other_definition() -> None:
    other = GOOD.replace(" FROM", "\n  -- who lives where\nFROM")
    assert report(other).definition == report().definition
    assert report(GOOD.replace("COUNT(*)", "MAX(c.tier)")).definition != report().definition


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            f"SELECT c.regoin, COUNT(*) AS n FROM {C} GROUP BY c.regoin",
            'line 5, column 10: column: found "regoin"; did you mean "region"?',
        ),
        (
            "SELECT regoin FROM staging.customer",
            'line 5, column 8: column: found "regoin"; did you mean "region"?',
        ),
        (
            "SELECT c.region\nFROM staging.custmer AS c",
            'line 6, column 14: staging: found "custmer"; did you mean "customer"?',
        ),
        ("SELECT region\nFROM staging.customer WHERE (tier = 1", "line 6, column 37: Expecting )"),
        (f"{GOOD}; DROP TABLE x", "2 statements after the comment: a report is one SELECT"),
        ("DELETE FROM staging.customer", "DELETE: a report is one SELECT, and changes nothing"),
        ("UPDATE staging.customer SET region = 'x'", "UPDATE: a report is one SELECT"),
        ("CREATE TABLE x (a INT)", "CREATE: a report is one SELECT"),
        (
            "SELECT region INTO x FROM staging.customer",
            "SELECT INTO: a report is one SELECT, and changes nothing: leave INTO out",
        ),
        (
            f"{GOOD} -- ; drop table x",
            "a comment near line 5 holds what may be a statement, or another comment",
        ),
        (
            f"{GOOD} /* a /* b */ */",
            "a comment near line 5 holds what may be a statement, or another comment",
        ),
        (
            f"SELECT c.region, DATENAME(QUARTER, c.tier) AS n FROM {C}",
            "line 5: DATENAME(QUARTER, ...): use DATEPART and CAST it to text",
        ),
        (
            "SELECT units.region FROM staging.customer AS Units",
            "line 5, column 34: units is a name that Headwater itself uses",
        ),
        (f"{GOOD} ORDER BY c.region", "ORDER BY at the end: a table has no order"),
        (
            f"SELECT c.region, COUNT(*) FROM {C} GROUP BY c.region",
            "line 5, column 18: COUNT(*) has no name: write COUNT(*) AS and a name",
        ),
        (
            f"SELECT c.region, c.tier AS Region FROM {C}",
            "two columns have one name",
        ),
        (
            f"SELECT c.region, @day AS n FROM {C}",
            'variable: found "@day"; allowed: @as_of',
        ),
    ],
)
def test_a_select_that_is_wrong_is_told_where_and_why(body: str, said: str) -> None:
    assert said in refusal(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            f"SELECT c.region, RANK() OVER (ORDER BY c.tier) AS n FROM {C}",
            "no key column is",
        ),
        ("SELECT TOP 3 c.region FROM staging.customer AS c", "TOP picks from all rows"),
        (
            f"SELECT c.region, GETDATE() AS n FROM {C}",
            "returns a different value each time",
        ),
        (
            f"SELECT c.region, RAND() AS n FROM {C}",
            "RAND() returns a different value each time",
        ),
        (
            f"SELECT c.region, @as_of AS n FROM {C}",
            "@as_of is a different time at each refresh",
        ),
        ("SELECT d.region FROM dbo.regions AS d", "dbo.regions is not a table of staging"),
        (
            f"SELECT c.region, p.id FROM {C} CROSS JOIN {P}",
            "nothing joins staging.customer to staging.product",
        ),
        (
            f"SELECT c.region FROM {C} WHERE c.tier > (SELECT AVG(d.tier) FROM staging.customer AS d)",
            "nothing joins staging.customer to staging.customer",
        ),
        (
            f"SELECT c.region FROM {C} RIGHT JOIN {P} ON p.id = c.id",
            "RIGHT JOIN",
        ),
        (
            f"SELECT c.region, COUNT(*) AS n FROM {C} GROUP BY ROLLUP (c.region)",
            "ROLLUP",
        ),
        (
            f"SELECT c.region FROM {C} EXCEPT SELECT p.id FROM {P}",
            "EXCEPT compares whole tables",
        ),
        (
            f"SELECT c.region FROM {C} WHERE c.region NOT IN (SELECT p.family FROM {P})",
            "use NOT EXISTS",
        ),
        (
            f"SELECT c.region FROM {C} WHERE c.id NOT IN (SELECT p.id FROM staging.purchase AS o "
            "LEFT JOIN staging.product AS p ON p.id = o.product)",
            "use NOT EXISTS",
        ),
        ("SELECT COUNT(*) AS region FROM staging.customer AS c", "no key column is"),
        (
            f"SELECT c.region, dbo.rate(c.tier) AS n FROM {C}",
            "dbo.rate(c.tier) is a function of the database",
        ),
        (
            f"SELECT c.region, ORIGINAL_LOGIN() AS n FROM {C}",
            "ORIGINAL_LOGIN returns a different value each time",
        ),
        (f"SELECT c.region, SESSION_USER AS n FROM {C}", "returns a different value each time"),
        (f"SELECT c.region, CURRENT_TIMEZONE() AS n FROM {C}", "returns a different value each time"),
        (
            f"SELECT c.region, STRING_AGG(c.id, ',') AS n FROM {C} GROUP BY c.region",
            "STRING_AGG without WITHIN GROUP (ORDER BY ...)",
        ),
        (
            f"SELECT c.region, (SELECT TOP 1 p.id FROM {P} WHERE p.family = c.region) AS n FROM {C}",
            "TOP without ORDER BY takes rows in any order",
        ),
        (
            f"SELECT c.region, ROW_NUMBER() OVER (PARTITION BY c.region ORDER BY (SELECT 1)) AS n\nFROM {C}",
            "takes rows in any order: ORDER BY a column",
        ),
        (
            f"SELECT c.region, AVG(DISTINCT CAST(c.tier AS FLOAT)) AS n FROM {C} GROUP BY c.region",
            "of a FLOAT depends on the order",
        ),
        (
            f"SELECT c.region, SUM(CAST(c.tier AS FLOAT)) AS n FROM {C} GROUP BY c.region",
            "of a FLOAT depends on the order in which rows are added: CAST it to a DECIMAL first",
        ),
        ("SELECT c.region FROM staging.customer AS c TABLESAMPLE (10 PERCENT)", "TABLESAMPLE"),
        (
            f"SELECT c.region FROM {C} LEFT JOIN staging.purchase AS o INNER JOIN {P} ON p.id = o.product "
            "ON o.customer = c.id",
            "a join within a join",
        ),
    ],
)
def test_what_can_not_be_kept_change_by_change_says_why_and_what_would_help(body: str, reason: str) -> None:
    said = refusal(body)
    assert reason in said
    assert FULL in said
    assert report(body, more='refresh = "full every 5 minutes"').minutes == 5


@pytest.mark.parametrize(
    ("key", "more", "said"),
    [
        ('["town"]', "", 'key: found "town"; allowed: region, n'),
        ('"region"', "", 'key: found "region"; allowed: a list of different columns'),
        ("[]", "", "allowed: a list of different columns"),
        ('["region"]', "keys = 1", 'unknown property: found "keys"; did you mean "key"?'),
        (
            '["region"]',
            'refresh = "now and then"',
            'refresh: found "now and then"; allowed: "full every 30 minutes"',
        ),
        ('["region"]', 'types = { n = "NUMBR(3)" }', 'types, n: found "NUMBR(3)"; allowed: a type of T-SQL'),
        ('["region"]', 'types = { m = "INT" }', "types: unknown property"),
        ('["region"]', 'table = "customer"', 'table: found "customer"; allowed: a name that no entity has'),
        ('["region"]', 'table = "_freshness"', "no name that starts with _"),
        ('["region"', "", "the comment at the beginning is not TOML"),
    ],
)
def test_a_comment_that_is_wrong_is_told_why(key: str, more: str, said: str) -> None:
    assert said in refusal(key=key, more=more)


def test_a_file_without_its_comment_is_told_how_one_looks() -> None:
    with pytest.raises(ConfigurationError, match='begins like this: /\\* headwater, key = \\["town"\\]'):
        read_report("sales", GOOD, CATALOG)


def test_types_are_given_in_every_branch() -> None:
    union = f"{GOOD} UNION ALL SELECT p.family, 1 FROM staging.product AS p"
    made = report(union, more='types = { n = "DECIMAL(12, 2)" }')
    assert (
        made.query.sql("tsql").count("AS DECIMAL(12, 2)") == 2
        or made.query.sql("tsql").count("AS NUMERIC(12, 2)") == 2
    )


def test_one_wrong_file_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "good.sql").write_text(text())
    (folder / "bad.sql").write_text(text("SELECT"))
    (folder / "same.sql").write_text(text(more='table = "good"'))
    (folder / "other.sql").write_bytes(b"\xff\xfe")
    found = read_reports(tmp_path, CATALOG)
    assert list(found.right) == ["good"]
    assert {path.name for path in found.wrong} == {"bad.sql", "same.sql", "other.sql"}
    assert any("another file makes the table good" in each for each in problems(found))
    assert [each.name for each in chosen(found, [])] == ["good"]
    with pytest.raises(ConfigurationError, match=r"bad\.sql"):
        chosen(found, ["bad"])
    with pytest.raises(ConfigurationError, match="did you mean"):
        chosen(found, ["goood"])


def test_a_home_without_reports_has_none(tmp_path: Path) -> None:
    assert read_reports(tmp_path, CATALOG) == ({}, {})


def test_top_where_only_exists_asks_needs_no_order() -> None:
    asked = "EXISTS (SELECT TOP 1 1 FROM staging.purchase AS o WHERE o.customer = c.id)"
    assert report(GOOD.replace(" GROUP", f" WHERE {asked} GROUP")).unit == ("region",)
