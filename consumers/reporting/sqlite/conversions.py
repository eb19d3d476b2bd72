"""Conversions of T-SQL between types, as SQL over the forms in which SQLite stores values.

Constants are converted once, here, so that a column stays alone on its side of a condition and its index is
used. `converted` is the implicit conversion where two types meet, `cast` the explicit one.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from sqlglot import exp

from consumers.reporting.definition.literals import UnreadableError, decimal_of, moment_text
from consumers.reporting.definition.row_expressions import Expression
from consumers.reporting.definition.sql_types import NULL, NUMBERS, TEXT, SqlType, type_of, with_type
from consumers.reporting.sqlite.decimals import fitted, real_of
from consumers.reporting.sqlite.reads import READS, Stored, stored

MOMENTS = frozenset(["date", "datetime", "time"])
UUID_AS_TEXT = "uuid_as_text"
"""Key in a node's `meta`: the node is a UNIQUEIDENTIFIER written as text."""


class UnfitError(Exception):
    """A node without an equivalent in SQLite. The message names what to write instead, or is empty."""


def call(name: str, *arguments: Expression | int | str) -> Expression:
    """Return a call of a function, ours or SQLite's."""
    expressions = [
        _constant(argument) if isinstance(argument, (int, str)) else argument.copy() for argument in arguments
    ]
    return exp.Anonymous(this=name, expressions=expressions)


def _constant(value: Stored) -> Expression:
    if isinstance(value, str):
        return exp.Literal.string(value)
    # Parentheses keep the sign apart from an operator before it.
    return exp.Literal.number(repr(value)) if value >= 0 else exp.paren(exp.Literal.number(value))


def is_constant_text(node: Expression) -> bool:
    sql_type = type_of(node)
    return isinstance(node.unnest(), exp.Literal) and sql_type is not None and sql_type.kind == "text"


def converted(node: Expression, target: SqlType) -> Expression:
    """Return the node converted implicitly, as T-SQL does. Raises UnfitError."""
    source = type_of(node)
    if source is None or source in (NULL, target) or _has_same_form(source, target):
        return node
    if source.kind == "text":
        if not is_constant_text(node):
            # SQL Server converts the text of each row that its plan reads, and fails where it does not fit.
            raise UnfitError(f": text beside {_named(target)} fails where it is not one: CAST one of them")
        return with_type(constant(node.unnest().name, target), target)
    if source.kind in MOMENTS and target.kind not in MOMENTS:
        raise UnfitError(f": {_named(source)} beside {_named(target)}: CAST one of them")
    return with_type(_CONVERSIONS[_pair(source, target)](node, target), target)


def _has_same_form(source: SqlType, target: SqlType) -> bool:
    """Return whether values of both types are stored in the same form."""
    if source.kind == target.kind:
        # Decimals are text with as many digits as their scale; times differ in digits and zone.
        form = ("scale",) if source.kind == "decimal" else ("size", "zoned")
        narrower = source.kind == "int" and source.size <= target.size
        is_same = all(getattr(source, attribute) == getattr(target, attribute) for attribute in form)
        return is_same or narrower or source.kind in ("text", "binary")
    return (source.kind, target.kind) in (("bit", "int"), ("real", "float"))


def _named(sql_type: SqlType) -> str:
    return {"int": "INT", "datetime": "DATETIME2", "uuid": "UNIQUEIDENTIFIER"}.get(
        sql_type.kind, sql_type.kind.upper()
    )


def _pair(source: SqlType, target: SqlType) -> tuple[str, str]:
    pair = (source.kind, target.kind)
    # A pair that is missing here is refused, even where T-SQL would convert it.
    if pair not in _CONVERSIONS:
        raise UnfitError(f": {_named(source)} is not converted to {_named(target)}")
    return pair


def constant(text: str, target: SqlType) -> Expression:
    """Return this text as a constant of another type, with all its digits. Raises UnfitError."""
    value = _stored(text, target)
    if target.kind == "decimal" and Decimal(value) != decimal_of(text):
        raise UnfitError(f": more than {target.scale} digits after the point: round it")
    return _constant(value)


def _stored(text: str, target: SqlType) -> Stored:
    try:
        return stored(text, *target)
    except KeyError:
        raise UnfitError(f": a text is not converted to {_named(target)}") from None
    except UnreadableError as error:
        raise UnfitError(f": {error}") from None


def _to_decimal(node: Expression, target: SqlType) -> Expression:
    if isinstance(node, exp.Literal):
        try:
            return _constant(fitted(Decimal(node.name), target.size, target.scale))
        except UnreadableError as error:
            raise UnfitError(f": {error}") from None
    return call("decimal_round", node, target.scale, target.size)


