"""Random T-SQL over the things of tsql_things.py: values and conditions of types that are known.

Left out is what Babelfish gives otherwise than SQL Server's documentation says: the order of
UNIQUEIDENTIFIER, LIKE where a blank at the end decides, DATALENGTH of NVARCHAR, CONCAT of letters outside of
the code page, quotients and remainders of DECIMAL, ROUND, TRY_CAST of an empty text, DATEDIFF of quarters,
ISNULL of two scales.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from tsql_things import HIGH, LOW

COLUMNS: Mapping[str, Sequence[str]] = {
    "text": ["t"],
    "int": ["n", "id"],
    "decimal": ["price"],
    "float": ["f"],
    "date": ["day"],
    "moment": ["at", "ms"],
    "uuid": ["uid"],
    "bit": ["ok"],
}
KINDS = list(COLUMNS)
ORDERED = ["text", "int", "decimal", "float", "date", "moment", "bit"]

TEXTS = ["", " ", "a", "a ", "a  ", " a", "A", "b", "B%", "ab", "ab ", "a b", "_", "[a]", "12", " 12 ", "-7"]
TEXTS += ["2020-05-01", "it's", "\u00e9", "\u00df", "a\t", "a-b", "^"]
DATES = ["2020-05-01", "2020-05-02", "2021-12-31", "2024-02-29", "2020-01-31", "1999-12-31"]
MOMENTS = ["2026-03-01T08:00:00", "2026-03-01T08:00:00.123", "2026-03-02", "2020-05-01"]
MOMENTS += ["1999-12-31T23:59:59.999"]
UUIDS = [HIGH, LOW, UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"), UUID(int=1)]
PRICES = ["10.50", "-3.25", "0.00", "0.01", "-0.01", "99999.99", "7.00", "0.50"]
NUMBERS = [0, 1, 2, 3, 4, 7, -7, 12, 2020, 100_000]
FLOATS = [1.5, 0.1, -2.5, 0.0, 1e10, 3.0, -0.5]

_CONSTANTS: Mapping[str, Sequence[str]] = {
    "text": [
        *("'{}'".format(each.replace("'", "''")) for each in TEXTS if each.isascii()),
        *("N'{}'".format(each.replace("'", "''")) for each in TEXTS),
    ],
    "int": [str(each) if each >= 0 else f"({each})" for each in NUMBERS],
    "decimal": [*PRICES, "1.5", "0.125"],
    "float": ["1.5e0", "1e-1", "-2.5E0", "3e0"],
    "date": [
        form.format(
            day=day, plain=day.replace("-", ""), year=day[:4], month=int(day[5:7]), number=int(day[8:])
        )
        for day in DATES
        for form in (
            *("'{day}'", "'{plain}'", "N'{day}'", "' {day} '", "'{day} 00:00'", "'{day}T00:00:00'"),
            *("'{year}/{month}/{number}'", "'{year}.{month}.{number}'", "'{year}-{month}-{number}'"),
            "DATEFROMPARTS({year}, {month}, {number})",
        )
    ],
    "moment": [
        form.format(moment=moment, spaced=moment.replace("T", " "), day=moment[:10])
        for moment in MOMENTS
        for form in (
            *("'{moment}'", "'{spaced}'", "'{day}'", "'{day} 8:00AM'", "'{day} 8:00 pm'"),
            *("CAST('{moment}' AS DATETIME2)", "CAST('{day}' AS DATETIME2(3))"),
        )
    ],
    "uuid": [
        form.format(uuid=each, upper=str(each).upper())
        for each in UUIDS
        for form in ("'{uuid}'", "'{upper}'", "'{{{upper}}}'", "N'{uuid}'")
    ],
    "bit": ["1", "0", "'true'", "'FALSE'", "CAST(1 AS BIT)"],
}

_TYPES = {"date": "DATE", "moment": "DATETIME2(3)", "uuid": "UNIQUEIDENTIFIER", "bit": "BIT"}
"""What a constant is cast to where no place makes it one."""

_ANY = (
    "COALESCE({of}, {of})",
    "ISNULL({of_column}, {of_column})",
    "NULLIF({of_column}, {of})",
    "CASE WHEN {condition} THEN {of} ELSE {of} END",
    "CASE WHEN {condition} THEN {of} END",
    "IIF({condition}, {of}, {of})",
    "CASE {of_column} WHEN {of_constant} THEN {of} ELSE {of_column} END",
)
_FORMS: Mapping[str, Sequence[str]] = {
    "text": (
        *("UPPER({text})", "LOWER({text})", "LTRIM({text})", "RTRIM({text})", "TRIM({text})"),
        *("LEFT({text}, {digit})", "RIGHT({text}, {digit})", "SUBSTRING({text}, {digit}, {digit})"),
        *("REPLACE({text}, 'a', {text})", "{text} + {text}", "CONCAT({text}, {text_column}, NULL)"),
        *("CONCAT({text_column}, {int})", "CAST({int} AS NVARCHAR(40))", "CAST({date} AS NVARCHAR(10))"),
        *("CAST({uuid_column} AS NVARCHAR(36))", "CAST({bit_column} AS VARCHAR(1))"),
        *("CAST({text} AS NVARCHAR(2))", "CAST({text} AS VARCHAR(2))"),
    ),
    "int": (
        *("({int} + {int})", "({int} - {int})", "({int} * {digit})", "({int} / 7)", "({int} % 7)"),
        *("({int} / NULLIF({int_column}, 0))", "ABS({int})", "-{int_column}", "LEN({text})"),
        *("CHARINDEX({text_constant}, {text})", "YEAR({date})", "MONTH({date})", "DAY({moment})"),
        *("DATEPART(HOUR, {moment})", "DATEDIFF(DAY, {moment}, {date})", "DATEDIFF(MONTH, {date}, {moment})"),
        *("DATEDIFF(HOUR, {date}, {moment})", "CAST({decimal} AS INT)", "CAST({bit} AS INT)"),
        *("CAST({float_column} AS INT)", "(SELECT COUNT(*) FROM staging.thing AS z WHERE z.t = {text})"),
    ),
    "decimal": (
        *("({decimal} + {decimal})", "({decimal} - {decimal})", "({decimal} * {decimal})"),
        *("({decimal} * {int_column})", "({decimal} + {int_column})", "ABS({decimal})", "-{decimal_column}"),
        *("CAST({decimal} AS DECIMAL(12, {digit}))", "CAST({int} AS DECIMAL(12, 2))"),
    ),
    "float": (
        *("({float} + {float})", "({float} * {float})", "({float} / 2)", "ABS({float})"),
        *("CAST({int} AS FLOAT)", "CAST({decimal_column} AS FLOAT)", "({float} - {int_column})"),
    ),
    "date": (
        *("DATEADD(DAY, -{digit}, {date})", "DATEADD(MONTH, -{digit}, {date})", "DATEADD(YEAR, 1, {date})"),
        *("DATEADD(WEEK, {digit}, {date_column})", "EOMONTH({date})", "EOMONTH({date}, -{digit})"),
        "CAST({moment} AS DATE)",
    ),
    "moment": (
        *("DATEADD(HOUR, 5, {moment_column})", "DATEADD(SECOND, -{digit}, {moment_column})"),
        *("DATEADD(MONTH, {digit}, {moment_column})", "CAST({date} AS DATETIME2(3))"),
        "CAST({moment} AS DATETIME2({digit}))",
    ),
    "uuid": ("{uuid_column}",),
    "bit": ("CAST({int} AS BIT)", "CAST('true' AS BIT)", "CAST('0' AS BIT)"),
}

_CONDITIONS = (
    *("({condition} AND {condition})", "({condition} OR {condition})", "NOT ({condition})"),
    *("{of} = {of_constant}", "{of} <> {of_constant}", "{of_constant} = {of}", "{of_column} = {of}"),
    *("{of} IN ({of_constant}, {of_constant})", "{of} NOT IN ({of_constant})", "{of} IS NULL"),
    "{of} IS NOT NULL",
    "{of_column} IN (SELECT q.{name} FROM staging.thing AS q WHERE q.id < 5 AND q.{name} IS NOT NULL)",
    *("{ordered} < {ordered_constant}", "{ordered} >= {ordered_constant}", "{ordered_column} > {ordered}"),
    "{ordered} BETWEEN {ordered_constant} AND {ordered_constant}",
    "{ordered} NOT BETWEEN {ordered_constant} AND {ordered_column}",
    *("{int} < {decimal}", "{decimal} >= {float}", "{int_column} = '7'", "{decimal_column} = '10.5'"),
    *("{date} <= {moment}", "{moment_column} >= {date_constant}", "{int} IN (1.0, 7, 2.5)"),
    *("{text} LIKE '{pattern}'", "{text} NOT LIKE '{pattern}'"),
)
_PATTERNS = ("a%", "%", "[a-b]%", "[^a]%", "%[%]%", "B[%]%", "_%", "%-%", "[[]%", "%b%")
_PLACE = re.compile(r"\{(\w+)\}")


class Writing:
    """Writes T-SQL over the columns at these aliases of staging.thing."""

    def __init__(self, dice: Random, aliases: Sequence[str]) -> None:
        self.aliases = aliases
        self._dice = dice
        self._choice = dice.choice

    def value(self, kind: str, depth: int = 2) -> str:
        if depth == 0 or self._dice.random() < 0.3:
            return self._column(kind) if self._dice.random() < 0.7 else self._typed(kind)
        return self._written(self._choice((*_ANY, *_FORMS[kind], *_FORMS[kind])), kind, depth - 1)

    def condition(self, depth: int = 2) -> str:
        simple = _CONDITIONS[3:]
        kind = self._choice(KINDS)
        return self._written(self._choice(_CONDITIONS if depth else simple), kind, max(depth - 1, 0))

    def _column(self, kind: str) -> str:
        return f"{self._choice(self.aliases)}.{self._choice(COLUMNS[kind])}"

    def _typed(self, kind: str) -> str:
        constant = self._choice(_CONSTANTS[kind])
        return f"CAST({constant} AS {_TYPES[kind]})" if kind in _TYPES else constant

    def _written(self, form: str, kind: str, depth: int) -> str:
        ordered, name = self._choice(ORDERED), self._choice(COLUMNS[kind])

        def filled(place: re.Match[str]) -> str:
            what, _, how = place[1].partition("_")
            what = {"of": kind, "ordered": ordered}.get(what, what)
            if what in ("condition", "digit", "pattern", "name"):
                return self._other(what, name, depth)
            if how == "column":
                return self._column(what)
            return self._choice(_CONSTANTS[what]) if how == "constant" else self.value(what, depth)

        return _PLACE.sub(filled, form)

    def _other(self, what: str, name: str, depth: int) -> str:
        if what == "condition":
            return self.condition(depth)
        return {"digit": self._choice("0123"), "pattern": self._choice(_PATTERNS), "name": name}[what]


def rows(dice: Random, count: int = 12) -> list[dict[str, Any]]:
    """Things of few values, so that they meet, and NULL among them."""
    values: Mapping[str, Sequence[Any]] = {
        "day": [date.fromisoformat(each) for each in DATES],
        "at": [datetime.fromisoformat(each).replace(tzinfo=UTC) for each in MOMENTS],
        "ms": [datetime.fromisoformat(each) for each in MOMENTS],
        "t": TEXTS,
        "price": [Decimal(each) for each in PRICES],
        "n": NUMBERS,
        "f": FLOATS,
        "uid": UUIDS,
        "ok": [True, False],
    }
    return [
        {"id": number}
        | {name: None if dice.random() < 0.15 else dice.choice(given) for name, given in values.items()}
        for number in range(1, count + 1)
    ]


def query(dice: Random) -> tuple[str, list[str]]:
    """A SELECT whose first column tells its rows apart, and the kinds of its columns."""
    made: tuple[str, list[str]] = dice.choice([_plain, _plain, _plain, _grouped, _united])(dice)
    return made


def _from(writing: Writing, dice: Random) -> str:
    made = "FROM staging.thing AS s"
    if len(writing.aliases) > 1:
        on = dice.choice(
            ["r.id = s.n", "r.id = s.id AND r.t = 'a'", "r.id = 1 AND r.uid = s.uid", "r.id = 2"]
        )
        made += f" {dice.choice(['LEFT', 'INNER'])} JOIN staging.thing AS r ON {on}"
    return made + (f" WHERE {writing.condition()}" if dice.random() < 0.7 else "")


def _plain(dice: Random) -> tuple[str, list[str]]:
    writing = Writing(dice, dice.choice(["s", "s", "sr"]))
    kinds = dice.choices(KINDS, k=dice.randint(1, 3))
    values = "".join(f"{writing.value(kind)} AS v{place}, " for place, kind in enumerate(kinds))
    flag = f"CASE WHEN {writing.condition()} THEN 1 ELSE 0 END AS flag"
    return f"SELECT s.id AS k, {values}{flag} {_from(writing, dice)}", ["int", *kinds, "int"]


def _key(writing: Writing, kind: str) -> str:
    """GROUP BY takes no constant, and Babelfish no index of a CONCAT."""
    found = writing.value(kind, 1)
    while "s." not in found or "CONCAT" in found:
        found = writing.value(kind, 1)
    return found


def _grouped(dice: Random) -> tuple[str, list[str]]:
    writing = Writing(dice, "s")
    kind, of = dice.choice(KINDS), dice.choice(["int", "decimal", "date", "moment", "text"])
    by = _key(writing, kind)
    call = dice.choice(["MIN", "MAX", *(["SUM"] if of in ("int", "decimal") else [])])
    values = (
        f"COUNT(*) AS n, {call}({writing.value(of, 1)}) AS v, COUNT(DISTINCT {writing.value(kind, 1)}) AS d"
    )
    having = dice.choice(["", " HAVING COUNT(*) > 1"])
    text = f"SELECT {by} AS k, {values} {_from(writing, dice)} GROUP BY {by}{having}"
    return text, [kind, "int", of, "int"]


def _united(dice: Random) -> tuple[str, list[str]]:
    writing, kind = Writing(dice, "s"), dice.choice(KINDS)
    one, other = (f"{_key(writing, kind)} AS k {_from(writing, dice)}" for _ in range(2))
    operator = dice.choice(["UNION", "EXCEPT", "INTERSECT"])
    return dice.choice([f"SELECT DISTINCT {one}", f"SELECT {one} {operator} SELECT {other}"]), [kind]
