"""One report: a .sql file with its properties and a SELECT over staging.

The properties are in a comment at the beginning, which editors and SQL tools ignore:

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
    check_allowed,
    only_full,
    reads_unknown_columns,
)
from consumers.reporting.definition.body import parsed, selects_of, split
from consumers.reporting.definition.column_checks import check_columns, check_known, unknown_column
from consumers.reporting.definition.derive import Derivation, Types, derive
from consumers.reporting.definition.flatten import Flattener
from consumers.reporting.definition.grouped import check_grouped
from consumers.reporting.definition.outputs import INSTEAD, check_typed, is_type
from consumers.reporting.definition.row_expressions import Expression, NotFlatError
from consumers.reporting.definition.sql_types import Declared, SqlType, annotate, infer_types, output_types
from consumers.tsql_types import tsql_type_of
from consumers.warehouse.port import MAX_SOURCE
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError
from schemas.payload.fields import Field
from schemas.refusals import missing, only_known, refused, snake_case, unknown

_EVERY = re.compile(r"full every (?P<minutes>[1-9]\d{0,4}) minutes?")


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report whose table a refresh can keep up to date."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    query: exp.Query
    """The SELECT with every column and table qualified, without comments."""
    types: Mapping[str, str]
    """T-SQL types that the file declares for columns."""
    entities: tuple[str, ...]
    """Entities that the report reads, in name order."""
    derivation: Derivation | None
    """The units and the routes to them; None where every refresh is a full one."""
    minutes: int | None = None
    """Interval of full refreshes; None where the report is kept change by change."""

    @property
    def unit(self) -> tuple[str, ...]:
        """Columns of the unit; empty where every refresh is a full one."""
        return self.derivation.unit if self.derivation else ()

    @cached_property
    def images(self) -> Mapping[str, tuple[str, ...]]:
        """Columns of each entity that pending rows keep."""
        return self.derivation.images if self.derivation else {}

    @cached_property
    def column_types(self) -> Mapping[str, SqlType | None]:
        """T-SQL types of the columns, as far as they are known."""
        query = self.query.copy()
        infer_types(query)
        return output_types(query)

    @cached_property
    def definition(self) -> str:
        """The definition of the table: two files with the same definition need only one table."""
        types = ", ".join(f"{name} {sql_type}" for name, sql_type in sorted(self.types.items()))
        return f"{self.query.sql('tsql')} -- key {', '.join(self.key)}; types {types}; every {self.minutes}"


def key_of(definition: str) -> tuple[str, ...]:
    """Return the key in the definition of a report."""
    key = definition.rpartition(" -- key ")[2].partition("; types ")[0]
    return tuple(key.split(", "))


def read_report(name: str, text: str, catalog: Catalog) -> Report:
    """Return the report of a file with this name (without .sql).

    Raises ConfigurationError with the line of the fault and a remedy.
    """
    properties, body = split(text)
    name = snake_case("table", properties.get("table", name))
    if name in catalog.entities:
        raise refused("table", name, "a name that no entity has")
    minutes = _minutes(properties.get("refresh"))
    query = _qualified(parsed(body), catalog, is_full=minutes is not None)
    columns = tuple(column.alias_or_name for column in query.selects)
    _check_columns(columns)
    key = _key(properties, columns)
    query = _cast(query, types := _types(properties, columns))
    check_typed(query)
    # A full refresh runs the SELECT, and needs to know nothing about it but the entities.
    derivation = None if minutes else _derived(query, key, catalog)
    entities = sorted(derivation.images if derivation else _staging(query))
    return Report(
        name=name,
        key=key,
        columns=columns,
        query=query,
        types=types,
        entities=tuple(entities),
        derivation=derivation,
        minutes=minutes,
    )


def _minutes(refresh: object) -> int | None:
    if refresh is None:
        return None
    match = _EVERY.fullmatch(refresh) if isinstance(refresh, str) else None
    if match is None:
        raise refused("refresh", refresh, '"full every 30 minutes", or none: then change by change')
    return int(match["minutes"])


def _key(properties: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    if "key" not in properties:
        raise missing("the comment at the beginning", "key", 'columns that identify its rows: key = ["urn"]')
    key = properties["key"]
    if not isinstance(key, list) or not key or len(set(map(str, key))) != len(key):
        raise refused("key", key, 'a list of different columns, as in ["urn"]')
    for column in key:
        if column not in columns:
            raise unknown("key", column, columns)
    return tuple(key)


def _types(properties: Mapping[str, Any], columns: Sequence[str]) -> Mapping[str, str]:
    types = properties.get("types", {})
    if not isinstance(types, dict):
        raise refused("types", types, 'columns with their types, as in { price = "DECIMAL(12,2)" }')
    only_known("types", types, columns)
    for name, sql_type in types.items():
        if not is_type(sql_type):
            raise refused(
                f"types, {name}", sql_type, "a type of T-SQL, such as DECIMAL(12,2), and nothing else"
            )
        if (instead := INSTEAD.get(sql_type.strip().lower())) is not None:
            raise refused(
                f"types, {name}", sql_type, f"a type whose values can be compared, such as {instead}"
            )
    return types


# The SELECT


def _qualified(query: exp.Query, catalog: Catalog, is_full: bool) -> exp.Query:
    # Taken before qualify, which normalizes the names.
    labels = {column.alias_or_name.lower(): column.alias_or_name for column in query.selects}
    types = types_of(catalog)
    for node in query.walk():
        node.comments = None
    check_allowed(query, types, is_full)
    check_columns(query, types)
    try:
        qualified = qualify(
            query,
            schema={STAGING: {name: dict(columns) for name, columns in types.items()}},
            dialect="tsql",
            quote_identifiers=False,
            validate_qualify_columns=False,
        )
    except OptimizeError as error:
        _, unknown_, name = str(error).partition("Unknown column: ")
        raise (
            unknown_column(query, name) if unknown_ else ConfigurationError(f"the SELECT: {error}")
        ) from None
    assert isinstance(qualified, exp.Query)
    _relabel(qualified, labels)
    _name_columns_alike(qualified)
    if not reads_unknown_columns(qualified):
        check_known(qualified, types)
        check_grouped(qualified)
    annotate_types(qualified, schema={STAGING: types}, dialect="tsql")
    annotate(qualified, types)
    return qualified


def _relabel(query: exp.Query, labels: Mapping[str, str]) -> None:
    """Restore the case of output names, and their positions in the file.

    sqlglot's qualify lowers unquoted names.
    """
    for column in query.selects:
        if isinstance(column, exp.Alias):
            written = column.args["alias"].meta
            column.set("alias", exp.to_identifier(labels.get(column.alias, column.alias)))
            column.args["alias"].meta.update(written)


def _name_columns_alike(query: exp.Query) -> None:
    """Give all SELECTs of a UNION the column names of the first, which names the result in SQL."""
    for operation in query.find_all(exp.SetOperation):
        first, *following = selects_of(operation)
        for select in following:
            named = zip(select.selects, first.selects, strict=True)
            select.set(
                "expressions",
                [exp.alias_(column.unalias(), named_column.alias_or_name) for column, named_column in named],
            )


def types_of(catalog: Catalog) -> Types:
    """Return the T-SQL types of the columns of each entity's view."""
    return {
        name: {
            **{column.field.name: _type_of(column.stored) for column in entity.columns},
            "_source": f"NVARCHAR({MAX_SOURCE})",
        }
        for name, entity in catalog.entities.items()
    }


