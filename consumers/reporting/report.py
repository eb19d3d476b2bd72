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
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError, TokenError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from consumers.reporting.derive import Derivation, Types, derive
from consumers.reporting.flatten import Flattener, NotFlatError
from consumers.reporting.functions import changing, unordered
from consumers.warehouse.mssql_sql import MAX_SOURCE
from consumers.warehouse.mssql_values import storage_of
from schemas.entity import Catalog
from schemas.errors import ConfigurationError
from schemas.refusals import missing, only_known, refused, snake_case, unknown

PROPERTIES = ("table", "key", "refresh", "types")
STAGING = "staging"
AS_OF = "as_of"

_HEADER = re.compile(r"\s*/\*\s*headwater\b(?P<properties>.*?)\*/", re.DOTALL | re.IGNORECASE)
_EVERY = re.compile(r"full every (?P<minutes>[1-9]\d{0,4}) minutes?")
_DATENAME = re.compile(r"\bdatename\s*\(\s*(?P<part>\w+)", re.IGNORECASE)
_STATEMENT = re.compile(
    r"(^|;)\s*(alter|create|delete|drop|exec|execute|grant|insert|merge|truncate|update|use)\b", re.IGNORECASE
)
UNITS = "units"
"""What a refresh calls its units beside the tables of FROM."""


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
    def definition(self) -> str:
        """What its table is made of: two files with one definition need one table."""
        types = ", ".join(f"{name} {given}" for name, given in sorted(self.types.items()))
        return f"{self.query.sql('tsql')} -- key {', '.join(self.key)}; types {types}; every {self.minutes}"


def read_report(name: str, text: str, catalog: Catalog) -> Report:
    """The report of a file of this name (without .sql). Raises ConfigurationError that names the line and
    what would help."""
    properties, body = _split(text)
    name = snake_case("table", properties.get("table", name))
    if name in catalog.entities:
        raise refused("table", name, "a name that no entity has")
    minutes = _minutes(properties.get("refresh"))
    query = _qualified(_parsed(body), catalog, is_full=minutes is not None)
    columns = tuple(each.alias_or_name for each in query.selects)
    _check_columns(columns)
    key = _key(properties, columns)
    query = _cast(query, types := _types(properties, columns))
    derivation = None if minutes else _derived(query, key, catalog)
    entities = sorted(derivation.images if derivation else _staging(query))
    return Report(name, key, columns, query, types, tuple(entities), derivation, minutes)


def _split(text: str) -> tuple[Mapping[str, Any], str]:
    """The properties, and the rest with its lines where they stand in the file."""
    header = _HEADER.match(text)
    if header is None:
        raise ConfigurationError(
            'the file does not begin with a comment: /* headwater, key = ["town"], */, on lines of their own'
        )
    try:
        properties = tomllib.loads(header["properties"])
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the comment at the beginning is not TOML: {error}") from None
    only_known("the comment at the beginning", properties, PROPERTIES)
    return properties, "\n" * text[: header.end()].count("\n") + text[header.end() :]


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
        try:
            exp.DataType.build(each, dialect="tsql", udt=False)
        except (ParseError, ValueError, AttributeError, TypeError):
            raise refused(f"types, {name}", each, "a type of T-SQL, such as DECIMAL(12,2)") from None
    return given


# The SELECT


def _parsed(body: str) -> exp.Query:
    try:
        _check_comments(body)
        _check_names_of_days(body)
        statements = [each for each in sqlglot.parse(body, read="tsql") if each is not None]
    except ParseError as error:
        found = error.errors[0]
        place = f"line {found['line']}, column {found['col']}"
        raise ConfigurationError(f"{place}: {found['description']}, near {found['highlight']!r}") from None
    except TokenError as error:
        raise ConfigurationError(f"the SELECT can't be read: {str(error).splitlines()[0]}") from None
    if len(statements) != 1:
        raise ConfigurationError(f"{len(statements)} statements after the comment: a report is one SELECT")
    (query,) = statements
    if not isinstance(query, (exp.Select, exp.SetOperation)) or query.find(exp.Into, exp.Command):
        raise ConfigurationError(f"{query.key.upper()}: a report is one SELECT, and changes nothing")
    if query.args.get("for_"):
        raise ConfigurationError("FOR at the end makes one text of all rows: a report is a table")
    if query.args.get("order") and not query.args.get("limit"):
        raise ConfigurationError("ORDER BY at the end: a table has no order, whoever reads it says one")
    return query


def _check_names_of_days(body: str) -> None:
    """sqlglot writes DATENAME as FORMAT, which has the same text of these parts alone."""
    for found in _DATENAME.finditer(body):
        if found["part"].lower() not in ("month", "mm", "m", "weekday", "dw", "w", "year", "yyyy"):
            line = body[: found.start()].count("\n") + 1
            raise ConfigurationError(f"line {line}: DATENAME({found['part']}, ...): say DATEPART, as a text")


