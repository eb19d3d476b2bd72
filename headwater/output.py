"""Output of the command line: results on stdout, everything else on stderr."""

from __future__ import annotations

import base64
import json
import logging
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

from schemas.telemetry.log_lines import OURS

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
Columns = Sequence[str] | Mapping[str, str]
"""Names of members, or a mapping from names of members to column headings."""


def show(text: str) -> None:
    """Write a result to stdout and flush: another program may be waiting at the end of a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show_export(name: str, value: str) -> None:
    """Write a variable as the line with which a POSIX shell exports it."""
    show(f"export {name}={shlex.quote(value)}")


def tell(text: str) -> None:
    """Write a line of progress to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def show_json(value: object) -> None:
    """Write a result as JSON: decimals as text, times in ISO 8601, bytes in base64."""
    show(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def emit(rows: Sequence[Mapping[str, object]], columns: Columns, as_json: bool) -> None:
    """Write the rows of a command: all their members as JSON, or the members in `columns` as a table."""
    if as_json:
        show_json(rows)
        return
    headings = columns if isinstance(columns, Mapping) else dict(zip(columns, columns, strict=True))
    show_table([*headings.values()], [[row[name] for name in headings] for row in rows])


def emit_record(record: Mapping[str, object], as_json: bool) -> None:
    """Write one record: as a JSON object, or as one line for each member."""
    if as_json:
        show_json(record)
        return
    for name, value in record.items():
        show(f"{name + ':':<12} {cell(value)}")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with aligned columns; numbers are right-aligned."""
    for line in table_lines(columns, rows):
        show(line)


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of `show_table`. Each row takes one line: line breaks and other control characters of
    a value are escaped, such as \\n."""
    values = [list(row) for row in rows]
    cells = [list(columns), *([cell(value) for value in row] for row in values)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right_aligned = [_is_numeric(column) for column in zip(*values, strict=True)] or [False] * len(columns)
    return [
        _line(row, widths, right_aligned) for row in [cells[0], ["-" * width for width in widths], *cells[1:]]
    ]


def cell(value: object) -> str:
    """Return a value as text for a table; None is empty."""
    if value is None:
        return ""
    text = str(_plain(value)) if isinstance(value, (bytes, datetime, date, time)) else str(value)
    return _escaped(text) if _CONTROLS.search(text) else text


def _escaped(text: str) -> str:
    """Return `text` with its control characters as Python escapes."""
    # A value with terminal escape sequences could otherwise move the cursor or rewrite earlier output.
    return _CONTROLS.sub(lambda match: repr(match[0])[1:-1], text.replace("\\", "\\\\"))


def instant(micros: int | None) -> str | None:
    """Return microseconds since the epoch as ISO 8601 in UTC, truncated to the second."""
    if micros is None:
        return None
    return datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 row`, `2 rows`, `1,234 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Iterable[str]) -> str:
    """Return names as `a, b`, or `(none)`."""
    return ", ".join(names) or "(none)"


def log_to_stderr(verbose: bool) -> None:
    """Log warnings to stderr, and with `verbose` also the debug messages of this project."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    if verbose:
        log_ours(logging.DEBUG)  # not the root logger: botocore logs request bodies at DEBUG (INV-7)


def log_ours(level: int) -> None:
    """Set the level of this project's loggers."""
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def _line(row: Sequence[str], widths: Sequence[int], right_aligned: Sequence[bool]) -> str:
    padded = [
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(row, widths, right_aligned, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _is_numeric(column: Sequence[object]) -> bool:
    # bool is a subclass of int, but is printed as a word.
    return all(
        value is None or (isinstance(value, (int, float, Decimal)) and not isinstance(value, bool))
        for value in column
    )


def _plain(value: object) -> object:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (bytes, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
