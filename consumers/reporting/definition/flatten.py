"""A report's SELECT taken apart: which rows of which entities stand together in it, and by what conditions.

What comes out has every combination of rows that the SELECT looks at, and more: a condition that the columns
of one combination do not tell is left out. It is for finding what a change may touch, where more is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from sqlglot import exp

from consumers.reporting.definition.functions import AGGREGATES
from consumers.reporting.definition.sql_types import declared, with_type
from schemas.errors import ConfigurationError

Expression: TypeAlias = exp.Expr
Outputs: TypeAlias = Mapping[str, "Expression | None"]
"""What a query gives under which name, in columns of places. None: not told by the columns of one combination
of rows, as an aggregate, a window and a sub-query are not."""
Environment: TypeAlias = Mapping[str, Outputs]
"""What may be named, by alias."""


class NotFlatError(ConfigurationError):
    """Why a query can't be kept up to date change by change."""


@dataclass(slots=True)
class Part:
    """Rows that stand together. A place is one mention of an entity; its columns are `place.column`."""

    places: dict[str, str] = field(default_factory=dict)
    """The entity of each place."""
    conditions: list[Expression] = field(default_factory=list)
    optionals: list[Part] = field(default_factory=list)
    """Right sides of left joins, each with its ON among the conditions."""
    witnesses: list[Part] = field(default_factory=list)
    """What sub-queries look at: no column of it is seen outside, but its rows decide."""

    def add(self, other: Part) -> None:
        """All of the other beside all of this."""
        self.places.update(other.places)
        self.conditions.extend(other.conditions)
        self.optionals.extend(other.optionals)
        self.witnesses.extend(other.witnesses)

    def copy(self) -> Part:
        """One that can be added to."""
        made = Part()
        made.add(self)
        return made


class Flat(NamedTuple):
    """One alternative of a query: UNION makes several."""

    part: Part
    outputs: Outputs


class _Cte(NamedTuple):
    query: Expression
    seen: Mapping[str, _Cte]


class _Seen(NamedTuple):
    """What a query sees: aliases of the queries around it, and CTEs."""

    aliases: Environment
    ctes: Mapping[str, _Cte]

    def beside(self, aliases: Environment) -> _Seen:
        return self._replace(aliases={**self.aliases, **aliases})


