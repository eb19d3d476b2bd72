"""Order in which the rows of a route to units are joined, so that a refresh can go step by step.

A left join without a match is an alternative with NULL in its columns. Enumerating all choices of
alternatives as SELECTs of their own would double their number with each left join; step by step each left
join adds one SELECT.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from sqlglot import exp

from consumers.reporting.definition.flatten import Part
from consumers.reporting.definition.row_expressions import Expression


class Join(NamedTuple):
    """Rows of one table reference, joined to the rows so far by these conditions."""

    ref: str
    conditions: tuple[Expression, ...]


class Step(NamedTuple):
    """Joins, and the conditions that hold after them.

    With `hidden`, the step has an alternative to its joins: NULL in all columns of these references.
    """

    joins: tuple[Join, ...] = ()
    hidden: frozenset[str] = frozenset()
    conditions: tuple[Expression, ...] = ()


class RouteParts(NamedTuple):
    """The parts that a route joins, and the conditions among them."""

    path: Sequence[Part]
    """From the outermost part to that of the changed row."""
    sides: Sequence[Part]
    """Left joins beside the path."""
    optional: Sequence[Part]
    """Parts that may be without a match."""
    conditions: Sequence[tuple[Part, Expression]]
    """The conditions, with the parts that contain them."""


def schedule(changed: str, route_parts: RouteParts) -> tuple[Step, ...] | None:
    """Return the steps from the changed row; None where a left join can't be decided step by step."""
    return _Schedule(changed, route_parts).build()


class _Schedule:
    def __init__(self, changed: str, route_parts: RouteParts) -> None:
        self._route = route_parts
        everything = [*route_parts.path, *route_parts.sides]
        self._optional_sides = [side for side in route_parts.sides if is_in(side, route_parts.optional)]
        self._undecided = list(route_parts.optional)
        fixed = [part for part in everything if not is_in(part, self._optional_sides)]
        self._left = [ref for part in fixed for ref in part.refs if ref != changed]
        self._known = {changed}
        refs = {ref for part in everything for ref in part.refs}
        self._refs = refs
        self._waiting = [pair for pair in route_parts.conditions if is_in(pair[0], fixed)]

    def build(self) -> tuple[Step, ...] | None:
        steps = [Step(conditions=self._applicable())]
        while self._left or self._undecided:
            # The order matters: decide left joins early, so that later steps carry fewer alternatives; cross
            # joins come last.
            step = (
                self._decide_optional() or self._join_linked() or self._join_side() or self._join_unlinked()
            )
            if step is None:
                return None
            steps.append(step._replace(conditions=(*step.conditions, *self._applicable())))
        # A condition that never became applicable would be lost: the caller enumerates the choices instead.
        return None if self._waiting else tuple(steps)

    def _is_visible(self, part: Part, ref: str) -> bool:
        """Return whether conditions of the part can already use the columns of this reference."""
        # An undecided left join shows its columns to itself and to parts within it only.
        hiding = (
            optional
            for optional in self._undecided
            if ref in all_refs(optional) and not contains(optional, part)
        )
        return ref in self._known and next(hiding, None) is None

    def _applicable(self) -> tuple[Expression, ...]:
        """Return the conditions that can be evaluated by now, and remove them from those that wait."""
        applicable = [
            (part, condition)
            for part, condition in self._waiting
            if all(self._is_visible(part, ref) for ref in refs_of(condition))
        ]
        self._waiting = [
            pair for pair in self._waiting if not any(pair[1] is owned for _, owned in applicable)
        ]
        return tuple(condition for _, condition in applicable)

    def _decide_optional(self) -> Step | None:
        """Return the step that adds the alternative without a left join on the path, once its conditions all
        hold."""
        # Inner parts come last in the path and are decided first.
        for part in reversed(self._undecided):
            mine = any(owner is part for owner, _ in self._waiting)
            if is_in(part, self._route.path) and not mine and part.refs.keys() <= self._known:
                self._undecided = [optional for optional in self._undecided if optional is not part]
                return Step(hidden=frozenset(all_refs(part)) & self._refs)
        return None

    def _join_linked(self) -> Step | None:
        """Return the step that joins a reference which a condition links to the rows so far."""
        for part, condition in self._waiting:
            missing = [ref for ref in refs_of(condition) if not self._is_visible(part, ref)]
            if len(missing) == 1 and missing[0] in self._left:
                return self._join(missing[0])
        return None

    def _join(self, ref: str) -> Step:
        self._left.remove(ref)
        self._known.add(ref)
        return Step(joins=(Join(ref, self._applicable()),))

    def _join_side(self) -> Step | None:
        """Return the step that joins a left join beside the path, if its conditions use only visible
        references."""
        for side in self._undecided:
            if is_in(side, self._optional_sides) and self._can_be_joined(side):
                joins = tuple(self._joins_of(side))
                self._undecided = [optional for optional in self._undecided if optional is not side]
                return Step(joins, frozenset(all_refs(side)) & self._refs)
        return None

    def _can_be_joined(self, side: Part) -> bool:
        asked = {ref for condition in self._conditions_of(side) for ref in refs_of(condition)}
        return all(ref in side.refs or self._is_visible(side, ref) for ref in asked)

    def _conditions_of(self, side: Part) -> list[Expression]:
        return [condition for part, condition in self._route.conditions if part is side]

    def _joins_of(self, side: Part) -> Iterator[Join]:
        left = list(side.refs)
        waiting = self._conditions_of(side)
        while left:
            # Prefer a reference that some condition joins to known ones; a condition on one reference alone
            # links nothing.
            linked = (
                ref
                for condition in waiting
                for ref in left
                if refs_of(condition) - self._known == {ref} and len(refs_of(condition)) > 1
            )
            ref = next(linked, left[0])
            left.remove(ref)
            self._known.add(ref)
            now = [condition for condition in waiting if refs_of(condition) <= self._known]
            waiting = [condition for condition in waiting if not is_among(condition, now)]
            yield Join(ref, tuple(now))

    def _join_unlinked(self) -> Step | None:
        """Return the step that joins a reference without a condition, if no optional part is left to
        decide."""
        if self._undecided or not self._left:
            return None
        return self._join(self._left[0])


def all_refs(part: Part) -> dict[str, str]:
    """Return the references of a part and of the left joins within it, with their entities."""
    refs = dict(part.refs)
    for inner in part.optionals:
        refs |= all_refs(inner)
    return refs


def contains(outer: Part, part: Part) -> bool:
    """Return whether `part` is `outer` or within it."""
    return outer is part or any(contains(inner, part) for inner in (*outer.optionals, *outer.witnesses))


def is_in(part: Part, parts: Collection[Part]) -> bool:
    """Return whether the part is a member by identity: equal parts are different mentions."""
    return any(member is part for member in parts)


def is_among(expression: Expression, expressions: Collection[Expression]) -> bool:
    """Return whether the expression is a member by identity: equal expressions may belong to different
    parts."""
    return any(member is expression for member in expressions)


def refs_of(expression: Expression) -> set[str]:
    """Return the table references whose columns the expression contains."""
    return {column.table for column in expression.find_all(exp.Column)}


# Comparisons that are not true where one side is NULL.
_STRICT = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)


def needs(conditions: Sequence[Expression], part: Part) -> bool:
    """Return whether a condition compares a column of the part, and so fails where its left join has no
    match."""
    refs = all_refs(part)
    return any(
        isinstance(side, exp.Column) and side.table in refs
        for condition in conditions
        if isinstance(condition, _STRICT)
        for side in (condition.this.unnest(), condition.expression.unnest())
    )
