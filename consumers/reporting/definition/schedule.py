"""In which order the rows of a way to units are joined, so that a refresh goes step by step.

A left join that finds nothing is an alternative with NULL in its columns. Taking every choice of alternatives
as a SELECT of its own costs twice as much with each left join; taken step by step each costs one SELECT more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from sqlglot import exp

from consumers.reporting.definition.flatten import Expression, Part


class Join(NamedTuple):
    """Rows at a place beside what is there, and what must hold of them together."""

    place: str
    conditions: tuple[Expression, ...]


class Step(NamedTuple):
    """Joins; where there is `hidden`, the alternative to them: NULL in all columns of these places; and what
    must hold in both."""

    joins: tuple[Join, ...] = ()
    hidden: frozenset[str] = frozenset()
    conditions: tuple[Expression, ...] = ()


class Wanted(NamedTuple):
    """What a way joins: its parts, from the outermost to that of the changed row, and left joins beside them.
    `optional`: those parts that may find nothing. `conditions`: each with the part that says it."""

    parts: Sequence[Part]
    sides: Sequence[Part]
    optional: Sequence[Part]
    conditions: Sequence[tuple[Part, Expression]]


def schedule(changed: str, wanted: Wanted) -> tuple[Step, ...] | None:
    """The steps from the changed row. None where a left join can't be decided step by step."""
    return _Schedule(changed, wanted).made()


class _Schedule:
    def __init__(self, changed: str, wanted: Wanted) -> None:
        self._wanted = wanted
        everything = [*wanted.parts, *wanted.sides]
        self._optional_sides = [side for side in wanted.sides if is_in(side, wanted.optional)]
        self._undecided = list(wanted.optional)
        fixed = [part for part in everything if not is_in(part, self._optional_sides)]
        self._left = [place for part in fixed for place in part.places if place != changed]
        self._known = {changed}
        places = {place for part in everything for place in part.places}
        self._places = places
        self._waiting = [each for each in wanted.conditions if is_in(each[0], fixed)]

    def made(self) -> tuple[Step, ...] | None:
        steps = [Step(conditions=self._applicable())]
        while self._left or self._undecided:
            step = self._decided() or self._reached() or self._beside() or self._apart()
            if step is None:
                return None
            steps.append(step._replace(conditions=(*step.conditions, *self._applicable())))
        return None if self._waiting else tuple(steps)

    def _sees(self, part: Part, place: str) -> bool:
        """Whether it is known what this place shows to conditions of a part."""
        hiding = (each for each in self._undecided if place in all_places(each) and not contains(each, part))
        return place in self._known and next(hiding, None) is None

    def _applicable(self) -> tuple[Expression, ...]:
        """What can be asked by now, once."""
        found = [
            (part, each)
            for part, each in self._waiting
            if all(self._sees(part, place) for place in places_of(each))
        ]
        self._waiting = [one for one in self._waiting if not any(one[1] is each for _, each in found)]
        return tuple(each for _, each in found)

    def _decided(self) -> Step | None:
        """A left join on the way itself, whose conditions all hold: its left side counts without it, too."""
        for part in reversed(self._undecided):
            mine = any(owner is part for owner, _ in self._waiting)
            if is_in(part, self._wanted.parts) and not mine and part.places.keys() <= self._known:
                self._undecided = [each for each in self._undecided if each is not part]
                return Step(hidden=frozenset(all_places(part)) & self._places)
        return None

    def _reached(self) -> Step | None:
        """The place that a condition joins to what is there."""
        for part, condition in self._waiting:
            missing = [place for place in places_of(condition) if not self._sees(part, place)]
            if len(missing) == 1 and missing[0] in self._left:
                return self._joined(missing[0])
        return None

    def _joined(self, place: str) -> Step:
        self._left.remove(place)
        self._known.add(place)
        return Step(joins=(Join(place, self._applicable()),))

    def _beside(self) -> Step | None:
        """A left join beside the way, with what it asks of what is there."""
        for side in self._undecided:
            if is_in(side, self._optional_sides) and self._can_be_joined(side):
                joins = tuple(self._joins(side))
                self._undecided = [each for each in self._undecided if each is not side]
                return Step(joins, frozenset(all_places(side)) & self._places)
        return None

    def _can_be_joined(self, side: Part) -> bool:
        asked = {place for each in self._of(side) for place in places_of(each)}
        return all(place in side.places or self._sees(side, place) for place in asked)

    def _of(self, side: Part) -> list[Expression]:
        return [each for part, each in self._wanted.conditions if part is side]

    def _joins(self, side: Part) -> Iterator[Join]:
        left = list(side.places)
        waiting = self._of(side)
        while left:
            linked = (
                place
                for each in waiting
                for place in left
                if places_of(each) - self._known == {place} and len(places_of(each)) > 1
            )
            place = next(linked, left[0])
            left.remove(place)
            self._known.add(place)
            now = [each for each in waiting if places_of(each) <= self._known]
            waiting = [each for each in waiting if not is_among(each, now)]
            yield Join(place, tuple(now))

    def _apart(self) -> Step | None:
        """Where no choice is left: a place that no condition joins yet."""
        if self._undecided or not self._left:
            return None
        return self._joined(self._left[0])


def all_places(part: Part) -> dict[str, str]:
    """Its own and those of the left joins within."""
    made = dict(part.places)
    for inner in part.optionals:
        made |= all_places(inner)
    return made


def contains(outer: Part, part: Part) -> bool:
    """Whether a part is that one, or within it."""
    return outer is part or any(contains(each, part) for each in (*outer.optionals, *outer.witnesses))


def is_in(part: Part, parts: Collection[Part]) -> bool:
    """Whether it is one of them: equal ones are others."""
    return any(each is part for each in parts)


def is_among(expression: Expression, others: Collection[Expression]) -> bool:
    """Whether it is one of them: equal ones are others."""
    return any(each is expression for each in others)


def places_of(expression: Expression) -> set[str]:
    """The places whose columns stand in it."""
    return {column.table for column in expression.find_all(exp.Column)}


_STRICT = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)


def needs(conditions: Sequence[Expression], part: Part) -> bool:
    """Whether a condition can't hold where a left join finds nothing, since it compares a column of it."""
    places = all_places(part)
    return any(
        isinstance(side, exp.Column) and side.table in places
        for each in conditions
        if isinstance(each, _STRICT)
        for side in (each.this.unnest(), each.expression.unnest())
    )
