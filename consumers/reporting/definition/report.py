"""One report: a .sql file with what its table is called, its key, and a SELECT over staging.

The file begins with a comment that editors and SQL tools leave alone:

    /* headwater
    key = ["town", "plan"]
    */
    SELECT s.town, u.plan, SUM(u.price) AS price
    FROM staging.school AS s INNER JOIN staging.subscription AS u ON u.urn = s.urn
    GROUP BY s.town, u.plan
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from consumers.reporting.definition.allowed import (
    STAGING,
    check_known,
    check_said,
    is_open,
    only_full,
    unfound,
)
from consumers.reporting.definition.body import parsed, selects_of, split
from consumers.reporting.definition.derive import Derivation, Types, derive
from consumers.reporting.definition.flatten import Expression, Flattener, NotFlatError
from consumers.reporting.definition.grouped import check_grouped
from consumers.reporting.definition.outputs import INSTEAD, check_typed, is_type
from consumers.reporting.definition.sql_types import Declared, SqlType, annotate, outputs, settle
from consumers.tsql_types import tsql_type_of
from consumers.warehouse.port import MAX_SOURCE
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError
from schemas.payload.fields import Field
from schemas.refusals import missing, only_known, refused, snake_case, unknown

_EVERY = re.compile(r"full every (?P<minutes>[1-9]\d{0,4}) minutes?")


@dataclass(frozen=True)
class Report:
    """A report that can be kept right."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    query: exp.Query
    """With every column and table qualified; without comments."""
    types: Mapping[str, str]
    """T-SQL types that the file gives columns."""
    entities: tuple[str, ...]
    """What its rows come from, in name order."""
    derivation: Derivation | None
    """None where it is made anew each time."""
    minutes: int | None = None
    """Between two times that it is made anew."""

    @property
    def unit(self) -> tuple[str, ...]:
        """The columns of its unit: none where it is made anew each time."""
        return self.derivation.unit if self.derivation else ()

    @cached_property
    def images(self) -> Mapping[str, tuple[str, ...]]:
        """What pending rows keep of each entity."""
        return self.derivation.images if self.derivation else {}

    @cached_property
    def column_types(self) -> Mapping[str, SqlType | None]:
        """As far as they are known."""
        query = self.query.copy()
        settle(query)
        return outputs(query)

    @cached_property
    def definition(self) -> str:
        """What its table is made of: two files with one definition need one table."""
        types = ", ".join(f"{name} {given}" for name, given in sorted(self.types.items()))
        return f"{self.query.sql('tsql')} -- key {', '.join(self.key)}; types {types}; every {self.minutes}"


def key_of(definition: str) -> tuple[str, ...]:
    """The key of a report of this definition."""
    told = definition.rpartition(" -- key ")[2].partition("; types ")[0]
    return tuple(told.split(", "))


def read_report(name: str, text: str, catalog: Catalog) -> Report:
    """The report of a file of this name (without .sql). Raises ConfigurationError that names the line and
    what would help."""
    properties, body = split(text)
    name = snake_case("table", properties.get("table", name))
    if name in catalog.entities:
        raise refused("table", name, "a name that no entity has")
    minutes = _minutes(properties.get("refresh"))
    query = _qualified(parsed(body), catalog, is_full=minutes is not None)
    columns = tuple(each.alias_or_name for each in query.selects)
    _check_columns(columns)
    key = _key(properties, columns)
    query = _cast(query, types := _types(properties, columns))
    check_typed(query)
    derivation = None if minutes else _derived(query, key, catalog)
    entities = sorted(derivation.images if derivation else _staging(query))
    return Report(name, key, columns, query, types, tuple(entities), derivation, minutes)


def _minutes(given: object) -> int | None:
    if given is None:
        return None
    found = _EVERY.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise refused("refresh", given, '"full every 30 minutes", or none: then change by change')
    return int(found["minutes"])


