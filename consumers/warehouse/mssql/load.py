"""Loading of rows into #rows, the temporary table that the guard reads.

Rows are sent as JSON arrays and read with OPENJSON. That is the fastest way (docs/benchmarks.md) that is
exact for all types but binary ones and long text; those rows are sent as literals in VALUES, at most 1,000
per statement. The cost of JSON grows with its length, so values that are equal in all rows are sent once.
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
"""Rows per statement."""
JSON_TEXT_ROWS = 1_000
"""Rows per JSON text in a statement."""
JSON_TEXT = 2_000
"""Characters: at most 4,000 UTF-16 code units, the documented limit of some JSON functions."""
LITERAL_ROWS = 1_000
"""Rows per statement: the limit of a table value constructor."""

_ONCE = ("_deleted", "_source", "_schema_version")
"""Columns that usually have one value in all rows of a batch."""

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


AnyRow: TypeAlias = Row | HistoryRow


class LoadStatement(NamedTuple):
    """A statement that loads `rows` rows into #rows, with its parameters if it has placeholders."""

    rows: int
    statement: str
    parameters: tuple[object, ...] | None


def loads(table: StagingTable, rows: Sequence[AnyRow]) -> Iterator[LoadStatement]:
    """Yield statements that load the rows, in several pieces if there are many.

    Raises RefusedRowError for rows with a value that no column of SQL Server can store.
    """
    # In key order, so that concurrent writers lock keys in one order and deadlock less often.
    ordered = sorted(rows, key=_identity)
    fields = table.fields
    literal = ordered if any(field.kind == "bytes" for field in fields) else _with_long_text(table, ordered)
    plain = [] if literal is ordered else _without(ordered, literal)
    for start in range(0, len(plain), JSON_ROWS):
        yield _json(table, plain[start : start + JSON_ROWS])
    for start in range(0, len(literal), LITERAL_ROWS):
        yield _literals(table, literal[start : start + LITERAL_ROWS])


def _with_long_text(table: StagingTable, rows: Sequence[AnyRow]) -> Sequence[AnyRow]:
    """Return the rows with a text that is too long for JSON."""
    indexes = [index for index, field in enumerate(table.fields) if storage_of(field).unbounded]
    return [row for row in rows if any(len(str(row.values[index] or "")) > JSON_TEXT for index in indexes)]


def _without(rows: Sequence[AnyRow], others: Sequence[AnyRow]) -> Sequence[AnyRow]:
    excluded = {_identity(row) for row in others}
    return [row for row in rows if _identity(row) not in excluded] if excluded else rows


def _identity(row: AnyRow) -> tuple[bytes, str]:
    # The rank, too, because history has several rows of one key.
    return row.key_hash, row.rank


def _json(table: StagingTable, rows: Sequence[AnyRow]) -> LoadStatement:
    """Return the statement that loads rows as JSON.

    Constant columns and the common prefix of the ranks are parameters of their own.
    """
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
    """Return the longest prefix that all ranks share."""
    # The prefix that the least and the greatest share is shared by every rank between them.
    least, greatest = min(ranks), max(ranks)
    for index, character in enumerate(least):
        if greatest[index] != character:  # if `greatest` starts with `least`, the loop ends before its end
            return least[:index]
    return least


def _json_text(table: StagingTable, sent: Sequence[str], once: Mapping[str, object], into: bool) -> str:
    """Return the statements that read one JSON text; the first one (`into`) creates #rows."""
    types = {KEY_HASH: "UNIQUEIDENTIFIER", **types_of(table)}
    shape = ", ".join(f"{quoted(name)} {types[name]} '$[{index}]'" for index, name in enumerate(sent))
    columns = table.columns[:-1]
    chosen = ", ".join(_chosen(name, name in once, name in collated(table)) for name in columns)
    insert = (
        f"SELECT {chosen} INTO #rows" if into else f"INSERT INTO #rows ({listed(columns)}) SELECT {chosen}"
    )
    read = f"{insert} FROM OPENJSON(@json) WITH ({shape})"
    return f"SET @json = %s; {read}; SET @loaded = @loaded + @@ROWCOUNT; "


def _chosen(name: str, is_once: bool, is_text: bool) -> str:
    """Return the expression of one column in the SELECT from OPENJSON."""
    if name == KEY_HASH:
        return f"CAST({quoted(name)} AS BINARY(16)) AS {quoted(name)}"
    value = f"@{name}" if is_once else f"@prefix + {quoted(name)}" if name == "_rank" else quoted(name)
    if is_text:
        return f"{value} COLLATE {BINARY_COLLATION} AS {quoted(name)}"
    return f"{value} AS {quoted(name)}" if is_once else value