def _to_float(node: Expression, target: SqlType) -> Expression:
    if isinstance(node, exp.Literal):
        value = float(node.name)
        return _constant(real_of(value) if target.kind == "real" else value)
    return call("tsql_real", node) if target.kind == "real" else exp.cast(node, "REAL")


def _to_int(node: Expression, target: SqlType) -> Expression:
    return call("tsql_int", node, target.size)


def _to_bit(node: Expression, _: SqlType) -> Expression:
    return call("tsql_bit", node)


def _day_to_moment(node: Expression, target: SqlType) -> Expression:
    # An empty text is 1900-01-01T00:00: its time of day is midnight with the digits and zone of the type.
    midnight = moment_text("", target.size, target.zoned)[10:]
    if isinstance(node, exp.Literal):
        return exp.Literal.string(f"{node.name}{midnight}")
    return exp.paren(exp.DPipe(this=node, expression=exp.Literal.string(midnight)))


def _moment(node: Expression, target: SqlType) -> Expression:
    return call("tsql_moment", node, target.size, int(target.zoned))


def _day(node: Expression, _: SqlType) -> Expression:
    return call("SUBSTR", node, 1, 10)


def _unchanged(node: Expression, _: SqlType) -> Expression:
    return node


_CONVERSIONS: dict[tuple[str, str], Callable[[Expression, SqlType], Expression]] = {
    **{(kind, "decimal"): _to_decimal for kind in NUMBERS},
    **{(kind, "float"): _to_float for kind in NUMBERS},
    **{(kind, "real"): _to_float for kind in NUMBERS},
    **{(kind, "int"): _to_int for kind in NUMBERS},
    **{(kind, "bit"): _to_bit for kind in NUMBERS},
    ("bit", "bit"): _unchanged,
    ("date", "datetime"): _day_to_moment,
    ("datetime", "datetime"): _moment,
    ("datetime", "date"): _day,
    ("time", "time"): lambda node, to: call("tsql_time", node, to.size),
}


# CAST


def cast(node: Expression, target: SqlType, *, is_try: bool = False) -> Expression:
    """Return the node converted as CAST and TRY_CAST do. Raises UnfitError."""
    source = type_of(node)
    if source is None or source == NULL:
        return node
    if target.kind == "text":
        return text_of(node, target.size)
    if source.kind != "text":
        return converted(node, target) if source.kind not in MOMENTS else _recast(node, source, target)
    # TRY_CAST is NULL for texts that are no date under the login's language, which a file can't know.
    if is_try and target.kind in MOMENTS:
        raise UnfitError(
            ": which texts are dates depends on the language of a login: CAST, and WHERE before it"
        )
    return with_type(_read(node, target, is_try=is_try), target)


def _recast(node: Expression, source: SqlType, target: SqlType) -> Expression:
    if _has_same_form(source, target):
        return node
    return with_type(_CONVERSIONS[_pair(source, target)](node, target), target)


def _read(node: Expression, target: SqlType, *, is_try: bool) -> Expression:
    if target.kind not in READS:
        raise UnfitError(f": a text is not converted to {_named(target)}")
    if not is_constant_text(node):
        return call("tsql_read", node, target.kind, target.size, target.scale, int(is_try))
    try:
        return _constant(_stored(node.unnest().name, target))
    except UnfitError:
        if is_try:
            return exp.null()
        raise


def text_of(node: Expression, size: int = 0) -> Expression:
    """Return the node as T-SQL writes it as text, cut to so many characters. Raises UnfitError."""
    source = type_of(node)
    kind = source.kind if source else "text"
    # SQLite's text of these differs from T-SQL's.
    if kind in ("datetime", "float", "real", "binary"):
        raise UnfitError(f": {_named(source or TEXT)} as text: CAST it to a DATE or a DECIMAL first")
    if kind in ("int", "bit"):
        node = exp.cast(node, "TEXT")
    if kind == "uuid":
        # SQL Server writes a UNIQUEIDENTIFIER in upper case; SQLite stores it in lower case.
        node = call("UPPER", node)
        node.meta[UUID_AS_TEXT] = True
    # SQL Server fails, or writes *, where a number does not fit; it cuts only text.
    if size and kind in ("int", "decimal", "uuid"):
        node = call("tsql_fitting", node, size)
    elif size and not (source and 0 < source.size <= size and kind == "text"):
        node = call("tsql_substring", node, 1, size)
    return with_type(node, SqlType("text", size)) if type_of(node) is None else node