def _check_comments(body: str) -> None:
    """What stands in a comment is for people: a statement there is one that somebody may send."""
    for token in sqlglot.tokenize(body, read="tsql"):
        for comment in token.comments:
            if "/*" in comment or _STATEMENT.search(comment):
                raise ConfigurationError(
                    f"line {token.line}: a comment holds what may be a statement, or another comment"
                )


def _qualified(query: exp.Query, catalog: Catalog, is_full: bool) -> exp.Query:
    labels = {each.alias_or_name.lower(): each.alias_or_name for each in query.selects}
    for node in query.walk():
        node.comments = None
    _check_tables(query, catalog, is_full)
    _check_functions(query, is_full)
    _check_columns_of_tables(query, catalog)
    try:
        made = qualify(
            query,
            schema={STAGING: {name: dict(types) for name, types in types_of(catalog).items()}},
            dialect="tsql",
            quote_identifiers=False,
            validate_qualify_columns=False,
        )
    except OptimizeError as error:
        raise ConfigurationError(f"the SELECT: {error}") from None
    assert isinstance(made, exp.Query)
    for each in made.selects:
        if isinstance(each, exp.Alias):
            each.set("alias", exp.to_identifier(labels.get(each.alias, each.alias)))
    if not is_full:
        _check_known(made, catalog)
    annotate_types(made, schema={STAGING: types_of(catalog)}, dialect="tsql")
    return made


def types_of(catalog: Catalog) -> Types:
    """What the columns of each entity's view are in SQL Server."""
    return {
        name: {
            **{column.field.name: storage_of(column.stored).sql_type for column in entity.columns},
            "_source": f"NVARCHAR({MAX_SOURCE})",
        }
        for name, entity in catalog.entities.items()
    }


def _staging(query: exp.Query) -> set[str]:
    return {table.name for table in query.find_all(exp.Table) if table.db == STAGING}


def _check_tables(query: exp.Query, catalog: Catalog, is_full: bool) -> None:
    ctes = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        place = _place(table.this)
        if table.alias_or_name.lower() == UNITS and not is_full:
            raise ConfigurationError(
                f"{place}{UNITS} is a name of Headwater's own there: say another one, AS u"
            )
        if table.db.lower() == STAGING and not table.catalog:
            if table.name.lower() not in catalog.entities:
                raise unknown(f"{place}staging", table.name, catalog.entities)
        elif not (is_full or (not table.db and table.name.lower() in ctes)):
            raise _only_full(
                f"{place}{table.sql('tsql')} is no table of staging: its changes are not seen here"
            )


def _check_functions(query: exp.Query, is_full: bool) -> None:
    for parameter in query.find_all(exp.Parameter):
        if parameter.name.lower() != AS_OF:
            raise unknown("variable", f"@{parameter.name}", [f"@{AS_OF}"])
    if is_full:
        return
    if query.find(exp.Parameter):
        raise _only_full(f"@{AS_OF} is another time each time")
    for reason in changing(query):
        raise _only_full(reason)


def _check_columns_of_tables(query: exp.Query, catalog: Catalog) -> None:
    """`alias.column` where the alias is that of an entity."""
    types = types_of(catalog)
    for scope in traverse_scope(query):
        tables = {name.lower(): source for name, source in scope.sources.items()}
        for column in scope.columns:
            source = tables.get(column.table.lower())
            if isinstance(source, exp.Table) and source.db.lower() == STAGING:
                known = types[source.name.lower()]
                if column.name.lower() not in known:
                    raise unknown(f"{_place(column.this)}column", column.name, known)


def _check_known(query: exp.Query, catalog: Catalog) -> None:
    """Every column that stands without a table after qualifying is none that there is."""
    names = {name for types in types_of(catalog).values() for name in types}
    for column in query.find_all(exp.Column):
        if not column.table:
            raise unknown(f"{_place(column.this)}column", column.name, sorted(names))


def _place(identifier: exp.Expr | None) -> str:
    meta = identifier.meta if identifier is not None else {}
    return f"line {meta['line']}, column {meta['col']}: " if "line" in meta else ""


def _check_columns(columns: Sequence[str]) -> None:
    for name in columns:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name):
            raise refused("column", name, "a name for each: letters, digits and _, as in COUNT(*) AS schools")
    if len({name.lower() for name in columns}) != len(columns):
        raise ConfigurationError("two columns have one name")


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


def selects_of(query: exp.Expr) -> Iterator[exp.Select]:
    query = query.unnest()
    if isinstance(query, exp.SetOperation):
        yield from selects_of(query.this)
        yield from selects_of(query.expression)
    elif isinstance(query, exp.Select):
        yield query


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
        raise _only_full(str(error)) from None
    for reason in unordered(query):
        raise _only_full(reason)
    return derivation


def _only_full(reason: str) -> ConfigurationError:
    return ConfigurationError(
        f'{reason}. So it can\'t be kept change by change: say refresh = "full every 30 minutes" in the '
        "comment at the beginning, or change the SELECT"
    )
