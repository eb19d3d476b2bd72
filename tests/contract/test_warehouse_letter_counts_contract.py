"""The summary of dead letters in the warehouse, for people who have no way to S3: in every engine."""

from collections.abc import Callable

from consumers.warehouse.port import LetterCount, Warehouse

pytest_plugins = ("warehouse_engines",)

NEW_YEAR = 1_735_689_600_000_000  # 2025-01-01, in microseconds
COUNTS = [
    LetterCount("", "consumer", "data", "open", 1, NEW_YEAR, NEW_YEAR),
    LetterCount("Item", "csv", "data", "open", 1, NEW_YEAR, NEW_YEAR),
    LetterCount("item", "csv", "data", "open", 2, 0, NEW_YEAR + 1),
    LetterCount("item", "csv", "schema", "failed-again", 1_000_000, -1, NEW_YEAR + 999_999),
]


def test_the_summary_is_empty_at_first(warehouse: Warehouse) -> None:
    assert warehouse.letter_counts() == []


def test_the_summary_is_what_was_saved_in_order_to_the_microsecond(warehouse: Warehouse) -> None:
    warehouse.save_letter_counts(list(reversed(COUNTS)))
    assert warehouse.letter_counts() == COUNTS


def test_the_next_summary_replaces_the_one_before(
    connect: Callable[..., Warehouse], warehouse: Warehouse
) -> None:
    warehouse.save_letter_counts(COUNTS)
    connect().save_letter_counts(COUNTS[:1])
    assert warehouse.letter_counts() == COUNTS[:1]
    warehouse.save_letter_counts([])
    assert warehouse.letter_counts() == []
