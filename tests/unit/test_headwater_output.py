"""What a person reads of values."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from headwater import output


def test_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    lines = output.table_lines(["name", "n"], [["a", 5], ["long one", 1234], [None, None]])
    assert lines == ["name         n", "--------  ----", "a            5", "long one  1234", ""]


def test_a_table_without_rows_still_shows_its_columns() -> None:
    assert output.table_lines(["a", "bc"], []) == ["a  bc", "-  --"]


def test_a_value_takes_one_line() -> None:
    assert output.cell("two\nlines\r\nand a \\ in it") == "two\\nlines\\r\\nand a \\\\ in it"
    assert output.cell("a \\ alone") == "a \\ alone"


def test_a_value_gives_the_terminal_no_orders() -> None:
    """A dead letter shows what anybody wrote to the stream."""
    assert output.cell("\x1b[2Jgone\r\x9b31m\tred\x07") == "\\x1b[2Jgone\\r\\x9b31m\\tred\\x07"
    assert output.cell("naïve ✓ 𝔸") == "naïve ✓ 𝔸"


def test_booleans_are_words_and_stand_to_the_left() -> None:
    assert output.table_lines(["open"], [[True], [None], [False]])[2:] == ["True", "", "False"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal("12.50"), "12.50"),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00+00:00"),
        (b"\x00\xff", "AP8="),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("Brontë", "Brontë"),
    ],
)
def test_json_loses_no_digit_and_no_letter(
    value: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.show_json([value])
    written = capsys.readouterr().out
    assert json.loads(written) == [said]
    assert said in written  # no \u escapes for a person to decode


def test_json_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError):
        output.show_json(object())


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_234_567, "1,234,567 rows")]
)
def test_a_number_and_its_noun_agree(number: int, said: str) -> None:
    assert output.counted(number, "row") == said


def test_an_instant_is_told_to_the_second() -> None:
    assert output.instant(1_767_225_599_999_999) == "2025-12-31T23:59:59Z"
    assert output.instant(None) is None
