"""A small world for reports: orders of customers for products, with few values so that groups meet; and random
reports over it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from consumers_world import NULL, entity, field, logical
from hypothesis import strategies as st

from schemas.codec import Registry
from schemas.entity import Catalog

CUSTOMER = entity(
    "customer",
    [field("id", "string"), field("region", [NULL, "string"], default=None), field("tier", "int", default=0)],
    ["id"],
)
PURCHASE = entity(
    "purchase",
    [
        field("id", "string"),
        field("customer", [NULL, "string"], default=None),
        field("product", "string"),
        field("amount", "int"),
        field("price", logical("decimal", "bytes", precision=12, scale=2)),
        field("day", [NULL, logical("date", "int")], default=None),
    ],
    ["id"],
)
PRODUCT = entity(
    "product",
    [field("id", "string"), field("family", [NULL, "string"], default=None)],
    ["id"],
    prefer=["csv:b", "dynamodb:a"],
)
ENTITIES = (CUSTOMER, PURCHASE, PRODUCT)
CATALOG = Catalog({each.name: each for each in ENTITIES}, Registry([each.schema for each in ENTITIES]))

_JOINS = {
    "customer": "customer AS c ON c.id = o.customer",
    "product": "product AS p ON p.id = o.product",
    "spent": (
        "(SELECT x.customer AS who, SUM(x.amount) AS spent, COUNT(*) AS times FROM staging.purchase AS x "
        "WHERE x.amount > 1 GROUP BY x.customer) AS s ON s.who = o.customer"
    ),
    "rich": (
        "(SELECT y.id AS id, y.region AS region, z.family AS family FROM staging.customer AS y LEFT JOIN "
        "staging.product AS z ON z.id = y.region) AS r ON r.id = o.customer"
    ),
}
_COLUMNS = {
    "purchase": ["o.customer", "o.product", "o.day"],
    "customer": ["c.region", "c.tier"],
    "product": ["p.family"],
    "spent": ["s.who"],
    "rich": ["r.region", "r.family"],
}
_FILTERS = [
    "o.amount > 1",
    "o.customer IS NOT NULL",
    "o.product = 'x' OR o.amount < 3",
    "EXISTS (SELECT 1 FROM staging.customer AS e WHERE e.id = o.customer AND e.tier = 1)",
    "NOT EXISTS (SELECT 1 FROM staging.product AS n INNER JOIN staging.purchase AS m ON m.product = n.id "
    "WHERE m.customer = o.customer AND n.family = 'f')",
    "o.product IN (SELECT q.id FROM staging.product AS q WHERE q.family IS NOT NULL)",
]
_AGGREGATES = {
    "purchase": ["COUNT(*)", "SUM(o.amount)", "COUNT(DISTINCT o.product)", "MIN(o.id)", "MAX(o.amount)"],
    "customer": ["COUNT(c.region)", "SUM(c.tier)"],
    "product": ["MAX(p.family)"],
    "spent": ["MAX(s.spent)", "SUM(s.times)"],
    "rich": ["COUNT(r.family)"],
}


def _table(name: str) -> str:
    return _JOINS[name] if name in ("spent", "rich") else f"staging.{_JOINS[name]}"


@st.composite
def _from(draw: st.DrawFn) -> tuple[str, list[str]]:
    joined = draw(st.lists(st.sampled_from(sorted(_JOINS)), unique=True, max_size=2))
    made = "FROM staging.purchase AS o"
    for name in joined:
        made += f" {draw(st.sampled_from(['INNER', 'LEFT']))} JOIN {_table(name)}"
    filters = draw(st.lists(st.sampled_from(_FILTERS), unique=True, max_size=2))
    if filters:
        made += " WHERE " + " AND ".join(f"({each})" for each in filters)
    return made, ["purchase", *joined]


@st.composite
def _grouped(draw: st.DrawFn) -> tuple[str, int]:
    tail, names = draw(_from())
    columns = [each for name in names for each in _COLUMNS[name]]
    chosen = draw(st.lists(st.sampled_from(columns), unique=True, min_size=1, max_size=2))
    aggregates = [each for name in names for each in _AGGREGATES[name]]
    shown = draw(st.lists(st.sampled_from(aggregates), unique=True, min_size=2, max_size=2))
    keys = ", ".join(f"{each} AS k{place}" for place, each in enumerate(chosen))
    values = ", ".join(f"{each} AS v{place}" for place, each in enumerate(shown))
    having = draw(st.sampled_from(["", " HAVING COUNT(*) > 1"]))
    return f"SELECT {keys}, {values} {tail} GROUP BY {', '.join(chosen)}{having}", len(chosen)


@st.composite
def _plain(draw: st.DrawFn) -> tuple[str, int]:
    """One row for each purchase, with a window and a sub-query that its key leads to."""
    tail, names = draw(_from())
    if "rich" in names or "product" in names:
        value = draw(st.sampled_from(["o.amount", "(SELECT MAX(c2.tier) FROM staging.customer AS c2 WHERE c2.id = o.customer)"]))
    else:
        value = "(SELECT SUM(i.amount) FROM staging.purchase AS i WHERE i.product = o.product)"
    key = ["o.id"]
    if draw(st.booleans()):
        value, key = "ROW_NUMBER() OVER (PARTITION BY o.product ORDER BY o.amount DESC, o.id)", ["o.product", "o.id"]
    keys = ", ".join(f"{each} AS k{place}" for place, each in enumerate(key))
    return f"SELECT {keys}, {value} AS v0, o.amount AS v1 {tail}", len(key)


@st.composite
def _first_of_each(draw: st.DrawFn) -> tuple[str, int]:
    """The greatest purchase of each customer, by a CTE with a window."""
    inner, names = draw(_from())
    return (
        "WITH ranked AS (SELECT o.customer AS who, o.product AS what, o.amount AS amount, ROW_NUMBER() OVER "
        f"(PARTITION BY o.customer ORDER BY o.amount DESC, o.id) AS place {inner}) "
        "SELECT k.who AS k0, MAX(k.what) AS v0, SUM(k.amount) AS v1 FROM ranked AS k WHERE k.place <= 2 "
        "GROUP BY k.who",
        1,
    )


@st.composite
def report_texts(draw: st.DrawFn) -> str:
    """The text of a report's file."""
    body, keys = draw(st.one_of(_grouped(), _grouped(), _plain(), _first_of_each()))
    key = [f"k{place}" for place in range(keys)]
    if draw(st.integers(0, 4)) == 0 and "k1" not in key and not body.startswith("WITH"):
        body = (
            f"SELECT 'a' AS branch, q.* FROM ({body}) AS q UNION ALL "
            "SELECT 'b', w.region, COUNT(*), SUM(w.tier) FROM staging.customer AS w GROUP BY w.region"
        )
        return report_text(["branch", "k0"], body)
    return report_text(key, body)


def report_text(key: Sequence[str], body: str) -> str:
    return f"/* headwater\nkey = {json.dumps(list(key))}\n*/\n{body}\n"
