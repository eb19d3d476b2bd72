"""What is said of a file while it is read: figures, and none that is not known."""

from collections.abc import Callable

import pytest
from csv_world import HEADER, World, links, notification

from producers.csv.meter import Meter, Reading

ROWS = [f"{n},secret{n},,Y" for n in range(10)]
FILE = "\n".join([HEADER, *ROWS, ""])


class Clock:
    """A second passes with each look at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def half_read(meter: Meter) -> None:
    """Half of 100 bytes are read, and 4 rows of them."""
    chunks = meter.chunks(iter([b"x" * 50, b"x" * 50]))
    next(chunks)
    for _ in meter.rows(range(4), "published"):
        pass


def test_it_tells_rows_share_rate_and_time_left() -> None:
    told: list[Reading] = []
    half_read(Meter("drop/links/a.csv", 100, told.append, Clock()))
    assert told[-1] == Reading("drop/links/a.csv", "published", rows=4, share=0.5, rate=1.0)
    assert told[-1].seconds_left == 4.0
    assert str(told[-1]) == "drop/links/a.csv: 4 rows published, 50% of the file, 1 rows/s, 4 s left"


def test_a_size_that_is_not_known_gives_no_share() -> None:
    told: list[Reading] = []
    half_read(Meter("a.csv", None, told.append, Clock()))
    assert str(told[-1]) == "a.csv: 4 rows published, 1 rows/s"


def test_rows_of_earlier_attempts_count_but_not_for_the_rate() -> None:
    told: list[Reading] = []
    for _ in Meter("a.csv", None, told.append, Clock()).rows(range(3), "published", 1_000):
        pass
    assert (told[-1].rows, told[-1].rate) == (1_003, 1.0)


def test_nothing_is_said_before_a_second_is_over() -> None:
    told: list[Reading] = []
    for _ in Meter("a.csv", 1, told.append, lambda: 0.0).rows(range(1_000), "published"):
        pass
    assert told == []


def test_the_last_chunk_may_be_read_before_its_rows_are_done() -> None:
    reading = Reading("a.csv", "published", rows=10, share=1.0, rate=5.0)
    assert reading.seconds_left == 0


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], list[Reading]]:
    """Takes the file with a report after each row."""
    monkeypatch.setattr("producers.csv.meter.REPORT_SECONDS", 0.0)

    def take(world: World) -> list[Reading]:
        told: list[Reading] = []
        world.producer(report=told.append).take(notification(world.upload(FILE)))
        return told

    return take


@pytest.mark.parametrize("limit", [{}, {"reject_limit": 3}])
def test_inv7_a_file_is_checked_and_then_published_and_no_value_is_told(
    always: Callable[[World], list[Reading]], limit: dict[str, int]
) -> None:
    told = always(World(links(**limit)))
    assert [(each.done, each.rows) for each in told] == [
        *(("checked", n) for n in range(1, 11)),
        *(("published", n) for n in range(1, 11)),
    ]
    assert {each.share for each in told} == {1.0}  # it is a single chunk
    assert "secret" not in "".join(map(str, told))
