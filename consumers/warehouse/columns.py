"""Values column by column, for every engine: few Python operations for each row."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from consumers.warehouse.port import Row

Convert = Callable[[Any], object]

_READ_ROWS = 1_000


class Result(Protocol):
    """What a SELECT of an engine's `select_rows` gives."""

    def fetchmany(self, size: int) -> Sequence[Sequence[Any]]: ...


def converted(column: Sequence[object], convert: Convert | None) -> Sequence[object]:
    """A column's values through `convert`; NULL stays NULL."""
    if convert is None:
        return column
    return [None if value is None else convert(value) for value in column]


def typed_rows(
    result: Result,
    reads: Sequence[Convert | None],
    event_id: Callable[[Any], bytes],
    instant: Callable[[Any], int],
) -> Iterator[Row]:
    """The selected rows, typed, as they come from the server. `reads`: of the business columns."""
    while chunk := result.fetchmany(_READ_ROWS):
        key_hashes, *business, ranks, event_ids, deleted, sources, instants, versions = zip(
            *chunk, strict=True
        )
        columns = [converted(column, read) for column, read in zip(business, reads, strict=True)]
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
