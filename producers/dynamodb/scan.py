"""A parallel, strongly consistent scan of a table, at a rate that spares it.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from producers.dynamodb.item_records import BotoItem, item_as_json, item_from_json
from producers.dynamodb.records import VIEW
from producers.runs.chunk import Place
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SEGMENTS = 4
SHARE = 0.25
"""Part of a table's provisioned read units that a scan takes by default."""
ON_DEMAND_UNITS = 500
"""Read units per second by default on a table on demand: 2 MB/s. Such a table begins with 12,000:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"""
MAX_PAGE = 4_000  # items; a page has at most 1 MB
_UNIT = 4096  # bytes that a consistent read gets for one unit
_ATTEMPTS = 8
_LONGEST_PAUSE = 30.0


class Table(NamedTuple):
    """A table whose stream has both images."""

    name: str
    stream_arn: str
    key: tuple[str, ...]
    """Attributes of its key, hash attribute first."""
    items: int
    """As DynamoDB counts them about every six hours."""
    size: int
    """Bytes, counted at the same time."""
    read_units: int | None
    """Provisioned read units per second; None on demand."""

    @property
    def default_units(self) -> float:
        """Return the read units per second of a scan that spares the table."""
        return max(1.0, self.read_units * SHARE) if self.read_units else ON_DEMAND_UNITS


class ItemPage(NamedTuple):
    """Items of a segment, and the place after them. The last ones were read before `read_at`."""

    items: Sequence[BotoItem]
    place: Place
    read_at: int
    """Whole seconds since 1970, rounded up."""


class ItemSource(Protocol):
    """Reads the existing items of a table in segments."""

    method: str

    def read(self, segment: int, place: Place) -> ItemPage:
        """Read on in a segment, from its start if `place` is None; called by several threads.

        Raises TransientError and ConfigurationError.
        """

    def stop(self) -> None:
        """End reads that wait, with TransientError."""


class InMemoryItems:
    """`ItemSource` of items in memory, for tests and benchmarks: every n-th item is in segment n."""

    method = "scan"

    def __init__(
        self, items: Sequence[BotoItem], segments: int, page: int, clock: Callable[[], float] = time.time
    ) -> None:
        self.items = list(items)
        self._segments = segments
        self._page = page
        self._clock = clock

    def read(self, segment: int, place: Place) -> ItemPage:
        own = self.items[segment :: self._segments]
        end = (place or 0) + self._page
        return ItemPage(own[place or 0 : end], end if end < len(own) else None, ceil(self._clock()))

    def stop(self) -> None:
        """Do nothing: no read waits."""


def describe(client: DynamoDBClient, name: str) -> Table:
    """Return what a scan needs to know of a table. Raises ConfigurationError, TransientError."""
    with aws_errors(f"describing the table {name}"):
        try:
            found: Mapping[str, Any] = client.describe_table(TableName=name)["Table"]
        except client.exceptions.ResourceNotFoundException:
            raise ConfigurationError(
                f"there is no table {name} in this account and region ({client.meta.region_name}): use the "
                "credentials and the region of its owner"
            ) from None
    stream = found.get("StreamSpecification", {})
    if not stream.get("StreamEnabled"):
        raise ConfigurationError(
            f"the table {name} has no stream: enable it with {VIEW} and have it read, before its items are"
        )
    require_both_images(name, stream)
    key = sorted(found["KeySchema"], key=lambda attribute: attribute["KeyType"])  # HASH before RANGE
    return Table(
        name=name,
        stream_arn=found["LatestStreamArn"],
        key=tuple(attribute["AttributeName"] for attribute in key),
        items=found.get("ItemCount", 0),
        size=found.get("TableSizeBytes", 0),
        read_units=found.get("ProvisionedThroughput", {}).get("ReadCapacityUnits") or None,
    )


def require_both_images(name: str, stream: Mapping[str, Any]) -> None:
    """Check the StreamSpecification of a table. Raises ConfigurationError."""
    view = stream.get("StreamViewType")
    if view != VIEW:
        raise ConfigurationError(
            f"the stream of the table {name} is {view}, which Headwater can't read: disable it and enable it "
            f"with {VIEW}"
        )


class Pace:
    """Spaces calls so that together they take so many units per second. Thread-safe."""

    def __init__(
        self, rate: float, wait: Callable[[float], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, units: float) -> None:
        """Wait until a call that is expected to take these units may begin."""
        with self._lock:
            start = max(self._clock(), self._free_at)
            self._free_at = start + units / self.rate
        if (pause := start - self._clock()) > 0:
            self._wait(pause)

    def correct(self, units: float) -> None:
        """Add the units that a call took more than was expected; negative if it took less."""
        with self._lock:
            self._free_at += units / self.rate


class TableScan:
    """`ItemSource` of a table as it is now."""

    method = "scan"

    def __init__(
        self,
        client: DynamoDBClient,
        table: Table,
        segments: int,
        units: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`units` is the limit in read units per second, of all segments together."""
        self._client = client
        self._table = table
        self._segments = segments
        self._clock = clock
        self._stopped = threading.Event()
        self._pace = Pace(units, self._stopped.wait)
        # A guess, replaced by what the first page took.
        self._units_per_item = max(table.size / max(table.items, 1), 100.0) / _UNIT

    def stop(self) -> None:
        self._stopped.set()

    def read(self, segment: int, place: Place) -> ItemPage:
        for attempt in range(_ATTEMPTS):
            try:
                return self._page(segment, place)
            except TransientError:  # throttled, as a rule: others need the units now
                if attempt == _ATTEMPTS - 1:
                    raise
                self._stopped.wait(min(2.0**attempt, _LONGEST_PAUSE))
        raise AssertionError("unreachable")

    def _page(self, segment: int, place: Place) -> ItemPage:
        # At most what the rate allows in one second, so that no page is a burst.
        limit = max(1, min(MAX_PAGE, int(self._pace.rate / self._units_per_item)))
        expected = limit * self._units_per_item
        self._pace.take(expected)
        if self._stopped.is_set():
            raise TransientError(f"the scan of the table {self._table.name} was stopped")
        start: dict[str, Any] = {"ExclusiveStartKey": item_from_json(place)} if place else {}
        with aws_errors(f"Scan of the table {self._table.name} (needs dynamodb:Scan)"):
            answer = self._client.scan(
                TableName=self._table.name,
                Segment=segment,
                TotalSegments=self._segments,
                ConsistentRead=True,
                Limit=limit,
                ReturnConsumedCapacity="TOTAL",
                **start,
            )
        self._account(answer.get("ConsumedCapacity", {}).get("CapacityUnits"), expected, answer["Count"])
        last = answer.get("LastEvaluatedKey")
        return ItemPage(answer["Items"], item_as_json(last) if last else None, ceil(self._clock()))

    def _account(self, units: float | None, expected: float, items: int) -> None:
        if units is None:  # not every local DynamoDB counts them
            return
        self._pace.correct(units - expected)
        if items:
            self._units_per_item = max(units / items, 1 / _UNIT)
