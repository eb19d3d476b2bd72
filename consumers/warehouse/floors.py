"""Floors, the highest sweep of each source and bucket, for every engine. Pure."""

from collections.abc import Iterable

from consumers.warehouse.port import Counts, Sweep

Floors = dict[tuple[str, int], str]
"""Position of the highest sweep, by source and bucket."""


def apply_sweeps(sweeps: Iterable[Sweep], floors: Floors) -> tuple[list[Sweep], Counts]:
    """Raise `floors` in place by these sweeps.

    Returns the sweeps that raised a floor, the last of each source and bucket, and the counts of all.
    """
    risen: dict[tuple[str, int], Sweep] = {}
    applied = superseded = duplicate = 0
    for sweep in sweeps:
        bucket = sweep.source, sweep.bucket
        floor = floors.get(bucket, "")
        if sweep.position > floor:
            floors[bucket] = sweep.position
            # A floor that rises twice in a batch is written once, with its final position.
            risen[bucket] = sweep
            applied += 1
        elif sweep.position == floor:
            duplicate += 1
        else:
            superseded += 1
    return list(risen.values()), Counts(applied, superseded, duplicate)
