"""Column-wise conversion of values, for every engine: it costs few Python operations per row."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from consumers.warehouse.port import Row

Converter = Callable[[Any], object]

_READ_ROWS = 1_000


class SelectResult(Protocol):
    """Result of a SELECT by an engine's `select_rows`."""

    def fetchmany(self, size: int) -> Sequence[Sequence[Any]]: ...


def converted(column: Sequence[object], convert: Converter | None) -> Sequence[object]:
    """Return the values of a column after `convert`; None stays None."""
    if convert is None:
        return column
    return [None if value is None else convert(value) for value in column]


def typed_rows(
    result: SelectResult,
    reads: Sequence[Converter | None],
    event_id: Callable[[Any], bytes],
    instant: Callable[[Any], int],
) -> Iterator[Row]:
    """Yield typed rows as they arrive from the server.

    `reads` converts the business columns; `event_id` and `instant` convert system columns.
    """
    # In pieces: memory does not grow with the table.
    while chunk := result.fetchmany(_READ_ROWS):
        key_hashes, *business, ranks, event_ids, deleted, sources, instants, versions = zip(
            *chunk, strict=True
        )
        columns = [converted(column, read) for column, read in zip(business, reads, strict=True)]
        # `map` over the columns builds each row without a Python-level loop. The order is that of Row's
        # fields.
        yield from map(
            Row,
            key_hashes,
            ranks,
            map(event_id, event_ids),
            map(bool, deleted),
            sources,
            map(instant, instants),
            versions,
            zip(*columns, strict=True),
        )
