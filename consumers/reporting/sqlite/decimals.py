"""T-SQL's numbers on values as SQLite stores them: a decimal is text, exact, with the digits of its scale."""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import wraps
from typing import Any, TypeVar

from consumers.reporting.definition.literals import UnreadableError, fitting_int

EXACT = Context(prec=100)
_TOO_LARGE = "the number is too large for its type"
_MIDDLE = Decimal(10) ** 39
T = TypeVar("T")


def decimal_text(value: Decimal) -> str:
    """As it is stored. Zero has no sign: it would be another text."""
    return format(EXACT.plus(value), "f")


def fitted(value: Decimal, size: int, scale: int) -> str:
    """Rounded half away from zero to `scale` digits behind the point, as it is stored. Raises UnreadableError
    where it has more than `size` digits then."""
    try:
        made = value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, EXACT)
    except InvalidOperation:
        raise UnreadableError(_TOO_LARGE) from None
    if made and made.adjusted() >= max(size - scale, 0):
        raise UnreadableError(_TOO_LARGE)
    return decimal_text(made)


def of_values(function: Callable[..., T]) -> Callable[..., T | None]:
    """NULL where an argument is."""

    @wraps(function)
    def null_or_value(*given: Any) -> T | None:
        return None if None in given else function(*given)

    return null_or_value


class Sum:
    """To the last digit, of the greatest scale among the values."""

    def __init__(self) -> None:
        self._sum: Decimal | None = None

    def step(self, value: str | None) -> None:
        if value is not None:
            self._sum = EXACT.add(self._sum or Decimal(0), Decimal(value))

    def finalize(self) -> str | None:
        return None if self._sum is None else decimal_text(self._sum)


class Least:
    def __init__(self) -> None:
        self._value: Decimal | None = None

    def step(self, value: str | None) -> None:
        if value is not None and (self._value is None or self._wins(Decimal(value), self._value)):
            self._value = Decimal(value)

    def _wins(self, value: Decimal, other: Decimal) -> bool:
        return value < other

    def finalize(self) -> str | None:
        return None if self._value is None else decimal_text(self._value)


class Greatest(Least):
    def _wins(self, value: Decimal, other: Decimal) -> bool:
        return value > other


def _number(value: Any) -> Decimal:
    return Decimal(str(value))


def _operation(operation: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Any, Any], str]:
    return lambda one, other: decimal_text(operation(_number(one), _number(other)))


def _compared(one: Any, other: Any) -> int:
    """-1, 0 or 1."""
    a, b = _number(one), _number(other)
    return (a > b) - (a < b)


def _rounded(value: Any, scale: int, size: int) -> str:
    return fitted(_number(value), size, scale)


def _divided(one: Any, other: Any, scale: int) -> str:
    """SQL Server cuts the digits that the type has not. Raises ZeroDivisionError, as SQL Server does."""
    made = EXACT.divide(_number(one), _number(other))
    return decimal_text(made.quantize(Decimal(1).scaleb(-scale), ROUND_DOWN, EXACT))


def _sortable(value: Any) -> str:
    """Text whose order is that of the numbers."""
    return f"{EXACT.add(_number(value), _MIDDLE):.38f}"


def _int(value: Any, size: int) -> int:
    """CAST(... AS INT) cuts."""
    whole = _number(value).to_integral_value(ROUND_DOWN, EXACT)
    return fitting_int(int(whole), size)


def _int_divided(one: float, other: float) -> float:
    """Towards zero, of whole numbers."""
    if not (isinstance(one, int) and isinstance(other, int)):
        return one / other
    whole = abs(one) // abs(other)
    return whole if (one < 0) == (other < 0) else -whole


def _int_remainder(one: int, other: int) -> int:
    """Of the sign of the first."""
    rest = abs(one) % abs(other)
    return -rest if one < 0 else rest


def real_of(value: float) -> float:
    """With the digits that a REAL has."""
    made: float = struct.unpack("f", struct.pack("f", float(value)))[0]
    return made


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "decimal_add": (2, _operation(EXACT.add)),
    "decimal_subtract": (2, _operation(EXACT.subtract)),
    "decimal_multiply": (2, _operation(EXACT.multiply)),
    "decimal_remainder": (2, _operation(EXACT.remainder)),
    "decimal_divide": (3, _divided),
    "decimal_absolute": (1, lambda value: decimal_text(abs(_number(value)))),
    "decimal_compare": (2, _compared),
    "decimal_round": (3, _rounded),
    "decimal_sortable": (1, _sortable),
    "tsql_int": (2, _int),
    "tsql_bit": (1, lambda value: int(_number(value) != 0)),
    "tsql_real": (1, real_of),
    "tsql_divide": (2, _int_divided),
    "tsql_remainder": (2, _int_remainder),
}
