"""The summary of dead letters in a warehouse, for users without access to S3. For every engine."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, TableClause, delete, insert, select

from consumers.warehouse.port import LetterCount
from consumers.warehouse.system import LETTER_COLUMNS


def save(
    connection: Connection,
    table: TableClause,
    counts: Sequence[LetterCount],
    instant: Callable[[int], str],
    now: str,
) -> None:
    """Replace all rows, within the transaction of `connection`.

    `instant` converts microseconds since the epoch to the engine's text form; `now` is in that form.
    """
    # DELETE, not TRUNCATE: the writer has no ALTER right, and readers keep the old rows until the commit.
    connection.execute(delete(table))
    rows = [
        {
            **count._asdict(),
            "oldest": instant(count.oldest),
            "newest": instant(count.newest),
            "refreshed_at": now,
        }
        for count in counts
    ]
    if rows:
        connection.execute(insert(table), rows)


def load(connection: Connection, table: TableClause, instant_of: Callable[[Any], int]) -> list[LetterCount]:
    """Return all rows, ordered by entity, stage, cause and state."""
    *kind, letters, oldest, newest, _ = (table.c[name] for name in LETTER_COLUMNS)
    rows = connection.execute(select(*kind, letters, oldest, newest).order_by(*kind))
    return [LetterCount(*row[:-2], *map(instant_of, row[-2:])) for row in rows]
