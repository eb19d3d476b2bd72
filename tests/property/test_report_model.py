"""The way in which a refresh finds units, as a model of two tables and two writers at a time.

Report: SELECT s.g, SUM(t.a) FROM t JOIN s ON s.k = t.k GROUP BY s.g. Each writer appends the rows that it
changed as they were before; the refresher reads these later, in one snapshot. The variants that are shown to
go wrong are here so that the model is known to tell right from wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Row = tuple[int, int]
"""Of t: join key and amount. Of s: join key and group."""
Table = Mapping[int, Row]


def groups(ts: Iterable[Row], ss: Iterable[Row]) -> set[int]:
    """Those that pairs of these rows belong to."""
    right = list(ss)
    return {g for k, _ in ts for k2, g in right if k == k2}


def report(t: Table, s: Table) -> Counter[int]:
    made: Counter[int] = Counter()
    for k, a in t.values():
        for k2, g in s.values():
            if k == k2:
                made[g] += a
    return made


@dataclass
class Pending:
    """Of one table since the last refresh: keys that changed, and every image that was replaced."""

    keys: set[int] = field(default_factory=set)
    images: list[Row] = field(default_factory=list)


def units(t: Table, s: Table, pending: Mapping[str, Pending]) -> set[int]:
    """Changed rows of t, as they were and are, beside rows of s as they were or are; then changed rows of s
    beside rows of t as they are."""
    changed = {
        name: [*each.images, *(rows[key] for key in each.keys if key in rows)]
        for (name, each), rows in zip(pending.items(), (t, s), strict=True)
    }
    return groups(changed["t"], [*s.values(), *pending["s"].images]) | groups(t.values(), changed["s"])


def units_without_what_was(t: Table, s: Table, pending: Mapping[str, Pending]) -> set[int]:
    """As if no row had been replaced: wrong."""
    return units(t, s, {name: Pending(each.keys) for name, each in pending.items()})


def units_beside_the_present(t: Table, s: Table, pending: Mapping[str, Pending]) -> set[int]:
    """Changed rows beside rows as they are alone: wrong, where both halves of a pair changed."""
    old = {name: Pending(each.keys, each.images) for name, each in pending.items()}
    found = groups([*old["t"].images, *(t[k] for k in old["t"].keys if k in t)], s.values())
    return found | groups(t.values(), [*old["s"].images, *(s[k] for k in old["s"].keys if k in s)])


Find: TypeAlias = Callable[[Table, Table, Mapping[str, Pending]], set[int]]


def is_kept_right(seed: int, find: Find) -> bool:
    """Plays one history; whether the report was right after each refresh. It does not matter to the refresher
    whose transaction a pending row came from."""
    random = Random(seed)
    tables: dict[str, dict[int, Row]] = {"t": {}, "s": {}}
    pending = {"t": Pending(), "s": Pending()}
    shown: Counter[int] = Counter()
    for _ in range(random.randint(3, 14)):
        for name, key in random.sample([(n, k) for n in "ts" for k in range(3)], random.randint(1, 4)):
            was = tables[name].pop(key, None)
            if random.random() > 0.35:
                tables[name][key] = (random.randint(0, 1), random.randint(1, 3))
            pending[name].keys.add(key)
            pending[name].images.extend([] if was is None else [was])
        if random.random() < 0.5:
            made = report(tables["t"], tables["s"])
            for group in find(tables["t"], tables["s"], pending):
                shown.pop(group, None)
                if group in made:
                    shown[group] = made[group]
            pending = {"t": Pending(), "s": Pending()}
            if shown != made:
                return False
    return True


@settings(max_examples=2_000, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_all_images_and_both_states_lead_to_every_unit_that_changed(seed: int) -> None:
    assert is_kept_right(seed, units)


@pytest.mark.parametrize("wrong", [units_without_what_was, units_beside_the_present])
def test_the_model_tells_right_from_wrong(wrong: Find) -> None:
    assert not all(is_kept_right(seed, wrong) for seed in range(2_000))
