"""One row of text to one event. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from producers.csv.places import Reject, Row, Sheet
from producers.csv.text import BadFileError
from producers.csv.values import Read, reader
from schemas.entity import CsvSource, Entity
from schemas.errors import PoisonEventError
from schemas.event import Event, Operation, make_event
from schemas.fields import NO_DEFAULT, Field, FieldType
from schemas.keys import canonical_key


class RowReader:
    """Reads the rows of one file. Compiled once for it."""

    def __init__(self, entity: Entity, source: CsvSource, sheet: Sheet, columns: Sequence[str]) -> None:
        """Raises BadFileError where a field's column is missing or is there twice. Others are ignored."""
        _check(entity, source, columns)
        places = {column: index for index, column in enumerate(columns)}
        there = [field for field in entity.schema.fields if field.source_name(source.name) in places]
        self._fields = there
        self._cells = [
            (field.name, places[field.source_name(source.name)], _cell(field, source.trim)) for field in there
        ]
        self._columns = columns
        self._width = len(columns)
        self._source = source.name
        self._schema = entity.schema
        self._operation = Operation.UPSERT if entity.key else Operation.INSERT
        self._sheet = sheet

    def event(self, row: Row) -> Event:
        """Raises PoisonEventError for a bad row: `reject` finds out all that is wrong with it."""
        cells = row.cells
        if len(cells) != self._width:
            raise PoisonEventError(f"the row has {len(cells)} cells, the header {self._width}")
        try:
            values = {name: read(cells[index]) for name, index, read in self._cells}
        except ValueError as broken_rule:
            raise PoisonEventError(str(broken_rule)) from None
        payload = self._schema.encode(values)
        identity = [values[name] for name in self._schema.key] or self._sheet.identity(row)
        return make_event(
            source=self._source,
            entity=self._schema.entity,
            operation=self._operation,
            key=canonical_key(identity),
            position=row.position,
            occurred_at=row.occurred_at,
            schema_fingerprint=self._schema.fingerprint,
            after=payload,
            metadata={"file": self._sheet.name, "row": str(row.number)},
        )

    def reject(self, row: Row, error: PoisonEventError) -> Reject:
        """Everything that is wrong with a row; `error` where no single cell is."""
        bad = list(self._bad_cells(row.cells)) or [("", error.reason)]
        columns = ", ".join(column for column, _ in bad)
        reason = "; ".join(f"{column} {rule}".lstrip() for column, rule in bad)
        return Reject(row.number, row.reported, columns, reason, row.cells)

    def _bad_cells(self, cells: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Column and broken rule, of each bad cell of a row that has all its cells."""
        if len(cells) != self._width:
            return
        for field, (_, index, read) in zip(self._fields, self._cells, strict=True):
            try:
                field.pack(read(cells[index]))
            except (ValueError, PoisonEventError) as broken_rule:
                yield self._columns[index], str(broken_rule)


def _check(entity: Entity, source: CsvSource, columns: Sequence[str]) -> None:
    """A file lacks no field's column, except where entity.toml lists the columns: then the default counts."""
    times = Counter(columns)
    for field in entity.schema.fields:
        column = field.source_name(source.name)
        if times[column] > 1:
            raise BadFileError(f"the column {column} is there {times[column]} times")
        if not times[column] and (source.header is True or field.default is NO_DEFAULT):
            raise BadFileError(f"the column {column} is missing")


def _cell(field: Field, trim: bool) -> Read:
    """Text of a cell to a value. No text is null; where there is no null, it is the empty text or refused."""
    read = _text if field.kind is FieldType.STRING else reader(field)
    if field.nullable:
        filled: Read = lambda text: read(text) if text else None  # noqa: E731 - as fast as can be
    elif field.kind is FieldType.STRING:
        filled = read
    else:

        def filled(text: str) -> object:
            if not text:
                raise ValueError("is empty")
            return read(text)

    return (lambda text: filled(text.strip())) if trim else filled


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL")
    return text
