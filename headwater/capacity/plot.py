"""A picture of the limits: the events a second at which each is met. SVG 1.1, without a library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _ROW, _TOP = 920, 240, 34, 70
_SCALE = 80
"""Pixels of a factor of ten."""
_DECADES = 8


def picture(title: str, bars: Sequence[tuple[str, float | None]], load: float) -> str:
    """Return a bar for each limit, on a logarithmic scale from 1 to 10^8, and a line at the load.

    A limit that is not met has a bar over the whole width.
    """
    height = _TOP + _ROW * len(bars) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="12" y="26" font-size="16">{escape(title)}</text>',
        *(_tick(decade, height) for decade in range(_DECADES + 1)),
        *(line for number, bar in enumerate(bars) for line in _bar(number, *bar)),
        f'<line x1="{_x(load):.0f}" x2="{_x(load):.0f}" y1="{_TOP - 8}" y2="{height - 30}" stroke="#c00" '
        'stroke-width="2"/>',
        f'<text x="{_x(load):.0f}" y="{_TOP - 14}" text-anchor="middle" fill="#c00">'
        f"{load:,g} events/s</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _x(events: float) -> float:
    return _LEFT + _SCALE * min(_DECADES, max(0.0, math.log10(events)))


def _tick(decade: int, height: int) -> str:
    x = _LEFT + _SCALE * decade
    return (
        f'<line x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{height - 30}" stroke="#ddd"/>'
        f'<text x="{x}" y="{height - 12}" text-anchor="middle">{_short(decade)}</text>'
    )


def _short(decade: int) -> str:
    """Return a power of ten with k or M for the zeros, since long labels would overlap."""
    return f"{10 ** (decade % 3)}{('', 'k', 'M')[decade // 3]}"


def _bar(number: int, name: str, events: float | None) -> list[str]:
    y = _TOP + _ROW * number
    end = _x(10.0**_DECADES if events is None else events)
    return [
        f'<rect x="{_LEFT}" y="{y}" width="{max(1, end - _LEFT):.0f}" height="20" fill="#4a7ebb"/>',
        f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
    ]
