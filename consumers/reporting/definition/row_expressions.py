"""Expressions of a SELECT in columns of table references: inlining, and what determines their value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from sqlglot import exp

from consumers.reporting.definition.functions import AGGREGATES
from schemas.errors import ConfigurationError

Expression: TypeAlias = exp.Expr
Outputs: TypeAlias = Mapping[str, "Expression | None"]
"""Output expressions by name, in columns of table references.

None where the value does not follow from one combination of rows, as for an aggregate, a window or a
sub-query.
"""
Environment: TypeAlias = Mapping[str, Outputs]
"""Outputs of the relations in scope, by alias."""


class NotFlatError(ConfigurationError):
    """A query that can't be kept up to date change by change."""


def inline(expression: Expression, aliases: Environment) -> Expression | None:
    """Return the expression in columns of table references; None where these do not determine it."""
    if expression.find(exp.AggFunc, exp.Window, exp.Query) is not None or any(aggregates(expression)):
        return None
    wrapper = exp.paren(expression.copy(), copy=False)  # so that the column itself has a parent
    for column in list(wrapper.find_all(exp.Column)):
        if column.name not in aliases.get(column.table, ()):
            raise NotFlatError(f"{column.sql('tsql')} is not a column of anything in FROM")
        value = aliases[column.table][column.name]
        if value is None:
            return None
        column.replace(value.copy() if isinstance(value, exp.Column) else exp.paren(value))
    inlined: Expression = wrapper.this
    return inlined


def inlined_conjuncts(condition: Expression | None, aliases: Environment) -> list[Expression]:
    """Return the conjuncts of a condition that columns of table references determine."""
    return [
        inlined for conjunct in conjuncts_of(condition) if (inlined := inline(conjunct, aliases)) is not None
    ]


def conjuncts_of(condition: Expression | None) -> list[Expression]:
    """Return the conditions that AND combines."""
    if condition is None:
        return []
    condition = condition.unnest()
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def equal_columns(conditions: Iterable[Expression]) -> Iterator[tuple[exp.Column, exp.Column]]:
    """Yield pairs of columns that conditions state to be equal, in both directions."""
    for condition in conditions:
        if isinstance(condition, exp.EQ):
            left, right = condition.this.unnest(), condition.expression.unnest()
            if isinstance(left, exp.Column) and isinstance(right, exp.Column):
                yield from ((left, right), (right, left))


def outermost(node: Expression, *kinds: type[Expression]) -> Iterator[Expression]:
    """Yield nodes of these kinds that are not within a nested query."""
    for inner in node.walk(prune=lambda inner: isinstance(inner, (exp.Select, exp.SetOperation))):
        if isinstance(inner, kinds):
            yield inner


def determining(node: exp.Select, aliases: Environment) -> list[list[Expression]]:
    """Return the key expressions of each grouping and partitioning of the SELECT.

    An output that does not follow from them does not follow from one combination of rows.
    """
    keys = []
    group = node.args.get("group")
    expressions = [*node.selects, *filter(None, (node.args.get("having"), node.args.get("order")))]
    if group is not None:
        if group.find(exp.Rollup, exp.Cube, exp.GroupingSets) or group.args.get("all"):
            raise NotFlatError("ROLLUP, CUBE and GROUPING SETS have totals of all rows: use UNION ALL")
        keys.append(_inlined_all(group.expressions, aliases))
    # Aggregates without GROUP BY: one group, determined by no expression.
    elif any(any(aggregates(expression)) for expression in expressions):
        keys.append([])
    windows = (window for expression in expressions for window in outermost(expression, exp.Window))
    keys.extend(_inlined_all(window.args.get("partition_by") or (), aliases) for window in windows)
    return keys


def _is_aggregate(function: Expression) -> bool:
    return not isinstance(function.parent, exp.Window)


def aggregates(node: Expression) -> Iterator[Expression]:
    for function in outermost(node, exp.AggFunc, exp.Anonymous):
        named = isinstance(function, exp.Anonymous) and function.name.upper() not in AGGREGATES
        if not named and _is_aggregate(function):
            yield function


def _inlined_all(expressions: Sequence[Expression], aliases: Environment) -> list[Expression]:
    return [inlined for expression in expressions if (inlined := inline(expression, aliases)) is not None]


def determined(expression: Expression | None, by: Sequence[Sequence[Expression]]) -> Expression | None:
    """Return the expression if every one of the keys determines it, else None."""
    if expression is None or all(_determines(expressions, expression) for expressions in by):
        return expression
    return None


def _determines(key: Sequence[Expression], expression: Expression) -> bool:
    if expression in key:
        return True
    if isinstance(expression, exp.Column):
        return False
    return all(_determines(key, operand) for operand in expression.iter_expressions())
