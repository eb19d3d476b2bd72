"""Rows into #rows, the temporary table that the guard reads: the one way that carries many values.

JSON texts of arrays, read by OPENJSON, are the fastest way that is right for all types but binary ones, and
for text that is not long (figures: docs/benchmarks.md). A text costs by its length: what all rows have in
common is said once beside it. Elsewhere it is VALUES with literals, at most 1,000 rows a statement.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from consumers.warehouse.columns import converted
from consumers.warehouse.mssql.sql import (
    MAX_RANK,
    collated,
    listed,
    quoted,
    text,
    types_of,
)
from consumers.warehouse.mssql.values import (
    BINARY_COLLATION,
    binary_text,
    instant_text,
    storage_of,
    uuid_text,
)
from consumers.warehouse.port import MAX_SOURCE, HistoryRow, RefusedRowError, Row
from consumers.warehouse.tables import KEY_HASH, StagingTable
from schemas.payload.fields import Field

JSON_ROWS = 5_000
"""Of one statement."""
JSON_TEXT_ROWS = 1_000
"""Of one JSON text in it."""
JSON_TEXT = 2_000
"""Characters: at most 4,000 units of UTF-16, which is as far as JSON functions go for certain."""
LITERAL_ROWS = 1_000
"""What a table value constructor takes."""

_ONCE = ("_deleted", "_source", "_schema_version")
"""Mostly the same in all rows of a batch."""

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


AnyRow: TypeAlias = Row | HistoryRow


class LoadStatement(NamedTuple):
    """A statement that fills #rows, with the parameters of its placeholders."""

    rows: int
    statement: str
    parameters: tuple[object, ...] | None


def loads(table: StagingTable, rows: Sequence[AnyRow]) -> Iterator[LoadStatement]:
    """The rows in the order of their keys, so that two writers meet in one order, in pieces.

    Raises RefusedRowError for a row with a value that no column of SQL Server holds.
    """
    ordered = sorted(rows, key=_place)
    fields = table.fields
    literal = ordered if any(field.kind == "bytes" for field in fields) else _with_long_text(table, ordered)
    plain = [] if literal is ordered else _without(ordered, literal)
    for start in range(0, len(plain), JSON_ROWS):
        yield _json(table, plain[start : start + JSON_ROWS])
    for start in range(0, len(literal), LITERAL_ROWS):
        yield _literals(table, literal[start : start + LITERAL_ROWS])


def _with_long_text(table: StagingTable, rows: Sequence[AnyRow]) -> Sequence[AnyRow]:
    places = [place for place, field in enumerate(table.fields) if storage_of(field).unbounded]
    return [row for row in rows if any(len(str(row.values[place] or "")) > JSON_TEXT for place in places)]


def _without(rows: Sequence[AnyRow], others: Sequence[AnyRow]) -> Sequence[AnyRow]:
    gone = {_place(row) for row in others}
    return [row for row in rows if _place(row) not in gone] if gone else rows


def _place(row: AnyRow) -> tuple[bytes, str]:
    """History has several rows of a key."""
    return row.key_hash, row.rank


def _json(table: StagingTable, rows: Sequence[AnyRow]) -> LoadStatement:
    sent = dict(zip(table.columns, _columns(table, rows), strict=False))
    once = {name: sent.pop(name)[0] for name in _ONCE if len(set(sent[name])) == 1}
    prefix = _common_prefix([row.rank for row in rows])
    sent["_rank"] = [row.rank[len(prefix) :] for row in rows]
    arrays = list(zip(*sent.values(), strict=True))
    texts = [_encode(arrays[start : start + JSON_TEXT_ROWS]) for start in range(0, len(rows), JSON_TEXT_ROWS)]
    declared = "".join(f", @{name} {types_of(table)[name]} = %s" for name in once)
    statement = (
        f"DECLARE @prefix VARCHAR({MAX_RANK}) = %s{declared}, @json NVARCHAR(MAX); SET @loaded = 0; "
        + "".join(_json_text(table, list(sent), once, into) for into in (True, *[False] * (len(texts) - 1)))
    )
    return LoadStatement(len(rows), statement, (prefix, *once.values(), *texts))


def _common_prefix(ranks: Sequence[str]) -> str:
    least, greatest = min(ranks), max(ranks)
    for place, character in enumerate(least):
        if greatest[place] != character:  # the greatest of equal beginning is no shorter
            return least[:place]
    return least


