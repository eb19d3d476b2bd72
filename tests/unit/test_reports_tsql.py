"""Conditions and expressions of T-SQL give on SQLite what SQL Server's documentation says, or are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tsql_things import HIGH, LOW, THING, fill, ids, result

from consumers.reporting.sqlite.translation import NeedsSqlServerError
from consumers.warehouse.port import Warehouse
from consumers.warehouse.sqlite.warehouse import open_warehouse
from schemas.errors import ConfigurationError


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    path: Path = tmp_path_factory.mktemp("things") / "w.db"
    with closing(open_warehouse(f"sqlite:///{path}", [THING])) as warehouse:
        warehouse.ensure()
        fill(warehouse)
        yield warehouse


CONDITIONS: dict[str, list[int]] = {
    # https://learn.microsoft.com/sql/t-sql/data-types/date-transact-sql
    "s.day = '20200501'": [1],
    "s.day = '2020-05-01'": [1],
    "s.day = '2020-5-1'": [1],
    "s.day = '2020/05/01'": [1],
    "s.day = ' 2020.05.01 '": [1],
    "s.day = '2020-05-01 23:59'": [1],
    "s.day = N'20200501'": [1],
    "'20200501' = s.day": [1],
    "s.day < '2021'": [1, 2],
    "s.day > ''": [1, 2, 4],
    "s.day <> '20200501'": [2, 4],
    "s.day BETWEEN '20200501' AND '20200502'": [1, 2],
    "s.day NOT BETWEEN '20200501' AND '20200502'": [4],
    "s.day IN ('20200501', '2020-5-2')": [1, 2],
    "s.day NOT IN ('20200501')": [2, 4],
    "s.day >= CAST('20200502' AS DATE)": [2, 4],
    "s.day >= CONVERT(DATE, '20200502')": [2, 4],
    "s.day = DATEFROMPARTS(2020, 5, 1)": [1],
    "EOMONTH(s.day) = '20200531'": [1, 2],
    "EOMONTH(s.day, -1) = '20200430'": [1, 2],
    "DATEADD(DAY, 1, s.day) > '20200502'": [2, 4],
    "DATEDIFF(DAY, '20200501', s.day) = 1": [2],
    "YEAR(s.day) = 2020": [1, 2],
    # https://learn.microsoft.com/sql/t-sql/data-types/datetime2-transact-sql
    "s.at = '2026-03-01 08:00'": [1],
    "s.at = '2026-03-01T08:00:00'": [1],
    "s.at = '2026-03-01T08:00:00.000Z'": [1],
    "s.at = '20260301 8:00AM'": [1],
    "s.at >= '20260302'": [2, 4],
    "s.at < '2026-03-02 08:00:00.001'": [1, 2, 4],
    "s.at < CAST('2026-03-02' AS DATETIME2)": [1],
    "s.at BETWEEN '20260301' AND '20260302'": [1, 4],
    "CAST(s.at AS DATE) = '20260302'": [2, 4],
    "s.at >= s.day": [1, 2, 4],
    "s.at = CAST('20260302' AS DATE)": [4],
    "s.at > s.ms": [2],
    "s.ms = '2026-03-01 08:00:00.123'": [1],
    "DATEADD(HOUR, 8, s.at) = '20260302 16:00'": [2],
    "DATEPART(HOUR, s.at) = 8": [1, 2],
    "COALESCE(s.day, '20300101') > '20250101'": [3],
    "CASE WHEN s.n > 0 THEN s.day ELSE '20200101' END = '20200101'": [2, 3, 4],
    # https://support.microsoft.com/kb/316626: blanks at the end
    "s.t = 'a'": [1, 2],
    "s.t = 'a   '": [1, 2],
    "s.t <> 'a'": [4],
    "s.t IN ('a', 'b')": [1, 2],
    "s.t = 'A'": [],
    "s.t LIKE 'a'": [2],
    "s.t LIKE 'a '": [1],
    "s.t LIKE '[a-c]%'": [1, 2],
    "s.t LIKE '[^a]%'": [4],
    "s.t LIKE 'B!%' ESCAPE '!'": [4],
    "s.t LIKE 'B[%]'": [4],
    "s.t NOT LIKE 'a%'": [4],
    "NULLIF(s.t, 'a') IS NULL": [1, 2, 3],
    "CASE s.t WHEN 'a' THEN 1 ELSE 0 END = 1": [1, 2],
    "s.t + 'x' = 'a x'": [1],
    "LEN(s.t) = 1": [1, 2],
    "DATALENGTH(s.t) = 4": [1, 4],
    "ISNULL(s.t, 'none') = 'none'": [3],
    "s.t IN (SELECT x.t FROM staging.thing AS x WHERE x.id = 2)": [1, 2],
    # https://learn.microsoft.com/sql/t-sql/data-types/uniqueidentifier-transact-sql
    f"s.uid = '{str(HIGH).upper()}'": [1, 4],
    f"s.uid IN ('{{{str(LOW).upper()}}}')": [2],
    f"s.uid > '{LOW}'": [1, 4],
    # https://learn.microsoft.com/sql/t-sql/data-types/bit-transact-sql
    "s.ok = 'true'": [1, 4],
    "s.ok = 'FALSE'": [2],
    "s.ok = '1'": [1, 4],
    "s.ok = 2": [],
    "CAST(s.n AS BIT) = 1": [1, 2],
    # Numbers
    "s.n = '7'": [1],
    "s.n = ' 7 '": [1],
    "s.n = 7.0": [1],
    "s.n > 6.5": [1],
    "s.n / 2 = -3": [2],
    "s.n / 2.0 = 3.5": [1],
    "s.n % 4 = -3": [2],
    "s.n / NULLIF(s.n, 0) = 1": [1, 2],
    "s.price = '10.5'": [1],
    "s.price IN (10.5, '-3.25')": [1, 2],
    "s.price BETWEEN 0 AND 11": [1, 4],
    "s.price / 2 > 5": [1],
    "ABS(s.price) = 3.25": [2],
    "s.price % 3 = 1.5": [1],
    "s.f = 0.1": [2],
    "s.f = '1.5'": [1],
    "s.f > s.n": [2],
    "CAST(s.price AS INT) = -3": [2],
    "CAST(' 12 ' AS INT) = 12 AND s.id = 1": [1],
    "TRY_CAST(s.t AS INT) IS NULL": [1, 2, 3, 4],
    "CHARINDEX('%', s.t) = 2": [4],
    # Text of no column: what no collation decides
    "CASE WHEN s.n > 0 THEN 'Yes' ELSE 'No' END = 'Yes'": [1],
    f"CAST(s.uid AS NVARCHAR(36)) = '{str(LOW).upper()}'": [2],
    "CAST(s.day AS NVARCHAR(7)) >= '2020-06'": [4],
    "CAST(s.n AS VARCHAR(5)) LIKE '7'": [1],
    "CONCAT(s.t, 'A') = 'aA'": [2],
    "CAST(s.t AS VARCHAR(5)) LIKE 'a%'": [1, 2],
    "CAST(CAST(s.t AS VARCHAR(5)) AS NVARCHAR(5)) LIKE 'a'": [2],
    "DATALENGTH(CAST(s.n AS NVARCHAR(9))) = 4": [2],
    "DATALENGTH(UPPER(s.t)) = 4": [1, 4],
}
VALUES: dict[str, Any] = {
    "1.0 / 3": "0.333333",
    "2.0 / 3": "0.666666",
    "7 / 2": 3,
    "1.50": "1.50",
    "s.price * 2": "21.00",
    "s.price / 4": "2.625000",
    "s.price + 1": "11.50",
    "-s.price": "-10.50",
    "CAST(s.price - 10.51 AS DECIMAL(9, 1))": "0.0",
    "CAST(-0.01 AS DECIMAL(9, 1))": "0.0",
    "-(s.price - s.price)": "0.00",
    "-0.00": "0.00",
    "(s.price - s.price) * -1": "0.00",
    "(s.price - s.price) / -3": "0.000000",
    "CAST('-0.0' AS DECIMAL(5, 1))": "0.0",
    "CAST(RIGHT(CONCAT(s.n, '-0.01'), 5) AS DECIMAL(5, 1))": "0.0",
    "ROUND(s.price, 0)": "11.00",
    "CAST(1.7 AS INT)": 1,
    "CAST(1.75 AS DECIMAL(5, 1))": "1.8",
    "COALESCE(s.price, 0)": "10.50",
    "CAST(s.uid AS NVARCHAR(36))": str(HIGH).upper(),
    "CAST(s.day AS NVARCHAR(7))": "2020-05",
    "CAST('abcdef' AS VARCHAR(3))": "abc",
    "CONCAT(s.t, s.n, NULL, s.day)": "a 72020-05-01",
    "SUBSTRING('abc', 0, 2)": "a",
    "SUBSTRING('abc', -1, 3)": "a",
    "RIGHT('abc', 2)": "bc",
    "LEN(N'x\U0001f600 ')": 3,
    "ISNULL(CAST(NULL AS NVARCHAR(3)), 'abcdef')": "abc",
    "DATEADD(MONTH, 1, '20200131')": "2020-02-29T00:00:00.000",
    "DATEDIFF(MONTH, '20200131', '20200201')": 1,
}
REFUSED: dict[str, str] = {
    "s.day = '01/02/2020'": "another language",
    "s.day = '1 May 2020'": "another language",
    "s.day = '200501'": "another language",
    "s.day = '2020-02-30'": "there is no such day",
    "s.at = '2026-03-01T08:00:00+02:00'": "in UTC without one",
    "s.ms = '2026-03-01 08:00:00.1234'": "more than 3 digits",
    "s.day > s.t": "CAST one of them",
    "s.day = 20200501": "not compared: CAST",
    "s.n = 'seven'": "it is not a whole number",
    "s.n = '7.5'": "it is not a whole number",
    "s.n = s.t": "CAST one of them",
    "s.t = 1": "CAST one of them",
    "s.t + 1 = 2": "CAST one of them",
    "s.price = '10.505'": "more than 2 digits",
    "s.uid = 'x'": "it is not a UNIQUEIDENTIFIER",
    "s.ok = 'yes'": "it is not a BIT",
    "s.t = '\u0141'": "write N'...'",
    "TRY_CAST(s.t AS DATE) IS NULL": "language of a login",
    "CONVERT(VARCHAR(10), s.day, 112) = '20200501'": "CONVERT with a style",
    "CAST(s.f AS NVARCHAR(9)) = '1.5'": "CAST it to a",
    "CAST(s.day AS DATETIME) = '20200501'": "is a type that SQLite does not have",
    "s.t COLLATE Latin1_General_CI_AS = 'A'": "has no equivalent in SQLite",
    "DATENAME(MONTH, s.day) = 'May'": "has no equivalent in SQLite",
    # Case counts in a column's collation; in that of the database, which texts of no column have, it may not.
    f"CAST(s.uid AS NVARCHAR(36)) = '{LOW}'": "compare the UNIQUEIDENTIFIER without a CAST",
    "LEFT(CAST(s.uid AS NVARCHAR(36)), 2) IN ('ff', 'ab')": "compare the UNIQUEIDENTIFIER without a CAST",
    "CAST(s.uid AS NVARCHAR(36)) LIKE 'ff%'": "the collation of the database decides this",
    "CASE WHEN s.n > 0 THEN 'Yes' ELSE 'No' END = 'yes'": "write these constants alike",
    "NULLIF(CASE WHEN s.n > 0 THEN 'Yes' ELSE 'No' END, 'YES') IS NULL": "write these constants alike",
    "CASE WHEN s.n > 0 THEN 'a  ' ELSE 'b' END = 'A'": "write these constants alike",
    "CASE WHEN s.n > 0 THEN 'closed' ELSE 'Open' END > 'nothing'": "letters of one case",
    "'a' NOT BETWEEN ' ' AND 'B'": "letters of one case",
    "CAST(s.ok AS VARCHAR(1)) > '_'": "letters of one case",
    "CHARINDEX('a', CASE WHEN s.n > 0 THEN 'Ab' ELSE 'c' END) = 1": "the collation of the database",
    "REPLACE(CASE WHEN s.n > 0 THEN 'Ab' ELSE 'c' END, 'a', 'x') = 'xb'": "the collation of the database",
    # https://learn.microsoft.com/sql/t-sql/language-elements/like-transact-sql
    "CAST(s.t AS VARCHAR(5)) LIKE 'a'": "LIKE ignores blanks at the end of VARCHAR",
    # https://learn.microsoft.com/sql/t-sql/functions/datalength-transact-sql
    "DATALENGTH('abc') = 3": "VARCHAR has fewer bytes",
    "DATALENGTH(CAST(s.t AS VARCHAR(9))) = 1": "VARCHAR has fewer bytes",
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_finds_the_rows_that_sql_server_finds(things: Warehouse, condition: str) -> None:
    assert ids(things, condition) == CONDITIONS[condition]


@pytest.mark.parametrize(
    "body",
    [
        "SELECT COUNT(*) AS k FROM staging.thing AS s GROUP BY 1",
        "SELECT s.id AS k FROM staging.thing AS s GROUP BY s.id, CAST('2' AS INT)",
        "SELECT 'a' AS k, COUNT(*) AS n FROM staging.thing AS s GROUP BY 'a'",
    ],
)
def test_a_constant_in_group_by_is_refused_and_is_no_place_of_a_column(things: Warehouse, body: str) -> None:
    """SQL Server: error 164."""
    with pytest.raises(ConfigurationError, match="it takes no constant"):
        result(things, body)


@pytest.mark.parametrize(
    "body",
    [
        "SELECT MAX(CASE WHEN s.n > 0 THEN 'closed' ELSE 'Open' END) AS k FROM staging.thing AS s",
        "SELECT DISTINCT CASE WHEN s.n > 0 THEN 'Yes' ELSE 'yes' END AS k FROM staging.thing AS s",
        "SELECT s.id AS k, ROW_NUMBER() OVER (ORDER BY CASE WHEN s.n > 0 THEN 'b' ELSE 'C' END, s.id) AS n "
        "FROM staging.thing AS s",
    ],
)
def test_an_order_or_a_group_that_depends_on_the_database_is_refused(things: Warehouse, body: str) -> None:
    with pytest.raises(NeedsSqlServerError, match="the collation of the database decides this"):
        result(things, body)


@pytest.mark.parametrize("expression", VALUES)
def test_an_expression_has_the_value_that_sql_server_gives(things: Warehouse, expression: str) -> None:
    made = result(things, f"SELECT s.id AS k, {expression} AS v FROM staging.thing AS s WHERE s.id = 1")
    assert made == [(1, VALUES[expression])]


@pytest.mark.parametrize("condition", REFUSED)
def test_what_may_differ_is_refused_with_what_to_write(things: Warehouse, condition: str) -> None:
    with pytest.raises(NeedsSqlServerError, match=r"needs SQL Server: (line 5, column \d+: )?") as refusal:
        ids(things, condition)
    assert REFUSED[condition] in str(refusal.value)


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (
            "SELECT MIN(s.id) AS k, COUNT(*) AS n FROM staging.thing AS s GROUP BY s.t",
            [(1, 2), (3, 1), (4, 1)],
        ),
        ("SELECT COUNT(DISTINCT s.t) AS k FROM staging.thing AS s", [(2,)]),
        ("SELECT COUNT(*) AS k FROM (SELECT DISTINCT s.t FROM staging.thing AS s) AS d", [(3,)]),
        (
            "SELECT COUNT(*) AS k FROM (SELECT s.t FROM staging.thing AS s UNION SELECT 'a    ') AS d",
            [(3,)],
        ),
        (
            "SELECT COUNT(*) AS k FROM staging.thing AS x INNER JOIN staging.thing AS y ON y.t = x.t",
            [(5,)],
        ),
        ("SELECT MAX(s.uid) AS k FROM staging.thing AS s", [(str(HIGH),)]),
        (
            "SELECT s.id AS k, RANK() OVER (PARTITION BY s.t ORDER BY s.uid) AS n FROM staging.thing AS s "
            "WHERE s.t = 'a'",
            [(1, 2), (2, 1)],
        ),
        ("SELECT AVG(s.n) AS k FROM staging.thing AS s WHERE s.n <> 0 AND s.n > -8 AND s.id < 9", [(0,)]),
        ("SELECT SUM(s.price) / 4 AS k FROM staging.thing AS s", [("1.812500",)]),
        (
            "SELECT d.last AS k FROM (SELECT MAX(s.day) AS last FROM staging.thing AS s) AS d "
            "WHERE d.last = '20211231'",
            [("2021-12-31",)],
        ),
    ],
)
def test_rows_are_grouped_joined_and_ordered_as_sql_server_does(
    things: Warehouse, body: str, rows: list[tuple[Any, ...]]
) -> None:
    assert sorted(result(things, body)) == rows