class Flattener:
    """Takes one qualified query apart."""

    def __init__(
        self, types: Mapping[str, Mapping[str, str]], nullable: Mapping[str, frozenset[str]]
    ) -> None:
        """Of each entity: the columns of its view with their types, and those of them that may be NULL."""
        self._types = types
        self._nullable = nullable
        self._entity_of: dict[str, str] = {}
        self._optional: set[str] = set()

    def flatten(self, query: exp.Query) -> list[Flat]:
        """Its alternatives. Raises NotFlatError."""
        return self._whole(query, _Seen({}, {}))

    def _whole(self, node: Expression, seen: _Seen) -> list[Flat]:
        """Of a query whose rows are all wanted."""
        if is_limited(node):
            raise NotFlatError("TOP picks from all rows")
        return self._query(node, seen)

    def _query(self, node: Expression, seen: _Seen) -> list[Flat]:
        node = node.unnest()
        if with_ := node.args.get("with_"):
            seen = seen._replace(ctes=_with(with_, seen.ctes))
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, seen)
        if not isinstance(node, exp.Select):
            raise NotFlatError(f"{node.key.upper()} stands where a SELECT is known")
        return [self._selected(node, part, seen.beside(aliases)) for part, aliases in self._from(node, seen)]

    def _set_operation(self, node: exp.SetOperation, seen: _Seen) -> list[Flat]:
        if not isinstance(node, exp.Union):
            raise NotFlatError(f"{node.key.upper()} compares whole tables: use EXISTS or NOT EXISTS")
        left, right = self._whole(node.this, seen), self._whole(node.expression, seen)
        names = list(left[0].outputs)
        return [*left, *(Flat(part, dict(zip(names, given.values(), strict=True))) for part, given in right)]

    # FROM

    def _from(self, node: exp.Select, seen: _Seen) -> Iterator[tuple[Part, Environment]]:
        """Each way in which the tables of FROM stand together, and what can be named of them."""
        made: list[tuple[Part, Environment]] = [(Part(), {})]
        for relation, on, is_optional in _relations(node):
            name = relation.alias_or_name
            made = [
                (
                    _joined(part, {**seen.aliases, **aliases, name: added.outputs}, added, on, is_optional),
                    {**aliases, name: self._missing(added) if is_optional else added.outputs},
                )
                for part, aliases in made
                for added in self._relation(relation, seen, aliases)
            ]
        yield from made

    def _missing(self, added: Flat) -> Outputs:
        """What the right side of a left join gives, NULL in all of it where nothing is found: a constant or
        COALESCE of it, too."""
        self._optional.update(_all_places(added.part))
        one = next(iter(added.part.places.items()), None)
        return {
            name: given if given is None or isinstance(given, exp.Column) else self._if_there(given, one)
            for name, given in added.outputs.items()
        }

    def _if_there(self, given: Expression, one: tuple[str, str] | None) -> Expression | None:
        """By a column that no row has NULL. None where there is no such column."""
        if one is None:
            return None
        place, entity = one
        there = typed_column("_source", place, self._types[entity]["_source"])
        made = exp.case().when(exp.Not(this=exp.Is(this=there, expression=exp.null())), given.copy())
        made.type = given.type
        return made

    def _relation(self, node: Expression, seen: _Seen, aliases: Environment) -> list[Flat]:
        _check_plain(node)
        match node:
            case exp.Lateral():
                return self._applied(node, seen.beside(aliases))
            case exp.Subquery():
                return self._whole(node.this, seen)
            case exp.Table() if not node.db:
                cte = seen.ctes[node.name]
                return self._whole(cte.query, _Seen({}, cte.seen))
            case exp.Table():
                return [self._place(node.name)]
        raise NotFlatError(f"{node.key.upper()} stands in FROM: entities and SELECTs are known there")

    def _applied(self, node: exp.Lateral, seen: _Seen) -> list[Flat]:
        """CROSS APPLY, OUTER APPLY. With TOP the row that is chosen hangs on all that it is chosen from."""
        made = self._query(node.this, seen)
        if is_limited(node.this):
            return [Flat(part, dict.fromkeys(outputs)) for part, outputs in made]
        return made

    def _place(self, entity: str) -> Flat:
        place = f"p{len(self._entity_of) + 1}"
        self._entity_of[place] = entity
        return Flat(
            Part({place: entity}),
            {name: typed_column(name, place, given) for name, given in self._types[entity].items()},
        )

    # SELECT

    def _selected(self, node: exp.Select, part: Part, seen: _Seen) -> Flat:
        where = node.args.get("where")
        part.conditions.extend(_inlined(where and where.this, seen.aliases))
        for sub_query in _sub_queries(node):
            part.witnesses.extend(self._witnesses(sub_query, seen))
        by = determining(node, seen.aliases)
        outputs = {
            each.alias_or_name: determined(inline(each.unalias(), seen.aliases), by) for each in node.selects
        }
        return Flat(Part(optionals=[part]) if _is_one_row(node) else part, outputs)

    def _witnesses(self, sub_query: Expression, seen: _Seen) -> Iterator[Part]:
        asked = sub_query.find_ancestor(exp.In, exp.Select)
        for part, outputs in self._query(sub_query, seen):
            if isinstance(asked, exp.In) and _is_asked(asked, sub_query):
                given = None if is_limited(sub_query) else next(iter(outputs.values()))
                part.conditions.extend(self._asked(asked, given, seen))
            yield part

    def _asked(self, asked: exp.In, given: Expression | None, seen: _Seen) -> Iterator[Expression]:
        """x IN (SELECT y ...) looks at rows where x = y; x NOT IN at all of them, where one may be NULL."""
        wanted = inline(asked.this, seen.aliases)
        if asked.find_ancestor(exp.Not) and (self._may_be_null(wanted) or self._may_be_null(given)):
            raise NotFlatError("NOT IN with what may be NULL hangs on all rows: use NOT EXISTS")
        if wanted is not None and given is not None:
            yield exp.EQ(this=wanted, expression=given.copy())

    def _may_be_null(self, expression: Expression | None) -> bool:
        if not isinstance(expression, exp.Column) or expression.table in self._optional:
            return True
        return expression.name in self._nullable[self._entity_of[expression.table]]


