"""Rows into #rows, the temporary table that the guard reads: the one way that carries many values.

One JSON text of arrays, read by OPENJSON, is the fastest way that is right for all types but binary ones, and
for text that is not long (DECISIONS.md has the figures). Elsewhere it is VALUES with literals, at most 1,000
rows a statement.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from consumers.warehouse.columns import converted
from consumers.warehouse.mssql_sql import (
    MAX_RANK,
    MAX_SOURCE,
    collated,
    listed,
    quoted,
    text,
    types_of,
)
from consumers.warehouse.mssql_values import (
    BINARY_COLLATION,
    binary_text,
    instant_text,
    storage_of,
)
from consumers.warehouse.port import RefusedRowError, Row
from consumers.warehouse.tables import KEY_HASH, StagingTable
from schemas.fields import Field

JSON_ROWS = 5_000
JSON_TEXT = 2_000
"""Characters: at most 4,000 units of UTF-16, which is as far as JSON functions go for certain."""
LITERAL_ROWS = 1_000
"""What a table value constructor takes."""

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class Load(NamedTuple):
    """A statement that fills #rows, with the parameters of its placeholders."""

    rows: int
    statement: str
    parameters: tuple[str, ...] | None


def loads(table: StagingTable, rows: Sequence[Row]) -> Iterator[Load]:
    """The rows in the order of their keys, so that two writers meet in one order, in pieces.

    Raises RefusedRowError for a row with a value that no column of SQL Server holds.
    """
    ordered = sorted(rows, key=_key_hash)
    fields = table.fields
    literal = ordered if any(field.kind == "bytes" for field in fields) else _with_long_text(table, ordered)
    plain = [] if literal is ordered else _without(ordered, literal)
    for start in range(0, len(plain), JSON_ROWS):
        yield _json(table, plain[start : start + JSON_ROWS])
    for start in range(0, len(literal), LITERAL_ROWS):
        yield _literals(table, literal[start : start + LITERAL_ROWS])


def _with_long_text(table: StagingTable, rows: Sequence[Row]) -> Sequence[Row]:
    places = [place for place, field in enumerate(table.fields) if storage_of(field).unbounded]
    return [row for row in rows if any(len(str(row.values[place] or "")) > JSON_TEXT for place in places)]


def _without(rows: Sequence[Row], others: Sequence[Row]) -> Sequence[Row]:
    gone = {row.key_hash for row in others}
    return [row for row in rows if row.key_hash not in gone] if gone else rows


def _key_hash(row: Row) -> bytes:
    return row.key_hash


def _json(table: StagingTable, rows: Sequence[Row]) -> Load:
    columns = table.columns[:-1]
    types = {KEY_HASH: "UNIQUEIDENTIFIER", **types_of(table)}
    shape = ", ".join(f"{quoted(name)} {types[name]} '$[{place}]'" for place, name in enumerate(columns))
    chosen = ", ".join(_chosen(name, name in collated(table)) for name in columns)
    statement = f"SELECT {chosen} INTO #rows FROM OPENJSON(%s) WITH ({shape}); SET @loaded = @@ROWCOUNT; "
    return Load(len(rows), statement, (_encode(list(zip(*_columns(table, rows), strict=True))),))


def _chosen(name: str, is_text: bool) -> str:
    if name == KEY_HASH:
        return f"CAST({quoted(name)} AS BINARY(16)) AS {quoted(name)}"
    return f"{quoted(name)} COLLATE {BINARY_COLLATION} AS {quoted(name)}" if is_text else quoted(name)


def _literals(table: StagingTable, rows: Sequence[Row]) -> Load:
    columns = table.columns[:-1]
    types = {KEY_HASH: "UNIQUEIDENTIFIER", **types_of(table)}
    named = ", ".join(
        f"{quoted(name)} {'BINARY(16)' if name == KEY_HASH else types[name]}"
        f"{f' COLLATE {BINARY_COLLATION}' if name in collated(table) else ''} NULL"
        for name in columns
    )
    shown = [list(map(_literal, column)) for column in _columns(table, rows)]
    shown[0] = ["0x" + row.key_hash.hex() for row in rows]
    values = ", ".join(f"({', '.join(each)})" for each in zip(*shown, strict=True))
    return Load(
        len(rows),
        f"CREATE TABLE #rows ({named}); INSERT INTO #rows ({listed(columns)}) VALUES {values}; "
        "SET @loaded = @@ROWCOUNT; ",
        None,
    )


def literal_of(field: Field) -> str:
    """A field's default as a literal of its column."""
    return _literal(converted([field.default_or_none], storage_of(field).write)[0])


def _literal(value: object) -> str:
    """Of one type in a column, whatever its values: VALUES unites the types of its rows."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "1" if value else "0"
        case float():
            shown = repr(value)
            return shown if "e" in shown else f"{shown}e0"
        case bytes():
            return "0x" + value.hex()
        case str():
            return text(value)
    return str(value)


def _columns(table: StagingTable, rows: Sequence[Row]) -> Iterator[Sequence[object]]:
    """What each column of `StagingTable.columns` but the last is sent as."""
    key_hashes, ranks, event_ids, deleted, sources, occurred, versions, values = zip(*rows, strict=True)
    _refuse_long(table, rows)
    yield [binary_text(each) for each in key_hashes]
    for field, column in zip(table.fields, zip(*values, strict=True), strict=True):
        yield _written(table, field, column, rows)
    yield ranks
    yield [_uuid_text(each) for each in event_ids]
    yield from (deleted, sources, [instant_text(each) for each in occurred], versions)


def _uuid_text(value: bytes) -> str:
    shown = value.hex()
    return f"{shown[:8]}-{shown[8:12]}-{shown[12:16]}-{shown[16:20]}-{shown[20:]}"


def _written(
    table: StagingTable, field: Field, column: Sequence[object], rows: Sequence[Row]
) -> Sequence[object]:
    write = storage_of(field).write
    try:
        return converted(column, write)
    except ValueError:
        for row, value in zip(rows, column, strict=True):
            try:
                converted([value], write)
            except ValueError as rule:
                raise _refused(table, row, f"field {field.name}: {rule}") from None
        raise


def _refuse_long(table: StagingTable, rows: Sequence[Row]) -> None:
    """Positions and sources are free text to the envelope; what they are stored in is not."""
    for row in rows:
        if len(row.rank) > MAX_RANK or not row.rank.isascii():
            raise _refused(table, row, f"a rank is at most {MAX_RANK} characters of ASCII")
        if len(row.source) * 2 > MAX_SOURCE and len(row.source.encode("utf-16-le")) > 2 * MAX_SOURCE:
            raise _refused(table, row, f"the name of a source has at most {MAX_SOURCE} characters")


def _refused(table: StagingTable, row: Row, rule: str) -> RefusedRowError:
    return RefusedRowError(table.entity.name, row.key_hash, f"the warehouse refuses the row: {rule}")


def nothing_lost(load: Load, loaded: int) -> None:
    """Every row that was sent is in #rows, or nothing is committed (INV-4). Raises RuntimeError."""
    if loaded != load.rows:
        raise RuntimeError(f"{load.rows} rows were sent and {loaded} arrived")


def json_text(rows: Sequence[Sequence[object]]) -> str:
    """Arrays as one JSON parameter."""
    return _encode(rows)
