"""Properties of text that T-SQL distinguishes and SQLite does not.

VARCHAR differs from NVARCHAR, and the collation of a column from that of the database, in which letter case
may not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sqlglot import exp

from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.definition.sql_types import branches, is_text, type_of
from consumers.reporting.sqlite.conversions import UUID_AS_TEXT, UnfitError

ANSI = "tsql_ansi"
"""Function into which CAST to VARCHAR is translated."""
NATIONAL = "national"
"""Key in a node's `meta`: the node is N'...' or a CAST to NVARCHAR."""

_PLAIN = re.compile(r"[0-9A-Za-z .:-]*")


def is_national(node: Expression) -> bool:
    """Return whether a text is NVARCHAR, as all text of staging is. False where that is not known."""
    if node.meta.get(NATIONAL):
        return True
    inner = node.unnest()
    if isinstance(inner, exp.Column):
        return True
    if inner is not node and inner.meta.get(NATIONAL):
        return True
    return not _is_ansi(inner) and any(map(is_national, _parts(inner)))


def has_column(node: Expression) -> bool:
    """Return whether a text is compared in the collation of a column, in which letter case counts."""
    inner = node.unnest()
    return isinstance(inner, exp.Column) or any(map(has_column, _parts(inner)))


def _is_ansi(node: Expression) -> bool:
    return isinstance(node, exp.Anonymous) and node.name == ANSI


def _parts(node: Expression) -> Iterable[Expression]:
    """Return the texts from which a text is built."""
    if isinstance(node, exp.Query):
        return [part.unalias() for part in node.selects]
    candidates = branches(node) if isinstance(node, (exp.Case, exp.If)) else node.iter_expressions()
    return [part for part in candidates if is_text(part) or type_of(part) is None]


def _constants(node: Expression) -> Iterator[str]:
    inner = node.unnest()
    if isinstance(inner, exp.Literal) and inner.is_string:
        yield inner.name
    for part in _parts(inner):
        yield from _constants(part)


def _has_uuid(node: Expression) -> bool:
    return any(part.meta.get(UUID_AS_TEXT) for part in node.walk())


def _has_letters(node: Expression) -> bool:
    return _has_uuid(node) or any(text.upper() != text.lower() for text in _constants(node))


_REFUSAL = ": the collation of the database decides this: "


def check_equal(*sides: Expression) -> None:
    """Raise UnfitError for texts of no column whose equality depends on the collation of the database."""
    if any(map(has_column, sides)):
        return
    # T-SQL ignores trailing blanks, so that they decide nothing.
    texts = {text.rstrip(" ") for side in sides for text in _constants(side)}
    if any(map(_has_uuid, sides)) and any(text != text.upper() for text in texts):
        raise UnfitError(f"{_REFUSAL}compare the UNIQUEIDENTIFIER without a CAST")
    # Two constants that differ in case only are equal under a case-insensitive collation.
    if len({text.casefold() for text in texts}) < len(texts):
        raise UnfitError(f"{_REFUSAL}write these constants alike")


def check_ordered(*sides: Expression) -> None:
    """Raise UnfitError for texts of no column whose order depends on the collation of the database.

    Collations differ in the order of letters of two cases, of accents and of signs.
    """
    check_equal(*sides)
    if any(map(has_column, sides)):
        return
    texts = {text for side in sides for text in _constants(side)}
    # Constants of one order under every collation: equal with and without case, and only letters, digits and
    # a few signs.
    if sorted(texts) != sorted(texts, key=str.casefold) or not all(map(_PLAIN.fullmatch, texts)):
        raise UnfitError(f"{_REFUSAL}order by letters of one case and digits")


def check_search(within: Expression, searched: Expression) -> None:
    """Raise UnfitError where a text of no column is searched in another."""
    if not (has_column(within) or has_column(searched)) and _has_letters(within) and _has_letters(searched):
        raise UnfitError(f"{_REFUSAL}compare the value that this text is made of")


def check_like(node: Expression) -> None:
    """Raise UnfitError for LIKE over VARCHAR, where T-SQL ignores trailing blanks."""
    check_search(node.this, node.expression)
    pattern = node.expression
    # A pattern that ends with % matches trailing blanks anyway.
    is_open = isinstance(pattern, exp.Literal) and pattern.name.endswith("%")
    if is_open or is_national(node.this) or is_national(pattern):
        return
    if any(map(_is_ansi, node.this.walk())) or any(text.endswith(" ") for text in _constants(node.this)):
        raise UnfitError(": LIKE ignores blanks at the end of VARCHAR: CAST it to NVARCHAR")