def _json_text(table: StagingTable, sent: Sequence[str], once: Mapping[str, object], into: bool) -> str:
    """The next text, which makes #rows or adds to it."""
    types = {KEY_HASH: "UNIQUEIDENTIFIER", **types_of(table)}
    shape = ", ".join(f"{quoted(name)} {types[name]} '$[{place}]'" for place, name in enumerate(sent))
    columns = table.columns[:-1]
    chosen = ", ".join(_chosen(name, name in once, name in collated(table)) for name in columns)
    made = f"SELECT {chosen} INTO #rows" if into else f"INSERT INTO #rows ({listed(columns)}) SELECT {chosen}"
    read = f"{made} FROM OPENJSON(@json) WITH ({shape})"
    return f"SET @json = %s; {read}; SET @loaded = @loaded + @@ROWCOUNT; "


def _chosen(name: str, is_once: bool, is_text: bool) -> str:
    if name == KEY_HASH:
        return f"CAST({quoted(name)} AS BINARY(16)) AS {quoted(name)}"
    value = f"@{name}" if is_once else f"@prefix + {quoted(name)}" if name == "_rank" else quoted(name)
    if is_text:
        return f"{value} COLLATE {BINARY_COLLATION} AS {quoted(name)}"
    return f"{value} AS {quoted(name)}" if is_once else value


def _literals(table: StagingTable, rows: Sequence[AnyRow]) -> LoadStatement:
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
    return LoadStatement(
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


def _columns(table: StagingTable, rows: Sequence[AnyRow]) -> Iterator[Sequence[object]]:
    """What each column of `StagingTable.columns` but the last is sent as."""
    key_hashes, ranks, event_ids, deleted, sources, occurred, versions, values, *operations = zip(
        *rows, strict=True
    )
    if any(map(_is_odd_rank, ranks)) or any(map(_is_long_source, {*sources})):
        raise _refused(table, rows)
    yield [binary_text(each) for each in key_hashes]
    for field, column in zip(table.fields, zip(*values, strict=True), strict=True):
        yield _written(table, field, column, rows)
    yield ranks
    yield [uuid_text(each) for each in event_ids]
    yield from (deleted, sources, [instant_text(each) for each in occurred], versions, *operations)


def _written(
    table: StagingTable, field: Field, column: Sequence[object], rows: Sequence[AnyRow]
) -> Sequence[object]:
    try:
        return converted(column, storage_of(field).write)
    except ValueError:
        raise _refused(table, rows) from None


def _refused(table: StagingTable, rows: Sequence[AnyRow]) -> RefusedRowError:
    """All of these rows that hold a value that no column of SQL Server takes."""
    broken = ((row, _broken_rule(table, row)) for row in rows)
    return RefusedRowError.of(
        table.entity.name, [(row, f"the warehouse refuses the row: {rule}") for row, rule in broken if rule]
    )


def _broken_rule(table: StagingTable, row: AnyRow) -> str | None:
    if _is_odd_rank(row.rank):
        return f"its rank, position and what follows it, takes at most {MAX_RANK} characters of ASCII"
    if _is_long_source(row.source):
        return f"the name of its source takes at most {MAX_SOURCE} characters"
    for field, value in zip(table.fields, row.values, strict=True):
        try:
            converted([value], storage_of(field).write)
        except ValueError as rule:
            return f"field {field.name}: {rule}"
    return None


def _is_odd_rank(rank: str) -> bool:
    """A second check, as the next one is: `consumers.rows` lets no such event come so far."""
    return len(rank) > MAX_RANK or not rank.isascii()


def _is_long_source(source: str) -> bool:
    return len(source) * 2 > MAX_SOURCE and len(source.encode("utf-16-le")) > 2 * MAX_SOURCE


def nothing_lost(load: LoadStatement, loaded: int) -> None:
    """Every row that was sent is in #rows, or nothing is committed (INV-4). Raises RuntimeError."""
    if loaded != load.rows:
        raise RuntimeError(f"{load.rows} rows were sent and {loaded} arrived")


def json_text(rows: Sequence[Sequence[object]]) -> str:
    """Arrays as one JSON parameter."""
    return _encode(rows)