def _literals(table: StagingTable, rows: Sequence[AnyRow]) -> LoadStatement:
    """Return the statement that loads rows as literals, without parameters."""
    columns = table.columns[:-1]
    types = {KEY_HASH: "UNIQUEIDENTIFIER", **types_of(table)}
    named = ", ".join(
        f"{quoted(name)} {'BINARY(16)' if name == KEY_HASH else types[name]}"
        f"{f' COLLATE {BINARY_COLLATION}' if name in collated(table) else ''} NULL"
        for name in columns
    )
    literals = [list(map(_literal, column)) for column in _columns(table, rows)]
    # A literal can be binary. Only JSON needs the key hash as the text of a UUID.
    literals[0] = ["0x" + row.key_hash.hex() for row in rows]
    values = ", ".join(f"({', '.join(row_literals)})" for row_literals in zip(*literals, strict=True))
    return LoadStatement(
        len(rows),
        f"CREATE TABLE #rows ({named}); INSERT INTO #rows ({listed(columns)}) VALUES {values}; "
        "SET @loaded = @@ROWCOUNT; ",
        None,
    )


def literal_of(field: Field) -> str:
    """Return the default of a field as a T-SQL literal."""
    return _literal(converted([field.default_or_none], storage_of(field).write)[0])


def _literal(value: object) -> str:
    """Return a value as a T-SQL literal."""
    # VALUES converts a column to the common type of its rows, so every value of a column must have the same
    # type of literal: a float without an exponent would be a DECIMAL.
    match value:
        case None:
            return "NULL"
        case bool():
            return "1" if value else "0"
        case float():
            digits = repr(value)
            return digits if "e" in digits else f"{digits}e0"
        case bytes():
            return "0x" + value.hex()
        case str():
            return text(value)
    return str(value)


def _columns(table: StagingTable, rows: Sequence[AnyRow]) -> Iterator[Sequence[object]]:
    """Yield the converted values of each column of `StagingTable.columns` but the last.

    Raises RefusedRowError.
    """
    key_hashes, ranks, event_ids, deleted, sources, occurred, versions, values, *operations = zip(
        *rows, strict=True
    )
    if any(map(_is_invalid_rank, ranks)) or any(map(_is_long_source, {*sources})):
        raise _refused(table, rows)
    yield [binary_text(key_hash) for key_hash in key_hashes]
    for field, column in zip(table.fields, zip(*values, strict=True), strict=True):
        yield _written(table, field, column, rows)
    yield ranks
    yield [uuid_text(event_id) for event_id in event_ids]
    # History has one more column, the operation.
    yield from (deleted, sources, [instant_text(moment) for moment in occurred], versions, *operations)


def _written(
    table: StagingTable, field: Field, column: Sequence[object], rows: Sequence[AnyRow]
) -> Sequence[object]:
    try:
        return converted(column, storage_of(field).write)
    except ValueError:
        # The ValueError does not identify its row, so all rows are checked one by one.
        raise _refused(table, rows) from None


def _refused(table: StagingTable, rows: Sequence[AnyRow]) -> RefusedRowError:
    """Return the error for all rows with a value that no column of SQL Server can store."""
    broken = ((row, _broken_rule(table, row)) for row in rows)
    return RefusedRowError.of(
        table.entity.name, [(row, f"the warehouse refuses the row: {rule}") for row, rule in broken if rule]
    )


def _broken_rule(table: StagingTable, row: AnyRow) -> str | None:
    """Return the rule that a row breaks, naming the field but no value (INV-7); None for a valid row."""
    if _is_invalid_rank(row.rank):
        return f"its rank, which begins with the position, takes at most {MAX_RANK} characters of ASCII"
    if _is_long_source(row.source):
        return f"the name of its source takes at most {MAX_SOURCE} characters"
    for field, value in zip(table.fields, row.values, strict=True):
        try:
            converted([value], storage_of(field).write)
        except ValueError as rule:
            return f"field {field.name}: {rule}"
    return None


def _is_invalid_rank(rank: str) -> bool:
    # `consumers.rows` refuses such an event earlier. Checked again, here and below, because a truncated rank
    # or source would corrupt the table silently.
    return len(rank) > MAX_RANK or not rank.isascii()


def _is_long_source(source: str) -> bool:
    return len(source) * 2 > MAX_SOURCE and len(source.encode("utf-16-le")) > 2 * MAX_SOURCE


def check_all_loaded(load: LoadStatement, loaded: int) -> None:
    """Raise RuntimeError unless all rows that were sent are in #rows (INV-4)."""
    if loaded != load.rows:
        raise RuntimeError(f"{load.rows} rows were sent and {loaded} arrived")


def json_text(rows: Sequence[Sequence[object]]) -> str:
    """Return arrays as one JSON parameter."""
    return _encode(rows)
