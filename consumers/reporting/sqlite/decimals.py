"""T-SQL's numbers on values as SQLite stores them: a decimal is exact text with the digits of its scale."""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import wraps
from typing import Any, TypeVar

from consumers.reporting.definition.literals import UnreadableError, fitting_int

EXACT = Context(prec=100)
"""Decimal context of 100 digits, in which a product of two numbers of 38 digits is exact."""
_TOO_LARGE = "the number is too large for its type"
_OFFSET = Decimal(10) ** 39
T = TypeVar("T")


def decimal_text(value: Decimal) -> str:
    """Return a decimal as it is stored. Zero has no sign, which would be another text."""
    return format(EXACT.plus(value), "f")


def fitted(value: Decimal, size: int, scale: int) -> str:
    """Return a decimal as it is stored, rounded half away from zero to `scale` digits behind the point.

    Raises UnreadableError where it then has more than `size` digits.
    """
    try:
        rounded = value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, EXACT)
    except InvalidOperation:
        raise UnreadableError(_TOO_LARGE) from None
    # `adjusted` is the exponent of the first digit: the number of digits before the point, less one.
    if rounded and rounded.adjusted() >= max(size - scale, 0):
        raise UnreadableError(_TOO_LARGE)
    return decimal_text(rounded)


def of_values(function: Callable[..., T]) -> Callable[..., T | None]:
    """Decorate a function to return NULL where an argument is NULL."""

    @wraps(function)
    def null_or_value(*arguments: Any) -> T | None:
        return None if None in arguments else function(*arguments)

    return null_or_value


class Sum:
    """Exact sum, with the greatest scale among the values."""

    def __init__(self) -> None:
        self._sum: Decimal | None = None

    def step(self, value: str | None) -> None:
        if value is not None:
            self._sum = EXACT.add(self._sum or Decimal(0), Decimal(value))

    def finalize(self) -> str | None:
        return None if self._sum is None else decimal_text(self._sum)


# SQLite's MIN and MAX would compare the stored text.
class Least:
    """Smallest value."""

    def __init__(self) -> None:
        self._value: Decimal | None = None

    def step(self, value: str | None) -> None:
        if value is not None and (self._value is None or self._wins(Decimal(value), self._value)):
            self._value = Decimal(value)

    def _wins(self, value: Decimal, best: Decimal) -> bool:
        return value < best

    def finalize(self) -> str | None:
        return None if self._value is None else decimal_text(self._value)


class Greatest(Least):
    """Greatest value."""

    def _wins(self, value: Decimal, best: Decimal) -> bool:
        return value > best


def _number(value: Any) -> Decimal:
    return Decimal(str(value))


def _operation(operation: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Any, Any], str]:
    return lambda left, right: decimal_text(operation(_number(left), _number(right)))


def _compared(left: Any, right: Any) -> int:
    """Return -1, 0 or 1."""
    left_number, right_number = _number(left), _number(right)
    return (left_number > right_number) - (left_number < right_number)


def _rounded(value: Any, scale: int, size: int) -> str:
    return fitted(_number(value), size, scale)


def _divided(dividend: Any, divisor: Any, scale: int) -> str:
    """Divide and cut the digits beyond the scale, as SQL Server does.

    Raises ZeroDivisionError, where SQL Server fails, too.
    """
    quotient = EXACT.divide(_number(dividend), _number(divisor))
    # Cut, not rounded: that is what SQL Server does with the digits beyond the scale of a quotient.
    return decimal_text(quotient.quantize(Decimal(1).scaleb(-scale), ROUND_DOWN, EXACT))


def _sortable(value: Any) -> str:
    """Return text that sorts as the numbers do."""
    # The offset makes every number positive and of the same width, so that text order is numeric order.
    return f"{EXACT.add(_number(value), _OFFSET):.38f}"


def _int(value: Any, size: int) -> int:
    """Return the whole part, as CAST(... AS INT) does."""
    whole = _number(value).to_integral_value(ROUND_DOWN, EXACT)
    return fitting_int(int(whole), size)


def _int_divided(dividend: float, divisor: float) -> float:
    """Divide whole numbers towards zero, and others as floats."""
    if not (isinstance(dividend, int) and isinstance(divisor, int)):
        return dividend / divisor
    # Python's // rounds down, T-SQL's / towards zero.
    whole = abs(dividend) // abs(divisor)
    return whole if (dividend < 0) == (divisor < 0) else -whole


def _int_remainder(dividend: int, divisor: int) -> int:
    """Return the remainder with the sign of the dividend."""
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def real_of(value: float) -> float:
    """Return the value with the precision of a REAL."""
    real: float = struct.unpack("f", struct.pack("f", float(value)))[0]
    return real


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