def typed_column(name: str, table: str, sql_type: str) -> exp.Column:
    """A column whose T-SQL type is known: how an engine compares it hangs on that."""
    made = exp.column(name, table)
    made.type = exp.DataType.build(sql_type, dialect="tsql")
    with_type(made, declared(sql_type))
    return made


def inline(expression: Expression, aliases: Environment) -> Expression | None:
    """The expression in columns of places; None where these do not tell it."""
    if expression.find(exp.AggFunc, exp.Window, exp.Query) is not None or any(_aggregates(expression)):
        return None
    made = exp.paren(expression.copy(), copy=False)  # so that the column itself has a parent
    for column in list(made.find_all(exp.Column)):
        if column.name not in aliases.get(column.table, ()):
            raise NotFlatError(f"{column.sql('tsql')} is not seen to be a column of anything in FROM")
        given = aliases[column.table][column.name]
        if given is None:
            return None
        column.replace(given.copy() if isinstance(given, exp.Column) else exp.paren(given))
    inlined: Expression = made.this
    return inlined


def _with(with_: exp.With, ctes: Mapping[str, _Cte]) -> Mapping[str, _Cte]:
    """A CTE sees those before it."""
    made = dict(ctes)
    for cte in with_.expressions:
        if any(table.name == cte.alias and not table.db for table in cte.this.find_all(exp.Table)):
            raise NotFlatError(f"the CTE {cte.alias} names itself: a recursive query walks through all rows")
        made[cte.alias] = _Cte(cte.this, dict(made))
    return made


def _relations(node: exp.Select) -> Iterator[tuple[Expression, Expression | None, bool]]:
    """What FROM names, in order; its ON; and whether it may be missing."""
    if first := node.args.get("from_"):
        yield first.this, None, False
    for join in node.args.get("joins") or ():
        if join.side not in ("", "LEFT") or join.args.get("using") or join.method:
            raise NotFlatError(f"{join.side or 'this'} JOIN: inner and left joins with ON are known")
        on = join.args.get("on")
        if on is not None and on.find(exp.Query):
            raise NotFlatError("a sub-query stands in ON: put it into WHERE, or into FROM")
        outer_apply = isinstance(join.this, exp.Lateral) and not join.this.args.get("cross_apply")
        yield join.this, on, join.side == "LEFT" or outer_apply


_PLAIN = {"this", "db", "catalog", "alias", "with_"}


def _check_plain(node: Expression) -> None:
    """A relation of FROM with nothing behind its name that changes which rows it has."""
    if not isinstance(node, (exp.Table, exp.Subquery)):
        return
    more = {name for name, given in node.args.items() if given and name not in _PLAIN}
    if more:
        raise NotFlatError(
            f"{node.sql('tsql')[:60]}: a join within a join, PIVOT, TABLESAMPLE or FOR SYSTEM_TIME; put it "
            "into a SELECT in FROM, with CASE in place of PIVOT"
        )


def _is_one_row(node: exp.Select) -> bool:
    """Whether it is an aggregate of all its rows: a row, even of none."""
    asked = (*node.selects, *filter(None, (node.args.get("having"),)))
    return node.args.get("group") is None and any(any(_aggregates(one)) for one in asked)


def _is_asked(asked: exp.In, sub_query: Expression) -> bool:
    """Whether IN is followed by that query, and not by an expression with it somewhere within."""
    given = asked.args.get("query")
    return given is not None and given.unnest() is sub_query


