"""What a report's SELECT may name and say: checked before anything is made of it, and each refusal says what
to write instead. What a server alone can tell (tables of other schemas, types) it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from unicodedata import category

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from consumers.reporting.definition.body import place, place_within, selects_of
from consumers.reporting.definition.derive import Types
from consumers.reporting.definition.functions import CHANGING_NAMES, ELSEWHERE, KNOWN, is_changing
from schemas.errors import ConfigurationError
from schemas.refusals import shown, unknown

STAGING = "staging"
AS_OF = "as_of"
UNITS = "units"
"""What a refresh calls its units beside the tables of FROM."""


def only_full(reason: str) -> ConfigurationError:
    """The refusal of what can't be kept change by change, and can be made anew each time."""
    return ConfigurationError(
        f'{reason}. So it can\'t be kept change by change: say refresh = "full every 30 minutes" in the '
        "comment at the beginning, or change the SELECT"
    )


def check_said(query: exp.Query, types: Types, is_full: bool) -> None:
    """The words, tables, functions and columns of a SELECT as it was parsed. Raises ConfigurationError."""
    _check_words(query)
    _check_joins(query)
    _check_tables(query, types, is_full)
    _check_functions(query, is_full)
    _check_named(query)
    _check_stars(query, types)
    _check_aliases(query, types)


def is_open(query: exp.Query) -> bool:
    """Whether it reads what is not of staging: of that only the server knows the columns."""
    ctes = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    return any(
        table.db.lower() != STAGING and (table.db or table.name.lower() not in ctes)
        for table in query.find_all(exp.Table)
    ) or any(
        isinstance(each, exp.Pivot) or not isinstance(each.this, exp.Subquery)
        for each in query.find_all(exp.Lateral, exp.Pivot)
    )


# Words


def _check_words(query: exp.Query) -> None:
    for node in query.walk():
        if isinstance(node, exp.Query):
            _check_ends(node)
        if isinstance(node, exp.WithTableHint):
            raise ConfigurationError(
                f"WITH ({node.expressions[0].sql('tsql')}): leave hints out: a refresh reads one "
                "snapshot, and waits for nobody"
            )
        if isinstance(node, exp.Placeholder):
            raise ConfigurationError(
                f"{node.sql('tsql')} stands for a value that nobody gives: write the value, or "
                f"@{AS_OF} for the time of a refresh"
            )
        if isinstance(node, exp.NextValueFor):
            raise ConfigurationError(
                "NEXT VALUE FOR changes its sequence: ROW_NUMBER() OVER (PARTITION BY ... ORDER BY ...) "
                "gives numbers"
            )
        if isinstance(node, exp.Identifier) and not node.quoted and _is_money(node.name):
            raise ConfigurationError(
                f"{place(node)}{node.name} begins a number of type MONEY: write it without the sign, as in "
                "CAST(5.20 AS DECIMAL(19, 4))"
            )


def _is_money(name: str) -> bool:
    """No name begins so in T-SQL unless it is quoted; `$IDENTITY` and its like are other words."""
    return category(name[:1] or " ") == "Sc" and not name[1:2].isalpha()


def _check_ends(query: exp.Query) -> None:
    """What may stand at the end of a SELECT."""
    if query.args.get("options"):
        raise ConfigurationError(
            "OPTION (...): leave it out: the SELECT becomes part of other statements, with their own plans"
        )
    if given := query.args.get("for_"):
        kind = given.args.get("kind") if isinstance(given, exp.Expr) else "XML"
        raise ConfigurationError(
            f"FOR {kind} makes one text of a table: write its columns, or STRING_AGG(x.name, ',') for a list"
        )
    if (group := query.args.get("group")) and group.args.get("all"):
        raise ConfigurationError("GROUP BY ALL: say GROUP BY and the columns")
    inside = query.parent is not None and not isinstance(query, exp.Subquery)
    if inside and query.args.get("order") and not (query.args.get("limit") or query.args.get("offset")):
        raise ConfigurationError("ORDER BY in an inner SELECT without TOP orders nothing: leave it out")


def _check_joins(query: exp.Query) -> None:
    for join in query.find_all(exp.Join):
        where = place_within(join.this)
        if join.args.get("method") or join.args.get("using"):
            said = "NATURAL JOIN" if join.args.get("method") else "JOIN ... USING"
            raise ConfigurationError(f"{where}{said} is not T-SQL: say ON with both columns")
        if join.args.get("hint"):
            raise ConfigurationError(
                f"{where}{join.args['hint']} JOIN: leave hints out: INNER JOIN or LEFT JOIN alone"
            )
        needs_on = bool(join.side) or join.kind == "INNER"
        if needs_on and not join.args.get("on") and not isinstance(join.this, exp.Lateral):
            raise ConfigurationError(f"{where}a JOIN without ON: say which columns must be the same")


