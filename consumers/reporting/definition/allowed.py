"""Checks of what a report's SELECT may contain: its syntax, tables and functions (columns: column_checks.py).

They run before anything is built from the SELECT, and each refusal names what to write instead. What only a
server knows (tables of other schemas, their types) is left to the server.
"""

from __future__ import annotations

from difflib import get_close_matches
from unicodedata import category

from sqlglot import exp

from consumers.reporting.definition.body import location, location_within
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
    """Check the syntax, tables and functions of a SELECT before it is qualified.

    Raises ConfigurationError.
    """
    _check_words(query)
    _check_joins(query)
    _check_tables(query, types, is_full)
    _check_functions(query, is_full)


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
            raise only_full(f"{location_within(applied)}{shortened(applied.this)} is a table-valued function")


def _check_table(table: exp.Table, types: Types, is_full: bool) -> None:
    where, called = location(table.this) or location_within(table), shortened(_bare(table))
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


def shortened(tree: exp.Expr) -> str:
    """Return the T-SQL of a tree, cut to 60 characters, for error texts."""
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
            f"{where}{shortened(node.parent)} is a function of the database: what it reads is not seen here"
        )
    if name not in KNOWN:
        near = get_close_matches(name, KNOWN, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise only_full(f"{where}function: found {name}; {hint}allowed: deterministic functions")


def _changing(name: str) -> ConfigurationError:
    return only_full(f"{name} returns a different value each time; @{AS_OF} is the time of the refresh")
