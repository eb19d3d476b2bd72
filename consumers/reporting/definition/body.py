"""Parser of a report file: the comment with its properties, and one SELECT.

Errors name the line and the column of the file, counted from 1 as in editors.
"""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from schemas.errors import ConfigurationError
from schemas.refusals import only_known

PROPERTIES = ("table", "key", "refresh", "types")
MAX_CHARACTERS = 200_000
"""Limit of a file. Hand-written SELECTs stay below a tenth of it; parsing this many takes seconds."""
TOO_LONG = (
    f"{MAX_CHARACTERS:,} characters are allowed. A report is one SELECT: rows that it looks up belong into "
    "an entity"
)

_HEADER = re.compile(r"\s*/\*\s*headwater\b(?P<properties>.*?)\*/", re.DOTALL | re.IGNORECASE)
_OPEN_HEADER = re.compile(r"\s*/\*\s*headwater\b", re.IGNORECASE)
_EXAMPLE = (
    'it begins like this: /* headwater, key = ["town"], */, on lines of their own, followed by the SELECT'
)
# Matches statements, not prose: "update daily" and "delete nothing" in a comment are allowed.
_STATEMENT = re.compile(
    r"""(?:^|;)\s*(?:
        (?:alter|create|drop)\s+(?:table|view|schema|proc\w*|function|trigger|\w*\s*index|database|login|user|role)\b
      | truncate\s+table\b
      | (?:delete\s+from|insert\s+into|merge\s+into|bulk\s+insert)\s
      | delete\s+[\w.\[\]]+\s*(?:;|$|\bwhere\b)
      | update\s+[\w.\[\]]+\s+set\b
      | exec(?:ute)?\s*(?:\(|[\w\[\]]+[._]\w|\w+\s*(?:;|$|@|'))
      | (?:grant|revoke|deny)\s.+\bto\b
      | use\s+[\w\[\]]+\s*(?:;|$)
    )""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_BEGINS = (
    "ALTER BACKUP BULK CREATE DECLARE DELETE DENY DROP EXEC EXECUTE GRANT IF INSERT KILL MERGE PRINT RESTORE "
    "REVOKE SELECT SET SHUTDOWN TRUNCATE UPDATE USE WAITFOR WHILE WITH "
)
"""Words that begin a statement, each followed by a blank."""
_CHANGES = (exp.DML, exp.DDL, exp.Into, exp.Command, exp.Drop, exp.Alter, exp.Execute)
# Control characters, soft hyphens, zero-width and bidirectional marks: pasted from documents, invisible in
# editors.
_UNSEEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_ODD_QUOTES = re.compile("[‘’‚‛“”„‟´`]")
_TEXTS = frozenset([TokenType.STRING, TokenType.NATIONAL_STRING])

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what is refused here anyway


def split(text: str) -> tuple[Mapping[str, Any], str]:
    """Return the properties of a file, and the rest of it padded so that line numbers stay those of the file.

    Raises ConfigurationError.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigurationError(f"the file has {len(text):,} characters: {TOO_LONG}")
    if not text.strip():
        raise ConfigurationError(f"the file is empty: {_EXAMPLE}")
    if "\0" in text:
        line, column = line_and_column(text, text.index("\0"))
        raise ConfigurationError(
            f"line {line}, column {column}: a NUL character: the file is not text, or is damaged"
        )
    header = _HEADER.match(text)
    if header is None:
        if _OPEN_HEADER.match(text):
            raise ConfigurationError("the comment at the beginning has no end: */ on a line of its own")
        raise ConfigurationError(f"the file does not begin with a comment that sets its key: {_EXAMPLE}")
    return _properties(text, header), "\n" * text[: header.end()].count("\n") + text[header.end() :]


def _properties(text: str, header: re.Match[str]) -> Mapping[str, Any]:
    if "/*" in header["properties"]:
        raise ConfigurationError("the comment at the beginning contains another one: remove the inner /*")
    # tomllib counts lines from its own first line.
    above = "\n" * text[: header.start("properties")].count("\n")
    try:
        properties = tomllib.loads(above + header["properties"])
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f'the comment at the beginning is not TOML, as in key = ["town", "plan"]: {error}'
        ) from None
    only_known("the comment at the beginning", properties, PROPERTIES)
    return properties


def line_and_column(text: str, start: int) -> tuple[int, int]:
    """Return line and column of a character, both counted from 1."""
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)


def location(identifier: exp.Expr | None) -> str:
    """Return where an identifier begins as the prefix of an error text; empty where it is not known."""
    meta = identifier.meta if identifier is not None else {}
    if "line" not in meta:
        return ""
    # sqlglot's `col` is the column of the token's last character.
    return f"line {meta['line']}, column {meta['col'] - meta['end'] + meta['start']}: "


def location_within(tree: exp.Expr) -> str:
    """Return the location of the first identifier within the tree."""
    return next(filter(None, (location(node) for node in tree.walk(bfs=False))), "")