def _joined(part: Part, named: Environment, added: Flat, on: Expression | None, is_optional: bool) -> Part:
    part, conditions = part.copy(), _inlined(on, named)
    if is_optional:
        right = added.part.copy()
        right.conditions.extend(conditions)
        part.optionals.append(right)
    else:
        part.add(added.part)
        part.conditions.extend(conditions)
    return part


def _all_places(part: Part) -> set[str]:
    return set(part.places).union(*map(_all_places, part.optionals))


def _inlined(condition: Expression | None, aliases: Environment) -> list[Expression]:
    """What must all hold, as far as columns of places tell it."""
    return [made for each in conjuncts_of(condition) if (made := inline(each, aliases)) is not None]


def conjuncts_of(condition: Expression | None) -> list[Expression]:
    """What must all hold."""
    if condition is None:
        return []
    condition = condition.unnest()
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def equal_columns(conditions: Iterable[Expression]) -> Iterator[tuple[exp.Column, exp.Column]]:
    """Pairs that conditions say are equal, either way round."""
    for each in conditions:
        if isinstance(each, exp.EQ):
            one, two = each.this.unnest(), each.expression.unnest()
            if isinstance(one, exp.Column) and isinstance(two, exp.Column):
                yield from ((one, two), (two, one))


def _sub_queries(node: exp.Select) -> Iterator[Expression]:
    """The queries in its expressions: not those of FROM, nor those within others."""
    for name, given in node.args.items():
        if name not in ("from_", "joins", "with_", "laterals"):
            for each in given if isinstance(given, list) else [given]:
                if isinstance(each, exp.Expression):
                    yield from _outermost(each, exp.Select, exp.SetOperation)


def _outermost(node: Expression, *kinds: type[Expression]) -> Iterator[Expression]:
    """Those within it that are within no other query."""
    for each in node.walk(prune=lambda inner: isinstance(inner, (exp.Select, exp.SetOperation))):
        if isinstance(each, kinds):
            yield each


def determining(node: exp.Select, aliases: Environment) -> list[list[Expression]]:
    """Each set of expressions by which its rows are put together: what they do not tell, one combination of
    rows does not tell."""
    made = []
    group = node.args.get("group")
    own = [*node.selects, *filter(None, (node.args.get("having"), node.args.get("order")))]
    if group is not None:
        if group.find(exp.Rollup, exp.Cube, exp.GroupingSets) or group.args.get("all"):
            raise NotFlatError("ROLLUP, CUBE and GROUPING SETS have totals of all rows: use UNION ALL")
        made.append(_told(group.expressions, aliases))
    elif any(any(_aggregates(one)) for one in own):
        made.append([])
    windows = (each for one in own for each in _outermost(one, exp.Window))
    made.extend(_told(window.args.get("partition_by") or (), aliases) for window in windows)
    return made


def _is_aggregate(function: Expression) -> bool:
    return not isinstance(function.parent, exp.Window)


def _aggregates(node: Expression) -> Iterator[Expression]:
    for each in _outermost(node, exp.AggFunc, exp.Anonymous):
        named = isinstance(each, exp.Anonymous) and each.name.upper() not in AGGREGATES
        if not named and _is_aggregate(each):
            yield each


def _told(expressions: Sequence[Expression], aliases: Environment) -> list[Expression]:
    return [made for each in expressions if (made := inline(each, aliases)) is not None]


def determined(expression: Expression | None, by: Sequence[Sequence[Expression]]) -> Expression | None:
    """The expression, if each set tells it."""
    if expression is None or all(_tells(each, expression) for each in by):
        return expression
    return None


def _tells(given: Sequence[Expression], expression: Expression) -> bool:
    if expression in given:
        return True
    if isinstance(expression, exp.Column):
        return False
    return all(_tells(given, each) for each in expression.iter_expressions())


def is_limited(node: Expression) -> bool:
    node = node.unnest()
    return any(node.args.get(name) for name in ("limit", "offset", "fetch"))
