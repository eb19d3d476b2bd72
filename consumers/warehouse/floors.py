"""Floors of sweeps, for every engine. Pure."""

from collections.abc import Iterable

from consumers.warehouse.port import Counts, Sweep

Floors = dict[tuple[str, int], str]
"""Position of the greatest sweep by source and bucket."""


def rise(sweeps: Iterable[Sweep], floors: Floors) -> tuple[list[Sweep], Counts]:
    """Raise the floors: the sweeps that did, one for each bucket, and what became of all."""
    risen: dict[tuple[str, int], Sweep] = {}
    applied = superseded = duplicate = 0
    for sweep in sweeps:
        place = sweep.source, sweep.bucket
        floor = floors.get(place, "")
        if sweep.position > floor:
            floors[place] = sweep.position
            risen[place] = sweep
            applied += 1
        elif sweep.position == floor:
            duplicate += 1
        else:
            superseded += 1
    return list(risen.values()), Counts(applied, superseded, duplicate)
