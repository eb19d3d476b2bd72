"""One row of text to one event. Pure."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence, Set
from functools import cached_property
from operator import itemgetter

from producers.csv.cells import packed_cell
from producers.csv.text import BadFileError
from producers.csv.uploads import CsvRow, Reject, Sheet
from schemas.catalog.entity import Entity
from schemas.errors import PoisonEventError
from schemas.event import Event, Operation, make_event
from schemas.keys import canonical_key
from schemas.payload.fields import NO_DEFAULT, Field, FieldType
from schemas.privacy import HashKey, protection
from schemas.sources.csv import CsvSource


class RowReader:
    """Reads the rows of one file. Compiled once for it."""

    def __init__(
        self,
        entity: Entity,
        source: CsvSource,
        sheet: Sheet,
        columns: Sequence[str],
        key: HashKey | None = None,
    ) -> None:
        """Raises BadFileError where a field's column is missing or is there twice. Others are ignored.

        `key` hashes the hashed fields. Raises ConfigurationError where there are some and no key.
        """
        _check(entity, source, columns)
        places = {column: index for index, column in enumerate(columns)}
        there = {f.name: places.get(f.source_name(source.name)) for f in entity.schema.fields}
        self._cells = [
            (field.name, index, packed_cell(field, source.trim, protection(field.private, key)))
            for field in entity.schema.fields
            if (index := there[field.name]) is not None
        ]
        self._absent = {f.name: f.pack(f.default) for f in entity.schema.fields if there[f.name] is None}
        self._key = [(field.name, field.unpack) for field in entity.key_fields]
        told_apart = [field for field in entity.key_fields if not has_one_text(field)]
        self.key_texts = KeyTexts() if told_apart else None
        """Of the rows read so far; None where no two texts have one key."""
        key_places = [places[field.source_name(source.name)] for field in entity.key_fields]
        self._key_text = _text_at(key_places, source.trim)
        self._empty_key = [""] * max(1, len(self._key))
        self._columns = columns
        self._width = len(columns)
        self._source = source.name
        self._schema = entity.schema
        self._operation = Operation.UPSERT if entity.key else Operation.INSERT
        self._sheet = sheet

    def event(self, row: CsvRow) -> Event:
        """Raises PoisonEventError for a bad row: `reject` finds out all that is wrong with it."""
        cells = row.cells
        if len(cells) != self._width:
            raise PoisonEventError(f"the row has {len(cells)} cells, the header {self._width}")
        try:
            packed = {name: pack(cells[index]) for name, index, pack in self._cells}
        except ValueError as broken_rule:
            raise PoisonEventError(str(broken_rule)) from None
        if self._absent:
            packed.update(self._absent)
        identity = [unpack(packed[name]) for name, unpack in self._key] or self._sheet.identity(row)
        if identity == self._empty_key:
            raise PoisonEventError("the key is empty")
        key = canonical_key(identity)
        if self.key_texts:
            self.key_texts.see(key, self._key_text(cells))
        return make_event(
            source=self._source,
            entity=self._schema.entity,
            operation=self._operation,
            key=key,
            position=row.position,
            occurred_at=row.occurred_at,
            schema_fingerprint=self._schema.fingerprint,
            after=self._schema.write(packed),
            metadata={"file": self._sheet.name, "row": str(row.number)},
        )

    def reject(self, row: CsvRow, error: PoisonEventError) -> Reject:
        """Everything that is wrong with a row; `error` where no single cell is."""
        bad = list(self._bad_cells(row.cells)) or [("", error.reason)]
        columns = ", ".join(column for column, _ in bad)
        reason = "; ".join(f"{column} {rule}".lstrip() for column, rule in bad)
        return Reject(row.number, row.reported, columns, reason, row.cells)

    def _bad_cells(self, cells: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Column and broken rule, of each bad cell of a row that has all its cells."""
        if len(cells) != self._width:
            return
        for _, index, pack in self._cells:
            try:
                pack(cells[index])
            except (ValueError, PoisonEventError) as broken_rule:
                yield self._columns[index], str(broken_rule)


def _text_at(places: Sequence[int], trim: bool) -> Callable[[Sequence[str]], Hashable]:
    """From a row's cells to those at these places; to the cell itself where it is one, which is quicker."""
    if trim or not places:
        return lambda cells: tuple(cells[place].strip() for place in places)
    return itemgetter(*places)


def _check(entity: Entity, source: CsvSource, columns: Sequence[str]) -> None:
    """Require each field's column, once. Where entity.toml lists the columns, or lets older files in, a
    column may be missing: then the default counts."""
    times = Counter(columns)
    later = _later_fields(entity, source, columns)
    for field in entity.schema.fields:
        column = field.source_name(source.name)
        if times[column] > 1:
            raise BadFileError(f"the column {column} is there {times[column]} times")
        needed = source.header is True or field.default is NO_DEFAULT or field.name in entity.key
        if needed and not times[column] and (field.name not in later or not source.older_files):
            hint = ": older_files = true takes files from before it was added" if field.name in later else ""
            raise BadFileError(f"the column {column} is missing{hint}")


def _later_fields(entity: Entity, source: CsvSource, columns: Sequence[str]) -> Set[str]:
    """The fields that came after the newest older version whose columns are all there; empty without one."""
    for version in reversed(entity.older):
        if {field.source_name(source.name) for field in version.fields} <= {*columns}:
            return {field.name for field in entity.schema.fields} - {field.name for field in version.fields}
    return frozenset()


SLOTS = 2**17
"""Keys that are remembered: 2 MB. A later key takes the place of an earlier one, so that in a larger file two
rows far apart may not be seen."""


def has_one_text(field: Field) -> bool:
    """Whether each value of the field can be written in one way alone."""
    return field.kind in (FieldType.STRING, FieldType.ENUM) or (
        field.kind is FieldType.DATE and field.format is None
    )


class KeyTexts:
    """Of one file, row by row."""

    def __init__(self) -> None:
        self.rows = 0
        """That have the key of an earlier row, written otherwise."""

    @cached_property
    def _slots(self) -> array[int]:
        """Hash of a key, then of its texts. A file that is only surveyed has no need of them."""
        return array("q", bytes(2 * 8 * SLOTS))

    def see(self, key: str, text: Hashable) -> None:
        """`key`: the canonical key of a row; `text`: the cell that it comes from, or the cells."""
        slots, hashed, written = self._slots, hash(key), hash(text)
        at = hashed % SLOTS * 2
        if slots[at] == hashed and slots[at + 1] != written:
            self.rows += 1
        slots[at], slots[at + 1] = hashed, written