def parsed(body: str) -> exp.Query:
    """Return the one SELECT of the body. Raises ConfigurationError."""
    try:
        tokens = sqlglot.tokenize(body, read="tsql")
        # Token checks come first: after a stray character the parser's message would name a consequence of
        # it.
        _check_tokens(tokens)
        _check_comments(tokens)
        _check_names_of_days(tokens)
        statements = [statement for statement in sqlglot.parse(body, read="tsql") if statement is not None]
    except ParseError as error:
        raise _syntax(error) from None
    except TokenError as error:
        raise _without_end(body, error) from None
    except RecursionError:
        raise ConfigurationError("the SELECT nests brackets too deeply to be parsed") from None
    except SqlglotError as error:
        raise ConfigurationError(f"the SELECT can't be read: {error}") from None
    # A semicolon with a comment behind it is a statement of its own to sqlglot.
    statements = [statement for statement in statements if not isinstance(statement, exp.Semicolon)]
    if not statements:
        raise ConfigurationError(
            "there is no SELECT after the comment: SELECT s.urn, s.name FROM staging.school AS s"
        )
    if len(statements) > 1:
        raise ConfigurationError(f"{len(statements)} statements after the comment: a report is one SELECT")
    return _one_select(statements[0], tokens[0].text.upper())


def _check_names_of_days(tokens: list[Token]) -> None:
    """Refuse DATENAME of parts whose text FORMAT, which sqlglot writes instead, renders differently."""
    for named, _, part in zip(tokens, tokens[1:], tokens[2:], strict=False):
        kept = ("month", "mm", "m", "weekday", "dw", "w", "year", "yyyy")
        if named.text.upper() == "DATENAME" and part.text.lower() not in kept:
            raise ConfigurationError(
                f"line {named.line}: DATENAME({part.text}, ...): use DATEPART and CAST it to text"
            )


def selects_of(query: exp.Expr) -> Iterator[exp.Select]:
    """Yield the SELECTs of a UNION from left to right, or the only SELECT."""
    query = query.unnest()
    if isinstance(query, exp.SetOperation):
        yield from selects_of(query.this)
        yield from selects_of(query.expression)
    elif isinstance(query, exp.Select):
        yield query


def _one_select(statement: exp.Expr, first: str) -> exp.Query:
    query = statement.unnest() if isinstance(statement, exp.Subquery) and not statement.alias else statement
    if query.find(exp.Into):
        raise ConfigurationError("SELECT INTO: a report is one SELECT, and changes nothing: leave INTO out")
    changes = next(query.find_all(*_CHANGES), None)
    if not isinstance(query, (exp.Select, exp.SetOperation)) or changes is not None:
        named = first if changes is None or changes is query else changes.key.upper()
        raise ConfigurationError(f"{named}: a report is one SELECT, and changes nothing")
    if query.args.get("order") and not query.args.get("limit"):
        raise ConfigurationError("ORDER BY at the end: a table has no order: sort when reading it")
    return query


def _syntax(error: ParseError) -> ConfigurationError:
    details = error.errors[0]
    near, description = str(details["highlight"]), str(details["description"])
    where = f"line {details['line']}, column {details['col'] - len(near) + 1}: "
    word = near.upper()
    if word == "GO":
        return ConfigurationError(f"{where}GO is a command of SQL tools, not T-SQL: leave it out")
    if description.startswith("Invalid expression"):
        if f"{word} " in _BEGINS:
            return ConfigurationError(f"{where}{word} begins another statement: a report is one SELECT")
        return ConfigurationError(f"{where}{near!r} is not expected here")
    if description.startswith("Required keyword"):
        return ConfigurationError(f"{where}something is missing at {near!r}")
    return ConfigurationError(f"{where}{description.split(' but got')[0]}, near {near!r}")


def _without_end(body: str, error: TokenError) -> ConfigurationError:
    """Return the error for a text, a name or a comment that is not closed before the end of the file."""
    missing = re.match(r"Missing (\S+) from", str(error.__cause__))
    # The tokenizer reports no position for a text that is not closed.
    start = _last_opened(body)
    line, column = line_and_column(body, start)
    kind = {"'": "a text", "*/": "a comment"}.get(missing[1] if missing else "*/", "a name")
    return ConfigurationError(
        f"line {line}, column {column}: {kind} begins here and has no end: {missing[1] if missing else '*/'}"
    )


_PIECES = re.compile(r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'?|\"[^\"]*\"?|\[[^\]]*\]?", re.DOTALL)


def _last_opened(body: str) -> int:
    pieces = list(_PIECES.finditer(body))
    return next((piece.start() for piece in reversed(pieces) if not piece[0].startswith("--")), len(body) - 1)


def _check_tokens(tokens: list[Token]) -> None:
    for token in tokens:
        if token.token_type in _TEXTS:
            continue
        where = f"line {token.line}, column {token.col - token.end + token.start}: "
        if unseen := _UNSEEN.search(token.text):
            raise ConfigurationError(
                f"{where}a character that can't be seen, U+{ord(unseen[0]):04X}: retype the line"
            )
        if odd := _ODD_QUOTES.search(token.text):
            raise ConfigurationError(
                f"{where}{odd[0]} is not an SQL quote: write ' around texts, [ ] around names"
            )


def _check_comments(tokens: list[Token]) -> None:
    """Refuse comments that contain a statement.

    The comment of a report reaches other tools; a statement in it is one that somebody may run.
    """
    for token in tokens:
        for comment in token.comments:
            if "/*" in comment or _STATEMENT.search(comment):
                raise ConfigurationError(
                    f"a comment near line {token.line} holds what may be a statement, or another "
                    "comment: take it out"
                )


@cache
def data_type(sql_type: str) -> exp.DataType:
    """Return the node of the T-SQL type that this text names. The node is shared: put copies into a query."""
    # Many columns have one of few types, and parsing a type takes long at the refresher's start.
    return exp.DataType.build(str(sql_type), dialect="tsql")
