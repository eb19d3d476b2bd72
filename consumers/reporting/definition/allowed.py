"""Checks of what a report's SELECT may contain: its syntax, tables, functions and columns.

They run before anything is built from the SELECT, and each refusal names what to write instead. What only a
server knows (tables of other schemas, their types) is left to the server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from unicodedata import category

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from consumers.reporting.definition.body import location, location_within, selects_of
from consumers.reporting.definition.derive import Types
from consumers.reporting.definition.functions import CHANGING_NAMES, ELSEWHERE, KNOWN, is_changing
from schemas.errors import ConfigurationError
from schemas.refusals import shown, unknown

STAGING = "staging"
AS_OF = "as_of"
UNITS = "units"
"""Alias of the units that a refresh joins beside the tables of FROM."""


def only_full(reason: str) -> ConfigurationError:
    """Return the refusal of a SELECT that only a full refresh can keep up to date."""
    return ConfigurationError(
        f'{reason}. So it can\'t be kept change by change: set refresh = "full every 30 minutes" in the '
        "comment at the beginning, or change the SELECT"
    )


def check_allowed(query: exp.Query, types: Types, is_full: bool) -> None:
    """Check the syntax, tables, functions and columns of a SELECT before it is qualified.

    Raises ConfigurationError.
    """
    _check_words(query)
    _check_joins(query)
    _check_tables(query, types, is_full)
    _check_functions(query, is_full)
    _check_named(query)
    _check_stars(query, types)
    _check_aliases(query, types)


def reads_unknown_columns(query: exp.Query) -> bool:
    """Return whether the query reads something outside staging, whose columns only the server knows."""
    ctes = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    return any(
        table.db.lower() != STAGING and (table.db or table.name.lower() not in ctes)
        for table in query.find_all(exp.Table)
    ) or any(
        isinstance(node, exp.Pivot) or not isinstance(node.this, exp.Subquery)
        for node in query.find_all(exp.Lateral, exp.Pivot)
    )


# Words


def _check_words(query: exp.Query) -> None:
    for node in query.walk():
        if isinstance(node, exp.Query):
            _check_ends(node)
        if isinstance(node, exp.WithTableHint):
            raise ConfigurationError(
                f"WITH ({node.expressions[0].sql('tsql')}): leave hints out: a refresh reads one "
                "snapshot, and waits for no lock"
            )
        if isinstance(node, exp.Placeholder):
            raise ConfigurationError(
                f"{node.sql('tsql')} is a parameter, and a refresh passes none: write the value, or "
                f"@{AS_OF} for the time of a refresh"
            )
        if isinstance(node, exp.NextValueFor):
            raise ConfigurationError(
                "NEXT VALUE FOR changes its sequence: ROW_NUMBER() OVER (PARTITION BY ... ORDER BY ...) "
                "gives numbers"
            )
        if isinstance(node, exp.Identifier) and not node.quoted and _is_money(node.name):
            raise ConfigurationError(
                f"{location(node)}{node.name} begins a number of type MONEY: write it without the sign, "
                "as in CAST(5.20 AS DECIMAL(19, 4))"
            )


# sqlglot parses `$5` and `£5` as identifiers. A currency sign (Unicode category Sc) starts no unquoted name.
def _is_money(name: str) -> bool:
    """Return whether an unquoted identifier is a MONEY literal.

    `$IDENTITY` and similar words begin with the same sign.
    """
    return category(name[:1] or " ") == "Sc" and not name[1:2].isalpha()


def _check_ends(query: exp.Query) -> None:
    """Check the clauses at the end of a SELECT."""
    if query.args.get("options"):
        raise ConfigurationError(
            "OPTION (...): leave it out: the SELECT becomes part of other statements, with their own plans"
        )
    if for_ := query.args.get("for_"):
        kind = for_.args.get("kind") if isinstance(for_, exp.Expr) else "XML"
        raise ConfigurationError(
            f"FOR {kind} makes one text of a table: write its columns, or STRING_AGG(x.name, ',') for a list"
        )
    # sqlglot keeps GROUP BY ALL as a flag beside the expressions.
    if (group := query.args.get("group")) and group.args.get("all"):
        raise ConfigurationError("GROUP BY ALL: list the columns in GROUP BY")
    inside = query.parent is not None and not isinstance(query, exp.Subquery)
    if inside and query.args.get("order") and not (query.args.get("limit") or query.args.get("offset")):
        raise ConfigurationError("ORDER BY in an inner SELECT without TOP orders nothing: leave it out")


def _check_joins(query: exp.Query) -> None:
    for join in query.find_all(exp.Join):
        where = location_within(join.this)
        if join.args.get("method") or join.args.get("using"):
            syntax = "NATURAL JOIN" if join.args.get("method") else "JOIN ... USING"
            raise ConfigurationError(f"{where}{syntax} is not T-SQL: use ON with both columns")
        if join.args.get("hint"):
            raise ConfigurationError(
                f"{where}{join.args['hint']} JOIN: leave hints out: INNER JOIN or LEFT JOIN alone"
            )
        # sqlglot gives a comma join and CROSS JOIN neither a side nor the kind INNER.
        needs_on = bool(join.side) or join.kind == "INNER"
        if needs_on and not join.args.get("on") and not isinstance(join.this, exp.Lateral):
            raise ConfigurationError(f"{where}a JOIN without ON: add ON with the columns that must be equal")


# Tables


def _check_tables(query: exp.Query, types: Types, is_full: bool) -> None:
    ctes = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if not table.db and table.name.lower() in ctes:
            continue
        _check_table(table, types, is_full)
    # A full refresh runs the SELECT as it is, so it needs none of the checks that follow.
    for named in () if is_full else query.find_all(exp.Table, exp.Subquery, exp.Lateral):
        if named.alias_or_name.lower() == UNITS:
            raise ConfigurationError(
                f"{location_within(named)}{UNITS} is a name that Headwater itself uses: "
                "choose another alias, as in AS u"
            )
    if not is_full and query.find(exp.Pivot):
        raise only_full(
            "PIVOT can't be followed: use SUM(CASE WHEN x.kind = 'a' THEN 1 ELSE 0 END) "
            "AS a for each column, with GROUP BY"
        )
    for applied in () if is_full else query.find_all(exp.Lateral):
        if not isinstance(applied.this, exp.Subquery):
            raise only_full(f"{location_within(applied)}{_short(applied.this)} is a table-valued function")


def _check_table(table: exp.Table, types: Types, is_full: bool) -> None:
    where, called = location(table.this) or location_within(table), _short(_bare(table))
    _check_here(table, where, called)
    if table.db.lower() == STAGING:
        _check_staging(table, where, called, types)
    elif not table.db and not isinstance(table.this, exp.Anonymous):
        raise _without_schema(table, where, types)
    elif not is_full:
        raise only_full(f"{where}{called} is not a table of staging: its changes are not seen here")
    if not is_full and table.args.get("sample"):
        raise only_full(f"{where}TABLESAMPLE returns different rows each time")


def _check_here(table: exp.Table, where: str, called: str) -> None:
    """Refuse tables that no refresh can read: variables, other servers and databases, session tables."""
    if isinstance(table.this, exp.Parameter):
        raise ConfigurationError(f"{where}{called} is a variable: use a CTE instead")
    if isinstance(table.this, exp.Anonymous) and table.this.name.upper() in ELSEWHERE:
        raise ConfigurationError(f"{where}{called} reads another server: bring its rows in as an entity")
    if table.catalog or isinstance(table.this, exp.Dot):
        raise ConfigurationError(
            f"{where}{called} is in another database: use {STAGING}.<entity>, or a view of this one"
        )
    if table.this.args.get("temporary") or table.this.args.get("global_"):
        raise ConfigurationError(f"{where}{called} is a table of one session: use a CTE instead")


def _check_staging(table: exp.Table, where: str, called: str, types: Types) -> None:
    if not isinstance(table.this, exp.Identifier) or table.name.lower() not in types:
        named = table.name or called.partition(".")[2]
        raise unknown(f"{where}{STAGING}", named, types)
    if table.args.get("version"):
        raise ConfigurationError(
            f"{where}FOR SYSTEM_TIME: staging holds the present only; an entity with history = true has "
            f"history.{table.name}_at(@t)"
        )


def _without_schema(table: exp.Table, where: str, types: Types) -> ConfigurationError:
    # A bare name of an entity is the most common mistake.
    near = get_close_matches(table.name.lower(), list(types), n=1)
    hint = f"did you mean {shown(f'{STAGING}.{near[0]}')}? " if near else ""
    return ConfigurationError(
        f"{where}found {shown(table.name)}; {hint}allowed: a table with its schema, as in "
        f"{STAGING}.{next(iter(types), 'school')}"
    )


def _bare(table: exp.Table) -> exp.Table:
    """Return the table without its alias, hints and pivots."""
    return exp.Table(**{name: table.args.get(name) for name in ("this", "db", "catalog")}).copy()


def _short(tree: exp.Expr) -> str:
    text = tree.sql("tsql", normalize_functions=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


# Functions


def _check_functions(query: exp.Query, is_full: bool) -> None:
    for parameter in query.find_all(exp.Parameter):
        if parameter.name.lower() != AS_OF:
            raise unknown("variable", parameter.sql("tsql"), [f"@{AS_OF}"])
    for node in () if is_full else query.walk():
        if isinstance(node, exp.Parameter):
            raise only_full(f"@{AS_OF} is a different time at each refresh")
        if isinstance(node, exp.Anonymous):
            _check_function(node)
        # Functions that sqlglot models as node classes of their own; those it does not are Anonymous.
        elif is_changing(node):
            raise _changing(node.sql("tsql"))


def _check_function(node: exp.Anonymous) -> None:
    name, where = node.name.upper(), location(node)
    if name in CHANGING_NAMES:
        raise _changing(name)
    if isinstance(node.parent, exp.Dot):
        raise only_full(
            f"{where}{_short(node.parent)} is a function of the database: what it reads is not seen here"
        )
    if name not in KNOWN:
        near = get_close_matches(name, KNOWN, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise only_full(f"{where}function: found {name}; {hint}allowed: deterministic functions")


def _changing(name: str) -> ConfigurationError:
    return only_full(f"{name} returns a different value each time; @{AS_OF} is the time of the refresh")


# Columns


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
                f"{location_within(column)}{_short(column)} has no name: write {_short(column)} AS and a name"
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