def _type_of(field: Field) -> str:
    sql_type = tsql_type_of(field)
    # SQLite stores these moments with their zone, which comparisons there must take into account.
    return Declared(sql_type) if field.kind.startswith("timestamp-") else sql_type


def _staging(query: exp.Query) -> set[str]:
    return {table.name for table in query.find_all(exp.Table) if table.db == STAGING}


def _check_columns(columns: Sequence[str]) -> None:
    for name in columns:
        # ASCII only: SQLite compares other letters with their case, SQL Server without it.
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name):
            raise refused(
                "column",
                name,
                "a letter of a-z, then letters, digits and _, as in COUNT(*) AS schools; 100 at most",
            )
    # Both engines compare column names without case.
    names = [name.lower() for name in columns]
    if twice := [name for name in columns if names.count(name.lower()) > 1]:
        raise ConfigurationError(
            f"two columns have one name, {twice[0]}: rename one of them, as in AS {twice[0]}_2"
        )


def _cast(query: exp.Query, types: Mapping[str, str]) -> exp.Query:
    """Apply the types that the file declares, in every SELECT of a UNION."""
    for select in selects_of(query):
        for name, column in zip(
            [column.alias_or_name for column in query.selects], list(select.selects), strict=True
        ):
            if name in types:
                cast = exp.cast(column.unalias().copy(), types[name], dialect="tsql")
                column.replace(exp.alias_(cast, name))
    return query


def _derived(query: exp.Query, key: Sequence[str], catalog: Catalog) -> Derivation:
    types = types_of(catalog)
    nullable = {
        name: frozenset(column.field.name for column in entity.columns if column.stored.nullable)
        for name, entity in catalog.entities.items()
    }
    try:
        flats = Flattener(types, nullable).flatten(query)
        # With `prefer`, readers see one source's row of a key, so that a change in one source shows or hides
        # others.
        shared = {
            name: entity.key for name, entity in catalog.entities.items() if entity.prefer and entity.key
        }
        derivation = replace(derive(flats, key, types), shared_keys=shared)
    except NotFlatError as error:
        raise only_full(str(error)) from None
    for reason in unordered(query):
        raise only_full(reason)
    return derivation


_FLOATS = (exp.DType.FLOAT, exp.DType.DOUBLE)


def unordered(query: Expression) -> Iterator[str]:
    """Yield the parts of a SELECT whose value depends on an order of rows that the SELECT leaves open.

    Needs annotated types.
    """
    for node in query.walk():
        if isinstance(node, exp.GroupConcat) and not isinstance(node.this, exp.Order):
            yield "STRING_AGG without WITHIN GROUP (ORDER BY ...) gives texts in any order"
        elif isinstance(node, exp.Window) and _has_no_column(node.args.get("order")):
            yield f"{node.sql('tsql')[:60]} takes rows in any order: ORDER BY a column"
        elif isinstance(node, exp.Select) and _depends_on_order(node) and not node.args.get("order"):
            yield "TOP without ORDER BY takes rows in any order: ORDER BY columns that identify them"
        elif isinstance(node, (exp.Sum, exp.Avg)) and _is_float(node.this):
            # Floating-point addition is not associative: a rebuild could differ in the last digits.
            yield (
                f"{node.sql('tsql')[:60]} of a FLOAT depends on the order in which rows are added: "
                "CAST it to a DECIMAL first"
            )


def _has_no_column(order: Expression | None) -> bool:
    return order is not None and order.find(exp.Column) is None


def _depends_on_order(node: exp.Select) -> bool:
    """Return whether the SELECT has TOP whose choice of rows shows; in EXISTS it does not."""
    return bool(node.args.get("limit")) and not isinstance(node.parent, exp.Exists)


def _is_float(node: Expression) -> bool:
    inner = node.expressions[0] if isinstance(node, exp.Distinct) else node
    return inner.type is not None and inner.type.this in _FLOATS
