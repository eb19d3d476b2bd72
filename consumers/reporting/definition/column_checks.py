"""Checks of the columns of a report's SELECT: their names, stars, aliases and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from consumers.reporting.definition.allowed import STAGING, shortened
from consumers.reporting.definition.body import location, location_within, selects_of
from consumers.reporting.definition.derive import Types
from schemas.errors import ConfigurationError
from schemas.refusals import shown, unknown


def check_columns(query: exp.Query, types: Types) -> None:
    """Check the columns of a SELECT before it is qualified. Raises ConfigurationError."""
    _check_named(query)
    _check_stars(query, types)
    _check_aliases(query, types)


def _check_named(query: exp.Query) -> None:
    """Check that every column has a name and that both sides of a UNION have as many columns."""
    for operation in query.find_all(exp.SetOperation):
        counts = [
            len(select.selects)
            for select in selects_of(operation)
            if not any(_is_star(column) for column in select.selects)
        ]
        if len(set(counts)) > 1:
            raise ConfigurationError(
                f"the SELECTs of a {operation.key.upper()} have {' and '.join(map(str, counts))} columns: "
                "give each the same columns, with NULL where it has no value"
            )
    first = next(selects_of(query), None)
    for column in first.selects if first is not None else ():
        if not _is_star(column) and not isinstance(column, (exp.Alias, exp.Column)):
            raise ConfigurationError(
                f"{location_within(column)}{shortened(column)} has no name: "
                f"write {shortened(column)} AS and a name"
            )
        if isinstance(column, exp.Column) and column.name.startswith("_"):
            letters = column.name.lstrip("_")
            raise ConfigurationError(
                f"{location(column.this)}{column.name}: names of a report's columns begin with a letter: "
                f"write {column.sql('tsql')} AS {letters}"
            )


def _is_star(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))


def _check_stars(query: exp.Query, types: Types) -> None:
    """Refuse SELECT * over staging.

    A column added to staging would otherwise change the report's table.
    """
    if not any(_is_star(column) for select in selects_of(query) for column in select.selects):
        return
    for select in query.find_all(exp.Select):
        # EXISTS (SELECT * ...) reads no columns, and a star over a CTE is bounded by the columns that the CTE
        # lists.
        if any(_is_star(column) for column in select.selects) and not isinstance(select.parent, exp.Exists):
            tables = [table for table in _from(select) if table.db.lower() == STAGING]
            if tables:
                named = ", ".join(
                    f"{table.alias_or_name}.{name}"
                    for table in tables
                    for name in types[table.name.lower()]
                    if not name.startswith("_")
                )
                raise ConfigurationError(
                    "SELECT *: a report lists its columns, so that a new one in staging does not change its "
                    f"table: write {named}"
                )


def _from(select: exp.Select) -> Iterator[exp.Table]:
    sources = [select.args.get("from_"), *(select.args.get("joins") or [])]
    for source in filter(None, sources):
        if isinstance(source.this, exp.Table):
            yield source.this


def _check_aliases(query: exp.Query, types: Types) -> None:
    """Check `alias.column`: the alias is in FROM, and its table has the column."""
    for scope in traverse_scope(query):
        for column in scope.columns:
            if column.table:
                known = _known_of(scope, column, types)
                if known is not None and column.name.lower() not in {name.lower() for name in known}:
                    raise unknown(f"{location(column.this)}column", column.name, known)


def _known_of(scope: Scope, column: exp.Column, types: Types) -> list[str] | None:
    """Return the columns of the table that an alias refers to; None where they are not known here."""
    seen: dict[str, object] = {}
    for around in _around(scope):
        for name, source in around.sources.items():
            if name:
                # The innermost scope comes first and hides equal aliases outside.
                seen.setdefault(name.lower(), source)
    if column.table.lower() not in seen:
        # PIVOT and APPLY introduce aliases that sqlglot's scopes do not list.
        if scope.expression.find(exp.Pivot, exp.Lateral) or column.find_ancestor(exp.Lateral):
            return None
        raise unknown(f"{location(column.args['table'])}alias", column.table, seen)
    return _columns_of(seen[column.table.lower()], types)


def _around(scope: Scope) -> Iterator[Scope]:
    """Yield the scope and the outer scopes whose tables it can reference."""
    yield scope
    # A derived table or a CTE does not see its surroundings; an APPLY or a sub-query in an expression does.
    while scope.parent is not None and not (scope.is_derived_table or scope.is_cte):
        scope = scope.parent
        yield scope


def _columns_of(source: object, types: Types) -> list[str] | None:
    if isinstance(source, exp.Table):
        if source.db.lower() != STAGING or source.args.get("pivots"):
            return None
        return list(types[source.name.lower()])
    if isinstance(source, Scope) and isinstance(source.expression, exp.Query):
        selects = source.expression.selects
        parent = source.expression.parent
        renamed = parent.args.get("alias") if parent is not None else None
        # With a star, or with names as in `AS x (a, b)`, the output names are not those of the SELECT.
        if any(_is_star(column) for column in selects) or (
            renamed is not None and renamed.args.get("columns")
        ):
            return None
        return [column.alias_or_name for column in selects]
    return None


def check_known(query: exp.Query, types: Types) -> None:
    """Check that every column of a qualified query belongs to exactly one table. Raises
    ConfigurationError."""
    for scope in traverse_scope(query):
        for column in scope.columns:
            if not column.table and not _is_ordered_by_name(column):
                raise _unowned(scope, column, types)
    for column in query.find_all(exp.Column):
        if not (column.table or isinstance(column.this, exp.Star) or _is_ordered_by_name(column)):
            names = {name for columns in types.values() for name in columns}
            raise unknown(f"{location(column.this)}column", column.name, sorted(names))


def _is_ordered_by_name(column: exp.Column) -> bool:
    """Return whether the column is an output name in ORDER BY."""
    order = column.find_ancestor(exp.Order, exp.Query)
    select = order.parent if isinstance(order, exp.Order) else None
    return isinstance(select, exp.Query) and column.name in select.named_selects


def unknown_column(query: exp.Query, name: str) -> ConfigurationError:
    """Return the error for a column that nothing in FROM has."""
    named = (column for column in query.find_all(exp.Column) if column.name.lower() == name.lower())
    where = next((location(column.this) for column in named), "")
    return ConfigurationError(f"{where}column: found {shown(name)}; nothing in FROM has it")


def _unowned(scope: Scope, column: exp.Column, types: Types) -> ConfigurationError:
    owned: Mapping[str, list[str]] = {
        name: _columns_of(source, types) or [] for name, (_, source) in scope.selected_sources.items()
    }
    owners = [name for name, names in owned.items() if column.name in names]
    if len(owners) > 1:
        choices = " or ".join(f"{owner}.{column.name}" for owner in owners)
        return ConfigurationError(
            f"{location(column.this)}column {column.name} is in several tables: write {choices}"
        )
    names = dict.fromkeys(name for columns in owned.values() for name in columns)
    return unknown(f"{location(column.this)}column", column.name, names)
