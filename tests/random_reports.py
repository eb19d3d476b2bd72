"""Random reports over the small world: the text of a file, and Python that says what its table must be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from hypothesis import strategies as st
from reports_world import Database, Values

Together: TypeAlias = Mapping[str, "Values | None"]
"""One row at each alias; None where a left join found none."""


def _relation(name: str) -> tuple[str, str]:
    """Text and alias."""
    return {
        "customer": ("staging.customer AS c ON c.id = o.customer", "c"),
        "product": ("staging.product AS p ON p.id = o.product", "p"),
        "spent": (
            "(SELECT x.customer AS who, SUM(x.amount) AS spent, COUNT(*) AS times FROM staging.purchase AS x "
            "WHERE x.amount > 1 GROUP BY x.customer) AS s ON s.who = o.customer",
            "s",
        ),
        "rich": (
            "(SELECT y.id AS id, y.region AS region, z.family AS family FROM staging.customer AS y LEFT JOIN "
            "staging.product AS z ON z.id = y.region) AS r ON r.id = o.customer",
            "r",
        ),
    }[name]


def _rows_of(name: str, database: Database) -> Iterator[tuple[Any, Values]]:
    """What it is joined by, and its rows."""
    if name in ("customer", "product"):
        yield from ((each["id"], each) for each in database[name])
    elif name == "spent":
        counted = [each for each in database["purchase"] if each["amount"] > 1]
        for who in {each["customer"] for each in counted}:
            own = [each["amount"] for each in counted if each["customer"] == who]
            yield who, {"who": who, "spent": sum(own), "times": len(own)}
    else:
        for each in database["customer"]:
            found = [p["family"] for p in database["product"] if p["id"] == each["region"]] or [None]
            for family in found:
                yield each["id"], {"id": each["id"], "region": each["region"], "family": family}


Filter: TypeAlias = Callable[[Values, Database], bool]
_FILTERS: dict[str, Filter] = {
    "o.amount > 1": lambda o, _: o["amount"] > 1,
    "o.customer IS NOT NULL": lambda o, _: o["customer"] is not None,
    "o.product = 'x' OR o.amount < 3": lambda o, _: o["product"] == "x" or o["amount"] < 3,
    "EXISTS (SELECT 1 FROM staging.customer AS e WHERE e.id = o.customer AND e.tier = 1)": lambda o, db: any(
        e["id"] == o["customer"] and e["tier"] == 1 for e in db["customer"]
    ),
    "NOT EXISTS (SELECT 1 FROM staging.product AS n INNER JOIN staging.purchase AS m ON m.product = n.id "
    "WHERE m.customer = o.customer AND n.family = 'f')": lambda o, db: (
        not any(
            n["id"] == m["product"] and m["customer"] == o["customer"] and n["family"] == "f"
            for n in db["product"]
            for m in db["purchase"]
            if o["customer"] is not None
        )
    ),
    "o.product IN (SELECT q.id FROM staging.product AS q WHERE q.family IS NOT NULL)": lambda o, db: any(
        q["id"] == o["product"] and q["family"] is not None for q in db["product"]
    ),
}
_SIZE = "CASE WHEN o.amount > 1 THEN 'many' ELSE o.product END"
_LARGE = "CASE WHEN o.price > 1 THEN o.price ELSE 0 END"
_OF_FAMILY = "CASE WHEN p.family = 'f' THEN o.amount END"
_EXPRESSIONS: dict[str, Callable[[Any], Any]] = {
    _SIZE: lambda at: "many" if at["o"]["amount"] > 1 else at["o"]["product"],
    "YEAR(o.day)": lambda at: at["o"]["day"] and at["o"]["day"].year,
    "DATEADD(MONTH, 1, o.day)": lambda at: at["o"]["day"] and at["o"]["day"].replace(month=2),
    _LARGE: lambda at: at["o"]["price"] if at["o"]["price"] > 1 else Decimal("0.00"),
    _OF_FAMILY: lambda at: at["o"]["amount"] if at["p"] and at["p"]["family"] == "f" else None,
    "COALESCE(s.spent, 0)": lambda at: at["s"]["spent"] if at["s"] else 0,
}
_HAVINGS: dict[str, Callable[[Sequence[Together]], bool]] = {
    "": lambda _: True,
    " HAVING COUNT(*) > 1": lambda group: len(group) > 1,
    " HAVING SUM(o.amount) > 3": lambda group: _aggregate("SUM(o.amount)", group) > 3,
    " HAVING SUM(o.price) > 1.05": lambda group: _aggregate("SUM(o.price)", group) > Decimal("1.05"),
}
_COLUMNS = {
    "purchase": ["o.customer", "o.product", "o.day", _SIZE, "YEAR(o.day)", "DATEADD(MONTH, 1, o.day)"],
    "customer": ["c.region", "c.tier"],
    "product": ["p.family"],
    "spent": ["s.who"],
    "rich": ["r.region", "r.family"],
}
_AGGREGATES = {
    "purchase": [
        "COUNT(*)",
        "SUM(o.amount)",
        "COUNT(DISTINCT o.product)",
        "MIN(o.id)",
        "SUM(o.price)",
        f"SUM({_LARGE})",
    ],
    "customer": ["COUNT(c.region)", "SUM(c.tier)"],
    "product": ["MAX(p.family)", f"COUNT({_OF_FAMILY})"],
    "spent": ["MAX(s.spent)", "SUM(s.times)", "SUM(COALESCE(s.spent, 0))"],
    "rich": ["COUNT(r.family)"],
}


def _value(column: str, together: Together) -> Any:
    if column in _EXPRESSIONS:
        return _EXPRESSIONS[column](together)
    alias, name = column.split(".")
    values = together[alias]
    return None if values is None else values[name]


def _aggregate(call: str, group: Sequence[Together]) -> Any:
    if call == "COUNT(*)":
        return len(group)
    name, _, inner = call.removesuffix(")").partition("(")
    distinct, column = inner.startswith("DISTINCT "), inner.removeprefix("DISTINCT ")
    values = [each for each in (_value(column, together) for together in group) if each is not None]
    if name == "COUNT":
        return len(set(values)) if distinct else len(values)
    return {"SUM": sum, "MIN": min, "MAX": max}[name](values) if values else None


@dataclass(frozen=True)
class From:
    """Purchases with what is joined to them."""

    joins: tuple[tuple[str, str], ...]
    filters: tuple[str, ...]

    @property
    def text(self) -> str:
        made = "FROM staging.purchase AS o"
        for kind, name in self.joins:
            made += f" {kind} JOIN {_relation(name)[0]}"
        return made + (" WHERE " + " AND ".join(f"({each})" for each in self.filters) if self.filters else "")

    def rows(self, database: Database) -> list[Together]:
        kept = [o for o in database["purchase"] if all(_FILTERS[each](o, database) for each in self.filters)]
        made: list[Together] = [{"o": o} for o in kept]
        for kind, name in self.joins:
            alias, on = _relation(name)[1], "product" if name == "product" else "customer"
            right = list(_rows_of(name, database))
            made = [
                {**left, alias: found}
                for left in made
                for found in _found(right, (left["o"] or {})[on]) or ([None] if kind == "LEFT" else [])
            ]
        return made


def _found(right: Sequence[tuple[Any, Values]], by: Any) -> list[Values | None]:
    return [values for key, values in right if by is not None and key == by]


@dataclass(frozen=True)
class Made:
    """A report: its file, and its rows as Python makes them."""

    key: tuple[str, ...]
    body: str
    rows: Callable[[Database], list[tuple[Any, ...]]]

    @property
    def text(self) -> str:
        return f"/* headwater\nkey = {json.dumps(self.key)}\n*/\n{self.body}\n"


@st.composite
def _froms(draw: st.DrawFn) -> From:
    joined = draw(st.lists(st.sampled_from(sorted(_COLUMNS.keys() - {"purchase"})), unique=True, max_size=2))
    kinds = [draw(st.sampled_from(["INNER", "LEFT"])) for _ in joined]
    filters = draw(st.lists(st.sampled_from(list(_FILTERS)), unique=True, max_size=2))
    return From(tuple(zip(kinds, joined, strict=True)), tuple(filters))


def _groups(rows: Sequence[Together], columns: Sequence[str]) -> dict[tuple[Any, ...], list[Together]]:
    made: dict[tuple[Any, ...], list[Together]] = {}
    for each in rows:
        made.setdefault(tuple(_value(column, each) for column in columns), []).append(each)
    return made


@st.composite
def _grouped(draw: st.DrawFn) -> Made:
    tail = draw(_froms())
    names = ["purchase", *(name for _, name in tail.joins)]
    columns = draw(st.lists(st.sampled_from(_all(_COLUMNS, names)), unique=True, min_size=1, max_size=2))
    calls = draw(st.lists(st.sampled_from(_all(_AGGREGATES, names)), unique=True, min_size=2, max_size=2))
    having = draw(st.sampled_from(list(_HAVINGS)))
    keys = ", ".join(f"{each} AS k{place}" for place, each in enumerate(columns))
    values = ", ".join(f"{each} AS v{place}" for place, each in enumerate(calls))
    body = f"SELECT {keys}, {values} {tail.text} GROUP BY {', '.join(columns)}{having}"

    def rows(database: Database) -> list[tuple[Any, ...]]:
        groups = _groups(tail.rows(database), columns).items()
        return [(*k, *(_aggregate(call, g) for call in calls)) for k, g in groups if _HAVINGS[having](g)]

    return Made(tuple(f"k{place}" for place in range(len(columns))), body, rows)


def _all(named: Mapping[str, list[str]], names: Sequence[str]) -> list[str]:
    return [each for name in names for each in named[name]]


@st.composite
def _plain(draw: st.DrawFn) -> Made:
    """One row for each purchase, with what a sub-query says of its product."""
    tail = draw(_froms())
    body = (
        "SELECT o.id AS k0, (SELECT SUM(i.amount) FROM staging.purchase AS i WHERE i.product = o.product) "
        f"AS v0, o.amount AS v1 {tail.text}"
    )

    def rows(database: Database) -> list[tuple[Any, ...]]:
        of = {p: [i["amount"] for i in database["purchase"] if i["product"] == p] for p in "xyz"}
        return [
            (o["id"], sum(of[o["product"]]), o["amount"])
            for each in tail.rows(database)
            if (o := each["o"]) is not None
        ]

    return Made(("k0",), body, rows)


@st.composite
def _placed(draw: st.DrawFn) -> Made:
    """Purchases in their order within a product, by a window."""
    tail = From((), draw(_froms()).filters)
    body = (
        "SELECT o.product AS k0, o.id AS k1, ROW_NUMBER() OVER (PARTITION BY o.product "
        f"ORDER BY o.amount DESC, o.id) AS v0 {tail.text}"
    )

    def rows(database: Database) -> list[tuple[Any, ...]]:
        every = [o for each in tail.rows(database) if (o := each["o"]) is not None]
        made = []
        for product in {o["product"] for o in every}:
            own = sorted((o for o in every if o["product"] == product), key=lambda o: (-o["amount"], o["id"]))
            made += [(product, o["id"], place) for place, o in enumerate(own, 1)]
        return made

    return Made(("k0", "k1"), body, rows)


@st.composite
def _first_of_each(draw: st.DrawFn) -> Made:
    """The two greatest purchases of each customer together, by a CTE with a window."""
    tail = From((), draw(_froms()).filters)
    body = (
        "WITH ranked AS (SELECT o.customer AS who, o.product AS what, o.amount AS amount, ROW_NUMBER() OVER "
        f"(PARTITION BY o.customer ORDER BY o.amount DESC, o.id) AS place {tail.text}) "
        "SELECT k.who AS k0, MAX(k.what) AS v0, SUM(k.amount) AS v1 FROM ranked AS k WHERE k.place <= 2 "
        "GROUP BY k.who"
    )

    def rows(database: Database) -> list[tuple[Any, ...]]:
        made = []
        for (who,), group in _groups(tail.rows(database), ["o.customer"]).items():
            own = sorted((o for each in group if (o := each["o"])), key=lambda o: (-o["amount"], o["id"]))[:2]
            made.append((who, max(o["product"] for o in own), sum(o["amount"] for o in own)))
        return made

    return Made(("k0",), body, rows)


@st.composite
def _united(draw: st.DrawFn) -> Made:
    one = draw(_first_of_each())
    body = one.body.replace(") SELECT k.who AS k0", ") SELECT 'a' AS branch, k.who AS k0") + (
        " UNION ALL SELECT 'b', w.region, COUNT(*) AS v0, SUM(w.tier) AS v1 FROM staging.customer AS w "
        "GROUP BY w.region"
    )
    body = body.replace("MAX(k.what) AS v0", "COUNT(*) AS v0")

    def rows(database: Database) -> list[tuple[Any, ...]]:
        tops = [("a", k, None, v) for k, _, v in one.rows(database)]
        regions: dict[Any, list[int]] = {}
        for each in database["customer"]:
            regions.setdefault(each["region"], []).append(each["tier"])
        return [*tops, *(("b", region, None, sum(tiers)) for region, tiers in regions.items())]

    return Made(("branch", "k0"), body.replace("COUNT(*) AS v0", "CAST(NULL AS INT) AS v0"), rows)


@st.composite
def _different(draw: st.DrawFn) -> Made:
    """What there is, without a group."""
    tail = draw(_froms())
    every = _all(_COLUMNS, ["purchase", *(name for _, name in tail.joins)])
    columns = draw(st.lists(st.sampled_from(every), unique=True, min_size=1, max_size=2))
    named = ", ".join(f"{each} AS k{place}" for place, each in enumerate(columns))
    return Made(
        tuple(f"k{place}" for place in range(len(columns))),
        f"SELECT DISTINCT {named} {tail.text}",
        lambda database: list(_groups(tail.rows(database), columns)),
    )


@st.composite
def _chained(draw: st.DrawFn) -> Made:
    """Of each customer the product bought most, from sums of sums: three CTEs, one after the other."""
    tail = From((), draw(_froms()).filters)
    body = (
        f"WITH bought AS (SELECT o.customer AS who, o.product AS what, o.amount AS amount {tail.text}), "
        "summed AS (SELECT b.who AS who, b.what AS what, SUM(b.amount) AS amount FROM bought AS b "
        "GROUP BY b.who, b.what), most AS (SELECT u.who AS who, MAX(u.amount) AS amount, COUNT(*) AS kinds "
        "FROM summed AS u GROUP BY u.who) "
        "SELECT m.who AS k0, m.amount AS v0, m.kinds AS v1 FROM most AS m WHERE m.kinds < 3"
    )

    def rows(database: Database) -> list[tuple[Any, ...]]:
        sums: dict[Any, dict[Any, int]] = {}
        for (who, what), group in _groups(tail.rows(database), ["o.customer", "o.product"]).items():
            sums.setdefault(who, {})[what] = _aggregate("SUM(o.amount)", group)
        return [(who, max(each.values()), len(each)) for who, each in sums.items() if len(each) < 3]

    return Made(("k0",), body, rows)


@st.composite
def _union_of_three(draw: st.DrawFn) -> Made:
    """Names that anything has, each once."""
    tail = draw(_froms())
    body = (
        f"SELECT o.customer AS k0 {tail.text} UNION SELECT w.region FROM staging.customer AS w "
        "WHERE w.tier = 1 UNION SELECT v.family FROM staging.product AS v"
    )

    def rows(database: Database) -> list[tuple[Any, ...]]:
        names = {_value("o.customer", each) for each in tail.rows(database)}
        names |= {each["region"] for each in database["customer"] if each["tier"] == 1}
        return [(name,) for name in names | {each["family"] for each in database["product"]}]

    return Made(("k0",), body, rows)


@st.composite
def _applied(draw: st.DrawFn) -> Made:
    """Beside each purchase the greatest one of its product, or what its customer has spent on the like."""
    tail, kind = From((), draw(_froms()).filters), draw(st.sampled_from(["CROSS", "OUTER"]))
    applied = draw(
        st.sampled_from(
            [
                "SELECT TOP 1 i.id AS v, i.amount AS w FROM staging.purchase AS i "
                "WHERE i.product = o.product AND i.amount > o.amount ORDER BY i.amount DESC, i.id",
                "SELECT COUNT(*) AS v, SUM(i.amount) AS w FROM staging.purchase AS i "
                "WHERE i.product = o.product AND i.amount > o.amount",
            ]
        )
    )
    text = tail.text.replace("AS o", f"AS o {kind} APPLY ({applied}) AS a", 1)

    def rows(database: Database) -> list[tuple[Any, ...]]:
        made: list[tuple[Any, ...]] = []
        for each in tail.rows(database):
            o = each["o"] or {}
            own = [
                i for i in database["purchase"] if i["product"] == o["product"] and i["amount"] > o["amount"]
            ]
            best = sorted((-i["amount"], i["id"]) for i in own)
            if "COUNT" in applied:
                made.append((o["id"], len(own), sum(i["amount"] for i in own) if own else None))
            elif best or kind == "OUTER":
                made.append((o["id"], best[0][1], -best[0][0]) if best else (o["id"], None, None))
        return made

    return Made(("k0",), f"SELECT o.id AS k0, a.v AS v0, a.w AS v1 {text}", rows)


def reports(*, has_apply: bool = False) -> st.SearchStrategy[Made]:
    """Random reports; SQLite has no APPLY."""
    made = [_grouped(), _grouped(), _grouped(), _plain(), _placed(), _first_of_each(), _united()]
    made += [_different(), _chained(), _union_of_three(), *([_applied()] if has_apply else [])]
    return st.one_of(made)
