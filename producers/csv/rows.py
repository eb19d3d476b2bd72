"""Conversion of a row of text to an event. Pure."""

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
    """Reads the rows of one file. Prepared once for the file, for speed."""

    def __init__(
        self,
        entity: Entity,
        source: CsvSource,
        sheet: Sheet,
        columns: Sequence[str],
        key: HashKey | None = None,
    ) -> None:
        """`key` hashes the hashed fields. Columns that no field names are ignored.

        Raises BadFileError if a field's column is missing or appears twice, and ConfigurationError if a field
        is hashed and `key` is None.
        """
        _check(entity, source, columns)
        indexes = {column: index for index, column in enumerate(columns)}
        fields = {field: indexes.get(field.source_name(source.name)) for field in entity.schema.fields}
        self._cells = [
            (field.name, index, packed_cell(field, source.trim, protection(field.private, key)))
            for field, index in fields.items()
            if index is not None
        ]
        self._absent = {
            field.name: field.pack(field.default) for field, index in fields.items() if index is None
        }
        self._key = [(field.name, field.unpack) for field in entity.key_fields]
        ambiguous = any(not has_one_text(field) for field in entity.key_fields)
        self.key_texts = KeyTexts() if ambiguous else None
        """The key texts of the rows read so far; None if each key has only one text."""
        key_indexes = [indexes[field.source_name(source.name)] for field in entity.key_fields]
        self._key_text = _text_at(key_indexes, source.trim)
        # Without a key the identity is file and row, which never equals this.
        self._empty_key = [""] * max(1, len(self._key))
        self._columns = columns
        self._width = len(columns)
        self._source = source.name
        self._schema = entity.schema
        self._operation = Operation.UPSERT if entity.key else Operation.INSERT
        self._sheet = sheet

    def event(self, row: CsvRow) -> Event:
        """Convert a row. Raises PoisonEventError for a bad one, of which `reject` finds all errors."""
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
            self.key_texts.observe(key, self._key_text(cells))
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
        """Return the reject of a row, with the errors of all its cells; with `error` if no cell has one."""
        bad = list(self._bad_cells(row.cells)) or [("", error.reason)]
        columns = ", ".join(column for column, _ in bad)
        reason = "; ".join(f"{column} {rule}".lstrip() for column, rule in bad)
        return Reject(row.number, row.reported, columns, reason, row.cells)

    def _bad_cells(self, cells: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield column and broken rule of each bad cell."""
        # In a row of another width, cells may belong to other columns than their indexes say.
        if len(cells) != self._width:
            return
        for _, index, pack in self._cells:
            try:
                pack(cells[index])
            except (ValueError, PoisonEventError) as broken_rule:
                yield self._columns[index], str(broken_rule)


def _text_at(indexes: Sequence[int], trim: bool) -> Callable[[Sequence[str]], Hashable]:
    """Return a function from a row's cells to those at these indexes; to the cell itself if only one."""
    if trim or not indexes:
        return lambda cells: tuple(cells[index].strip() for index in indexes)
    return itemgetter(*indexes)


def _check(entity: Entity, source: CsvSource, columns: Sequence[str]) -> None:
    """Require the column of each field exactly once.

    A column may be missing if its field has a default, and entity.toml lists the columns itself or accepts
    older files. Raises BadFileError.
    """
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
    """Return the fields added since the newest older version that the file fits; empty if it fits none."""
    for version in reversed(entity.older):
        if {field.source_name(source.name) for field in version.fields} <= {*columns}:
            return {field.name for field in entity.schema.fields} - {field.name for field in version.fields}
    return frozenset()


SLOTS = 2**17
"""Keys that are remembered, in 2 MB. A later key may overwrite an earlier one, so that in a larger file two
rows that are far apart may be missed."""


def has_one_text(field: Field) -> bool:
    """Return whether each value of the field has only one text."""
    return field.kind in (FieldType.STRING, FieldType.ENUM) or (
        field.kind is FieldType.DATE and field.format is None
    )


class KeyTexts:
    """Counts the rows of a file that have the key of an earlier row in another text, such as 1 and 01."""

    def __init__(self) -> None:
        self.rows = 0

    @cached_property
    def _slots(self) -> array[int]:
        """Pairs of the hash of a key and the hash of its text."""
        # Created at the first row: a file whose rows are only counted does not need them.
        return array("q", bytes(2 * 8 * SLOTS))

    def observe(self, key: str, text: Hashable) -> None:
        """Note the canonical key of a row, and the cell or cells that it comes from."""
        slots, key_hash, text_hash = self._slots, hash(key), hash(text)
        slot = key_hash % SLOTS * 2
        if slots[slot] == key_hash and slots[slot + 1] != text_hash:
            self.rows += 1
        slots[slot], slots[slot + 1] = key_hash, text_hash
