"""The warehouse and the workbench: combinations of parameters that AWS refuses, or that cannot be stopped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from headwater.deployment.deployment import Deployment
from headwater.deployment.stacks import Stack

_IN_NETWORK = ("warehouse", "workbench")
_HALF_HOUR, DAY = 30, 24 * 60
WEEK = 7 * DAY
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


# The classes with a price for SQL Server with its licence, in any region; a region may have fewer:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/SQLServer.Concepts.General.InstanceClasses.html
# https://aws.amazon.com/rds/sqlserver/pricing/
_EDITIONS = ("sqlserver-se", "sqlserver-ee")
FAMILIES: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("m5", "m5d", "r5", "r5b", "r5d"), (24, 24)),
    **dict.fromkeys(("m6i", "r6i"), (8, 32)),
    **dict.fromkeys(("m7i", "r7i"), (16, 48)),
    "t3": (2, 2),
    "x2iedn": (8, 32),
    "z1d": (12, 12),
}
"""The multiple of the largest size of each family, for each edition."""
_USUAL = (1, 2, 4, 8, 12, 16, 24, 32)
_MULTIPLES: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("m7i", "r7i"), (1, 2, 4, 8, 12, 16, 24, 48)),
    "x2iedn": (1, 2, 4, 8, 16, 24, 32),
    "z1d": (1, 2, 3, 6, 12),
}


def sizes(family: str, edition: str) -> tuple[str, ...]:
    """Return the sizes that RDS offers of a family of classes, the smallest first."""
    most = FAMILIES[family][_EDITIONS.index(edition)]
    multiples = [number for number in _MULTIPLES.get(family, _USUAL) if number <= most]
    named = tuple("xlarge" if number == 1 else f"{number}xlarge" for number in multiples)
    has_large = edition == "sqlserver-se" and family not in ("t3", "x2iedn")
    return ("large", *named) if has_large else named


def warehouse_problems(deployment: Deployment, stacks: Iterable[Stack]) -> Iterator[str]:
    """Yield what is wrong with the stacks of the warehouse and of the workbench."""
    for stack in stacks:
        if stack.template.name in _IN_NETWORK and "network" not in deployment.reporting.parameters:
            yield f"{stack.where}, {stack.template.name}: is in no network; allowed: with [reporting.network]"
        if stack.template.name == "warehouse":
            yield from _zones(deployment, stack)
            yield from _sizes(stack)
            yield from _windows(stack)


def _zones(deployment: Deployment, stack: Stack) -> Iterator[str]:
    """Yield a schedule for a database that cannot be stopped.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_SQLServerMultiAZ.Recommendations.html
    """
    if _text(stack, "MultiAz") == "true" and "schedule" in deployment.reporting.parameters:
        yield (
            f"{stack.places['MultiAz']}: found true with [reporting.schedule], which stops the database: AWS "
            "stops no SQL Server in several zones; allowed: false, or no schedule"
        )


def _sizes(stack: Stack) -> Iterator[str]:
    """Yield classes and sizes that RDS does not offer.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.Autoscaling.html
    """
    family, _, size = _text(stack, "InstanceClass").removeprefix("db.").partition(".")
    edition, where = _text(stack, "Edition"), stack.places["InstanceClass"]
    if family in FAMILIES and size.endswith("large") and edition in _EDITIONS:
        allowed = sizes(family, edition)
        if size not in allowed:
            yield (
                f"{where}: found db.{family}.{size} with {edition}; allowed: {', '.join(allowed)} of "
                f"db.{family}"
            )
    first, most = (_number(stack, name) for name in ("AllocatedGiB", "MaxAllocatedGiB"))
    if first and most and most * 10 < first * 11:
        yield (
            f"{stack.places['MaxAllocatedGiB']}: found {most} with AllocatedGiB = {first}; allowed: at least "
            "a tenth more, up to which RDS enlarges the storage"
        )


def _windows(stack: Stack) -> Iterator[str]:
    """Yield windows that are too short, or at the same time.

    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
    """
    windows = {name: minutes(_text(stack, name)) for name in ("BackupWindow", "MaintenanceWindow")}
    for name, window in windows.items():
        if window and length(window, DAY if name == "BackupWindow" else WEEK) < _HALF_HOUR:
            yield f"{stack.places[name]}: found less than half an hour; allowed: at least half an hour"
    backup, maintenance = windows.values()
    if backup and maintenance and _meet(backup, maintenance):
        yield (
            f"{stack.places['MaintenanceWindow']}: found a time within BackupWindow; allowed: another time, "
            "since RDS does not do both at once"
        )


def minutes(window: str) -> tuple[int, int] | None:
    """Return start and end of a window in minutes, of the day or of the week; None for another text."""
    found = re.findall(r"(?:(\w{3}):)?(\d\d):(\d\d)", window)
    if len(found) != 2 or any(day and day not in _DAYS for day, *_ in found):
        return None
    start, end = ((_DAYS.index(day) if day else 0) * DAY + int(h) * 60 + int(m) for day, h, m in found)
    return start, end


def length(window: tuple[int, int], period: int) -> int:
    """Return the minutes of a window that recurs after so many minutes."""
    start, end = window
    return (end - start) % period


def _meet(backup: tuple[int, int], maintenance: tuple[int, int]) -> bool:
    """Return whether a daily window and a weekly one have a minute in common."""
    start, lasts = backup[0], length(backup, DAY)
    return any(
        (minute - start) % DAY < lasts
        for minute in range(maintenance[0], maintenance[0] + length(maintenance, WEEK))
    )


def _text(stack: Stack, name: str) -> str:
    value = stack.values.get(name)
    return value.text if value else ""


def _number(stack: Stack, name: str) -> int:
    """Return a number; 0 for another text, which other rules refuse."""
    text = _text(stack, name)
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
