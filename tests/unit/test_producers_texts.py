"""The text of a cell to a value: what each kind takes, and what it refuses without naming it."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from producers.texts import reader
from schemas.errors import PoisonEventError
from schemas.payload.fields import Field, FieldType


def read(kind: str, text: str, pattern: str | None = None, **more: Any) -> object:
    """As the codec will see it: what its packer refuses is refused."""
    made = Field("f", FieldType(kind), format=pattern, **more)
    value = reader(made)(text)
    made.pack(value)
    return value


DECIMAL = {"precision": 38, "scale": 4}
UNIX = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "7", 7),
        ("int", "-0012", -12),
        ("long", "9223372036854775807", 2**63 - 1),
        ("double", "1e-3", 0.001),
        ("double", "-12.50", -12.5),
        ("float", ".5", 0.5),
        ("boolean", "TRUE", True),
        ("boolean", "false", False),
        ("date", "2024-02-29", date(2024, 2, 29)),
        ("time-millis", "23:59:59.999", time(23, 59, 59, 999000)),
        ("time-micros", "07:30", time(7, 30)),
        ("timestamp-micros", "2023-11-14T22:13:20Z", UNIX),
        ("timestamp-millis", "2023-11-14 23:13:20+01:00", UNIX),
        (
            "local-timestamp-micros",
            "2023-11-14T22:13:20.000001",
            datetime.fromisoformat("2023-11-14T22:13:20.000001"),
        ),
        ("uuid", "0B1B5F4C-7A43-5A0E-9C1D-3C6F2D9D8E57", UUID("0b1b5f4c-7a43-5a0e-9c1d-3c6f2d9d8e57")),
        ("bytes", "aGk=", b"hi"),
        ("json", '{"b": 1.50, "a": [true, null]}', '{"a":[true,null],"b":1.5}'),
        ("string", " as it is ", " as it is "),
    ],
)
def test_a_text_is_read_as_its_kind(kind: str, text: str, value: object) -> None:
    assert read(kind, text) == value
    assert type(read(kind, text)) is type(value)


def test_decimals_are_exact_to_38_digits() -> None:
    digits = "1234567890123456789012345678901234.5678"
    assert read("decimal", digits, **DECIMAL) == Decimal(digits)


@pytest.mark.parametrize(
    ("kind", "text", "pattern", "value"),
    [
        ("date", "29-02-2024", "%d-%m-%Y", date(2024, 2, 29)),
        ("date", "1/3/24", "%d/%m/%y", date(2024, 3, 1)),
        ("time-millis", "07h30", "%Hh%M", time(7, 30)),
        (
            "local-timestamp-millis",
            "20240229T0730",
            "%Y%m%dT%H%M",
            datetime.fromisoformat("2024-02-29T07:30"),
        ),
        ("timestamp-millis", "14/11/2023 23:13:20 +0100", "%d/%m/%Y %H:%M:%S %z", UNIX),
        ("timestamp-millis", "1700000000", "epoch-seconds", UNIX),
        ("timestamp-millis", "1700000000.5", "epoch-seconds", UNIX.replace(microsecond=500_000)),
        ("local-timestamp-micros", "1700000000000", "epoch-millis", UNIX.replace(tzinfo=None)),
        ("boolean", "Y", "Y|N", True),
        ("boolean", "No", "Yes|No", False),
    ],
)
def test_a_format_says_how_a_text_is_read(kind: str, text: str, pattern: str, value: object) -> None:
    assert read(kind, text, pattern) == value


REFUSED = [
    (
        "int",
        None,
        ["1.0", "1,000", "1_000", " 1", "1 ", "+1", "0x1", "١", "1e3", "-", "2147483648", "9" * 5000],
    ),
    ("long", None, ["9223372036854775808"]),
    ("double", None, ["NaN", "inf", "1e999", "1,5", "1 000", "1.", "٣", "1_0.5"]),
    ("float", None, ["1e39"]),
    ("boolean", None, ["1", "0", "yes", "Y", "true "]),
    ("boolean", "Y|N", ["y", "true", "Y|N"]),
    ("date", None, ["20240229", "2024-W09-4", "2023-02-29", "2024-2-29", "29-02-2024", "2024-02-29T00:00"]),
    ("date", "%d-%m-%Y", ["2024-02-29", "31-02-2024", "٠1-02-2024", "29-02-24", "29-02-2024x"]),
    ("time-micros", None, ["7:30", "24:00", "07:30Z", "07:30:00.1234567", "0730"]),
    ("time-millis", None, ["07:30:00.0001"]),
    ("timestamp-micros", None, ["2023-11-14T22:13:20", "2023-11-14", "2023-11-14T22:13:20.1234567Z"]),
    ("timestamp-millis", "epoch-seconds", ["1700000000.0000001", "99999999999999", "now"]),
    ("local-timestamp-micros", None, ["2023-11-14T22:13:20Z", "2023-11-14T22"]),
    ("uuid", None, ["0b1b5f4c7a435a0e9c1d3c6f2d9d8e57", "{0b1b5f4c-7a43-5a0e-9c1d-3c6f2d9d8e57}"]),
    ("bytes", None, ["aGk", "a!Gk="]),
    ("json", None, ["{", "NaN", '{"a":1,"a":2}', "'x'"]),
]


@pytest.mark.parametrize(
    ("kind", "pattern", "text"), [(kind, pattern, text) for kind, pattern, texts in REFUSED for text in texts]
)
def test_a_text_that_is_not_exactly_its_kind_is_refused(kind: str, pattern: str | None, text: str) -> None:
    with pytest.raises((ValueError, PoisonEventError)):
        read(kind, text, pattern)


@pytest.mark.parametrize(("kind", "pattern"), [(kind, pattern) for kind, pattern, _ in REFUSED])
def test_inv7_a_refusal_does_not_name_the_value(kind: str, pattern: str | None) -> None:
    secret = "31-02-1999 1x"
    with pytest.raises((ValueError, PoisonEventError)) as caught:
        read(kind, secret, pattern)
    assert secret not in f"{caught.value} {caught.value.__context__}"


@pytest.mark.parametrize("text", ["1.00001", "1E+5", "1,5", "Infinity", "1" * 39, "--1"])
def test_decimals_are_never_rounded(text: str) -> None:
    with pytest.raises(ValueError):
        read("decimal", text, **DECIMAL)


def test_enums_take_their_symbols_alone() -> None:
    assert read("enum", "open", symbols=("open", "closed")) == "open"
    with pytest.raises(ValueError, match="takes one of open, closed"):
        read("enum", "Open", symbols=("open", "closed"))
