"""The tag with which a person keeps everything on for a while. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

TAG: Final = "headwater:keep-on-until"
FURTHEST: Final = timedelta(days=14)
"""How far ahead a tag may be. A later moment is a mistake, which would cost money for months."""


class Override(NamedTuple):
    """Whether tags keep the installation on, and what is wrong with them."""

    on: bool
    problems: tuple[str, ...]


def override(tags: Mapping[str, str], now: datetime) -> Override:
    """Return what the tags of resources demand at a moment, which has a time zone.

    A value that is no moment, or too far ahead, keeps everything on: someone wanted that. It is a problem
    until it is corrected, so that it does not pass unnoticed.
    """
    found = [_read(resource, text, now) for resource, text in sorted(tags.items())]
    return Override(any(on for on, _ in found), tuple(problem for _, problem in found if problem))


def _read(resource: str, text: str, now: datetime) -> tuple[bool, str]:
    moment = _moment(text)
    if moment is None:
        return True, (
            f"{resource}: the tag {TAG} is not a moment with its offset, such as 2026-12-24T22:00+00:00: "
            "all stays on until it is corrected or taken away"
        )
    if moment > now + FURTHEST:
        return True, (
            f"{resource}: the tag {TAG} is more than {FURTHEST.days} days ahead: all stays on until it is "
            "corrected or taken away; what should always be on needs no schedule"
        )
    return moment > now, ""


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def tagged(tags: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the resources that have the tag, with its value, from the tags of each resource."""
    for resource, values in tags.items():
        if TAG in values:
            yield resource, values[TAG]