# Tables


def _check_tables(query: exp.Query, types: Types, is_full: bool) -> None:
    ctes = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if not table.db and table.name.lower() in ctes:
            continue
        _check_table(table, types, is_full)
    for named in () if is_full else query.find_all(exp.Table, exp.Subquery, exp.Lateral):
        if named.alias_or_name.lower() == UNITS:
            raise ConfigurationError(
                f"{place_within(named)}{UNITS} is a name of Headwater's own there: say another one, AS u"
            )
    if not is_full and query.find(exp.Pivot):
        raise only_full(
            "PIVOT makes columns of rows, and is not followed: SUM(CASE WHEN x.kind = 'a' THEN 1 ELSE 0 END) "
            "AS a for each, with GROUP BY, is"
        )
    for applied in () if is_full else query.find_all(exp.Lateral):
        if not isinstance(applied.this, exp.Subquery):
            raise only_full(f"{place_within(applied)}{_short(applied.this)} is a function that makes rows")


def _check_table(table: exp.Table, types: Types, is_full: bool) -> None:
    where, called = place(table.this) or place_within(table), _short(_bare(table))
    _check_here(table, where, called)
    if table.db.lower() == STAGING:
        _check_staging(table, where, called, types)
    elif not table.db and not isinstance(table.this, exp.Anonymous):
        raise _without_schema(table, where, types)
    elif not is_full:
        raise only_full(f"{where}{called} is no table of staging: its changes are not seen here")
    if not is_full and table.args.get("sample"):
        raise only_full(f"{where}TABLESAMPLE gives other rows each time")


def _check_here(table: exp.Table, where: str, called: str) -> None:
    """What no refresh can read."""
    if isinstance(table.this, exp.Parameter):
        raise ConfigurationError(f"{where}{called} is a variable: a CTE takes its place")
    if isinstance(table.this, exp.Anonymous) and table.this.name.upper() in ELSEWHERE:
        raise ConfigurationError(f"{where}{called} reads another server: bring its rows in as an entity")
    if table.catalog or isinstance(table.this, exp.Dot):
        raise ConfigurationError(
            f"{where}{called} is in another database: say {STAGING}.<entity>, or a view of this one"
        )
    if table.this.args.get("temporary") or table.this.args.get("global_"):
        raise ConfigurationError(f"{where}{called} is a table of one session: a CTE takes its place")


def _check_staging(table: exp.Table, where: str, called: str, types: Types) -> None:
    if not isinstance(table.this, exp.Identifier) or table.name.lower() not in types:
        named = table.name or called.partition(".")[2]
        raise unknown(f"{where}{STAGING}", named, types)
    if table.args.get("version"):
        raise ConfigurationError(
            f"{where}FOR SYSTEM_TIME: staging has the present alone; an entity with history = true has "
            f"history.{table.name}_at(@t)"
        )


def _without_schema(table: exp.Table, where: str, types: Types) -> ConfigurationError:
    near = get_close_matches(table.name.lower(), list(types), n=1)
    hint = f"did you mean {shown(f'{STAGING}.{near[0]}')}? " if near else ""
    return ConfigurationError(
        f"{where}found {shown(table.name)}; {hint}allowed: a table with its schema, as in "
        f"{STAGING}.{next(iter(types), 'school')}"
    )


def _bare(table: exp.Table) -> exp.Table:
    """Without its alias and what hangs on it."""
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
            raise only_full(f"@{AS_OF} is another time each time")
        if isinstance(node, exp.Anonymous):
            _check_function(node)
        elif is_changing(node):
            raise _changing(node.sql("tsql"))


def _check_function(node: exp.Anonymous) -> None:
    name, where = node.name.upper(), place(node)
    if name in CHANGING_NAMES:
        raise _changing(name)
    if isinstance(node.parent, exp.Dot):
        raise only_full(
            f"{where}{_short(node.parent)} is a function of the database: what it reads is not seen here"
        )
    if name not in KNOWN:
        near = get_close_matches(name, KNOWN, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise only_full(f"{where}function: found {name}; {hint}allowed: what gives the same each time")


def _changing(name: str) -> ConfigurationError:
    return only_full(f"{name} gives another value each time; @{AS_OF} is the time of the refresh")


# Columns


def _check_named(query: exp.Query) -> None:
    """Each column has a name, each UNION as many on both sides."""
    for operation in query.find_all(exp.SetOperation):
        counts = [
            len(each.selects)
            for each in selects_of(operation)
            if not any(_is_star(one) for one in each.selects)
        ]
        if len(set(counts)) > 1:
            raise ConfigurationError(
                f"the SELECTs of a {operation.key.upper()} have {' and '.join(map(str, counts))} columns: "
                "each has the same ones, NULL where it has nothing for one"
            )
    first = next(selects_of(query), None)
    for each in first.selects if first is not None else ():
        if not _is_star(each) and not isinstance(each, (exp.Alias, exp.Column)):
            raise ConfigurationError(
                f"{place_within(each)}{_short(each)} has no name: say {_short(each)} AS and a name"
            )
        if isinstance(each, exp.Column) and each.name.startswith("_"):
            own = each.name.lstrip("_")
            raise ConfigurationError(
                f"{place(each.this)}{each.name}: names of a report's columns begin with a letter: say "
                f"{each.sql('tsql')} AS {own}"
            )


def _is_star(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))


