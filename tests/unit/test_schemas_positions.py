"""Positions: the order of texts is the order of facts."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas.errors import ConfigurationError, PoisonEventError
from schemas.positions import (
    BACKFILL_SEQUENCE,
    SWEEP_ROW,
    backfill_sweep_position,
    corrected_position,
    csv_file_position,
    csv_position,
    dynamodb_position,
    generation_of,
)

STREAM = "arn:aws:dynamodb:eu-west-1:111122223333:table/subscriptions/stream/"
UPLOADED = datetime(2024, 3, 1, 10, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("label", "generation"),
    [
        ("2015-06-27T00:48:05.899", "2015-06-27T00:48:05.899000"),
        ("2015-06-27T00:48:05.899123", "2015-06-27T00:48:05.899123"),
        ("2015-06-27T00:48:05", "2015-06-27T00:48:05.000000"),
    ],
)
def test_a_generation_has_one_width_whatever_the_label(label: str, generation: str) -> None:
    assert generation_of(STREAM + label) == generation


@pytest.mark.parametrize(
    "arn", ["", STREAM, STREAM.removesuffix("/stream/"), STREAM + "latest", STREAM + "٢٠١٥"]
)
def test_what_is_no_stream_arn_is_refused_by_name(arn: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        generation_of(arn)
    assert repr(arn) in str(refused.value)


def test_a_dynamodb_position_is_generation_and_forty_digits() -> None:
    position = dynamodb_position("2015-06-27T00:48:05.899000", "111000000000000000000123")
    assert position == "2015-06-27T00:48:05.899000-0000000000000000111000000000000000000123"


def test_sequence_numbers_of_21_to_40_digits_sort_as_numbers() -> None:
    numbers = [10**21 + 5, 9 * 10**21, 10**25, 10**39, 10**40 - 1]
    positions = [dynamodb_position("g", str(number)) for number in numbers]
    assert positions == sorted(positions)
    assert {len(position) for position in positions} == {42}


def test_a_backfill_is_below_its_generation_and_above_every_older_one() -> None:
    old, new = (generation_of(f"{STREAM}{day}T00:00:00.000") for day in ("2024-01-01", "2024-01-02"))
    backfill = dynamodb_position(new, BACKFILL_SEQUENCE)
    sweep = backfill_sweep_position(backfill)
    assert dynamodb_position(old, "9" * 40) < sweep < backfill < dynamodb_position(new, "1")


@pytest.mark.parametrize("number", ["", "-1", "1.5", "1" * 41, "٣", " 1"])
def test_what_is_no_sequence_number_is_poison(number: str) -> None:
    with pytest.raises(PoisonEventError, match="sequence number"):
        dynamodb_position("g", number)


def file_position(
    effective: str = "", uploaded: datetime = UPLOADED, version: str = "v1", etag: str = "e"
) -> str:
    return csv_file_position(effective, uploaded, "drop/school/a.csv", version, etag)


def test_a_csv_position_is_pinned() -> None:
    assert csv_position(file_position(), 7) == "20240301T102030Z-13eab224ddfb9081-000000000007"


def test_the_effective_date_comes_before_the_upload() -> None:
    late_upload_of_january = file_position("20240131", UPLOADED + timedelta(days=9))
    assert late_upload_of_january < file_position("20240229", UPLOADED)
    assert file_position("20240229").startswith("2024022920240301T102030Z-")


def test_a_later_upload_is_above_all_rows_of_an_earlier_one() -> None:
    last_row = csv_position(file_position(), 10**12 - 1)
    assert last_row < csv_position(file_position(uploaded=UPLOADED + timedelta(seconds=1)), SWEEP_ROW)


def test_rows_are_in_order_and_the_sweep_is_below_them() -> None:
    positions = [csv_position(file_position(), row) for row in (SWEEP_ROW, 1, 2, 10, 999_999_999_999)]
    assert positions == sorted(positions)


@pytest.mark.parametrize("row", [-1, 10**12])
def test_a_row_beyond_twelve_digits_is_refused(row: int) -> None:
    with pytest.raises(ValueError, match="12 digits"):
        csv_position(file_position(), row)


def test_inv5_the_same_object_has_one_position_however_it_is_read() -> None:
    from_a_listing = UPLOADED.replace(microsecond=123_000)
    elsewhere = UPLOADED.astimezone(timezone(timedelta(hours=-5)))
    read = {
        file_position(uploaded=at, etag=e)
        for at in (UPLOADED, from_a_listing, elsewhere)
        for e in ("e", '"e"')
    }
    assert read == {file_position()}


def test_two_objects_of_one_second_have_two_positions() -> None:
    assert len({file_position(), file_position(version="v2"), file_position(etag="f")}) == 3


def test_a_correction_is_above_its_row_and_its_earlier_corrections_and_below_the_next_row() -> None:
    row, following = (csv_position(file_position(), number) for number in (7, 8))
    first = corrected_position(row, UPLOADED)
    second = corrected_position(row, UPLOADED + timedelta(days=1))
    assert first == f"{row}+20240301T102030Z"
    # A rank goes on with a space behind the position.
    assert row + " " < first + " " < second + " " < following + " "


def test_a_naive_datetime_has_no_place() -> None:
    with pytest.raises(ValueError, match="time zone"):
        corrected_position("p", datetime(2024, 1, 1))  # noqa: DTZ001