def _key(properties: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    if "key" not in properties:
        raise missing(
            "the comment at the beginning", "key", 'columns that tell its rows apart: key = ["urn"]'
        )
    key = properties["key"]
    if not isinstance(key, list) or not key or len(set(map(str, key))) != len(key):
        raise refused("key", key, 'a list of different columns, as in ["urn"]')
    for each in key:
        if each not in columns:
            raise unknown("key", each, columns)
    return tuple(key)


def _types(properties: Mapping[str, Any], columns: Sequence[str]) -> Mapping[str, str]:
    given = properties.get("types", {})
    if not isinstance(given, dict):
        raise refused("types", given, 'columns with their types, as in { price = "DECIMAL(12,2)" }')
    only_known("types", given, columns)
    for name, each in given.items():
        if not is_type(each):
            raise refused(f"types, {name}", each, "a type of T-SQL, such as DECIMAL(12,2), and nothing else")
        if (instead := INSTEAD.get(each.strip().lower())) is not None:
            raise refused(f"types, {name}", each, f"a type whose values can be compared, such as {instead}")
    return given


# The SELECT


def _qualified(query: exp.Query, catalog: Catalog, is_full: bool) -> exp.Query:
    labels = {each.alias_or_name.lower(): each.alias_or_name for each in query.selects}
    types = types_of(catalog)
    for node in query.walk():
        node.comments = None
    check_said(query, types, is_full)
    try:
        made = qualify(
            query,
            schema={STAGING: {name: dict(each) for name, each in types.items()}},
            dialect="tsql",
            quote_identifiers=False,
            validate_qualify_columns=False,
        )
    except OptimizeError as error:
        _, unknown_, name = str(error).partition("Unknown column: ")
        raise unfound(query, name) if unknown_ else ConfigurationError(f"the SELECT: {error}") from None
    assert isinstance(made, exp.Query)
    _relabel(made, labels)
    _name_alike(made)
    if not is_open(made):
        check_known(made, types)
        check_grouped(made)
    annotate_types(made, schema={STAGING: types}, dialect="tsql")
    annotate(made, types)
    return made


def _relabel(query: exp.Query, labels: Mapping[str, str]) -> None:
    """With the letters of names as they were written, and their places."""
    for each in query.selects:
        if isinstance(each, exp.Alias):
            written = each.args["alias"].meta
            each.set("alias", exp.to_identifier(labels.get(each.alias, each.alias)))
            each.args["alias"].meta.update(written)


def _name_alike(query: exp.Query) -> None:
    """The first SELECT of a UNION names the columns; the others may call two by one name."""
    for operation in query.find_all(exp.SetOperation):
        first, *others = selects_of(operation)
        for select in others:
            named = zip(select.selects, first.selects, strict=True)
            select.set("expressions", [exp.alias_(one.unalias(), two.alias_or_name) for one, two in named])


def types_of(catalog: Catalog) -> Types:
    """What the columns of each entity's view are in SQL Server."""
    return {
        name: {
            **{column.field.name: _type_of(column.stored) for column in entity.columns},
            "_source": f"NVARCHAR({MAX_SOURCE})",
        }
        for name, entity in catalog.entities.items()
    }


def _type_of(field: Field) -> str:
    given = tsql_type_of(field)
    return Declared(given) if field.kind.startswith("timestamp-") else given


def _staging(query: exp.Query) -> set[str]:
    return {table.name for table in query.find_all(exp.Table) if table.db == STAGING}


def _check_columns(columns: Sequence[str]) -> None:
    for name in columns:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name):
            raise refused(
                "column",
                name,
                "a letter of a-z, then letters, digits and _, as in COUNT(*) AS schools; 100 at most",
            )
    names = [name.lower() for name in columns]
    if twice := [name for name in columns if names.count(name.lower()) > 1]:
        raise ConfigurationError(
            f"two columns have one name, {twice[0]}: say another one for one, as in AS {twice[0]}_2"
        )


def _cast(query: exp.Query, types: Mapping[str, str]) -> exp.Query:
    """The types that the file gives, in every SELECT of a UNION."""
    for select in selects_of(query):
        for name, each in zip(
            [each.alias_or_name for each in query.selects], list(select.selects), strict=True
        ):
            if name in types:
                made = exp.cast(each.unalias().copy(), types[name], dialect="tsql")
                each.replace(exp.alias_(made, name))
    return query


def _derived(query: exp.Query, key: Sequence[str], catalog: Catalog) -> Derivation:
    types = types_of(catalog)
    nullable = {
        name: frozenset(column.field.name for column in entity.columns if column.stored.nullable)
        for name, entity in catalog.entities.items()
    }
    try:
        flats = Flattener(types, nullable).flatten(query)
        shared = {name: each.key for name, each in catalog.entities.items() if each.prefer and each.key}
        derivation = replace(derive(flats, key, types), shared_keys=shared)
    except NotFlatError as error:
        raise only_full(str(error)) from None
    for reason in unordered(query):
        raise only_full(reason)
    return derivation


_FLOATS = (exp.DType.FLOAT, exp.DType.DOUBLE)


def unordered(query: Expression) -> Iterator[str]:
    """What hangs on the order in which rows come, and that is open. Needs types."""
    for node in query.walk():
        if isinstance(node, exp.GroupConcat) and not isinstance(node.this, exp.Order):
            yield "STRING_AGG without WITHIN GROUP (ORDER BY ...) gives texts in any order"
        elif isinstance(node, exp.Window) and _is_open(node.args.get("order")):
            yield f"{node.sql('tsql')[:60]} takes rows in any order: ORDER BY a column"
        elif isinstance(node, exp.Select) and _is_picked(node) and not node.args.get("order"):
            yield "TOP without ORDER BY takes rows in any order: ORDER BY columns that tell them apart"
        elif isinstance(node, (exp.Sum, exp.Avg)) and _is_float(node.this):
            name = node.sql("tsql")[:60]
            yield f"{name} of a FLOAT hangs on the order in which rows are added: CAST it to a DECIMAL first"


def _is_open(order: Expression | None) -> bool:
    return order is not None and order.find(exp.Column) is None


def _is_picked(node: exp.Select) -> bool:
    """Whether the order of its rows shows: where EXISTS asks it does not."""
    return bool(node.args.get("limit")) and not isinstance(node.parent, exp.Exists)


def _is_float(node: Expression) -> bool:
    inner = node.expressions[0] if isinstance(node, exp.Distinct) else node
    return inner.type is not None and inner.type.this in _FLOATS