def _check_stars(query: exp.Query, types: Types) -> None:
    """A column that is added to staging is not to make another table of the report."""
    if not any(_is_star(each) for select in selects_of(query) for each in select.selects):
        return
    for select in query.find_all(exp.Select):
        if any(_is_star(each) for each in select.selects) and not isinstance(select.parent, exp.Exists):
            tables = [each for each in _from(select) if each.db.lower() == STAGING]
            if tables:
                named = ", ".join(
                    f"{table.alias_or_name}.{name}"
                    for table in tables
                    for name in types[table.name.lower()]
                    if not name.startswith("_")
                )
                raise ConfigurationError(
                    "SELECT *: a report says its columns, so that one more in staging does not change its "
                    f"table: say {named}"
                )


def _from(select: exp.Select) -> Iterator[exp.Table]:
    sources = [select.args.get("from_"), *(select.args.get("joins") or [])]
    for each in filter(None, sources):
        if isinstance(each.this, exp.Table):
            yield each.this


def _check_aliases(query: exp.Query, types: Types) -> None:
    """`alias.column`: the alias is of FROM, the column is its table's."""
    for scope in traverse_scope(query):
        for column in scope.columns:
            if column.table:
                known = _known_of(scope, column, types)
                if known is not None and column.name.lower() not in {name.lower() for name in known}:
                    raise unknown(f"{place(column.this)}column", column.name, known)


def _known_of(scope: Scope, column: exp.Column, types: Types) -> list[str] | None:
    """The columns of what its alias stands for; None where that is not known here."""
    seen: dict[str, object] = {}
    for around in _around(scope):
        for name, source in around.sources.items():
            if name:
                seen.setdefault(name.lower(), source)
    if column.table.lower() not in seen:
        if scope.expression.find(exp.Pivot, exp.Lateral) or column.find_ancestor(exp.Lateral):
            return None
        raise unknown(f"{place(column.args['table'])}alias", column.table, seen)
    return _columns_of(seen[column.table.lower()], types)


def _around(scope: Scope) -> Iterator[Scope]:
    """The scope, and those whose tables it sees."""
    yield scope
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
        given = source.expression.parent
        renamed = given.args.get("alias") if given is not None else None
        if any(_is_star(each) for each in selects) or (renamed is not None and renamed.args.get("columns")):
            return None
        return [each.alias_or_name for each in selects]
    return None


def check_known(query: exp.Query, types: Types) -> None:
    """Every column of a qualified query has a table; else it is none, or there are several."""
    for scope in traverse_scope(query):
        for column in scope.columns:
            if not column.table and not _is_ordered_by_name(column):
                raise _unowned(scope, column, types)
    for column in query.find_all(exp.Column):
        if not (column.table or isinstance(column.this, exp.Star) or _is_ordered_by_name(column)):
            names = {name for each in types.values() for name in each}
            raise unknown(f"{place(column.this)}column", column.name, sorted(names))


def _is_ordered_by_name(column: exp.Column) -> bool:
    """ORDER BY may say what the SELECT calls a column."""
    order = column.find_ancestor(exp.Order, exp.Query)
    select = order.parent if isinstance(order, exp.Order) else None
    return isinstance(select, exp.Query) and column.name in select.named_selects


def unfound(query: exp.Query, name: str) -> ConfigurationError:
    """For a column that no SELECT or function in FROM gives."""
    named = (each for each in query.find_all(exp.Column) if each.name.lower() == name.lower())
    where = next((place(each.this) for each in named), "")
    return ConfigurationError(f"{where}column: found {shown(name)}; nothing in FROM has it")


def _unowned(scope: Scope, column: exp.Column, types: Types) -> ConfigurationError:
    owned: Mapping[str, list[str]] = {
        name: _columns_of(source, types) or [] for name, (_, source) in scope.selected_sources.items()
    }
    owners = [name for name, names in owned.items() if column.name in names]
    if len(owners) > 1:
        said = " or ".join(f"{owner}.{column.name}" for owner in owners)
        return ConfigurationError(
            f"{place(column.this)}column {column.name} is in several tables: say {said}"
        )
    names = dict.fromkeys(name for each in owned.values() for name in each)
    return unknown(f"{place(column.this)}column", column.name, names)
