"""What a backfill needs of AWS: conditional writes, parallel scans and clear refusals."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from headwater.aws import Aws
from producers.dynamodb.item_records import item_as_json, item_from_json
from producers.dynamodb.scan import Pace, Table, TableScan, describe
from producers.runs.store import InMemoryRunStore, RunStore, S3RunStore
from schemas.errors import ConfigurationError, ConflictError, TransientError

pytest_plugins = ("pollers_world",)
BUCKET = "runs-of-the-contract"


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> RunStore:
    if request.param == "memory":
        return InMemoryRunStore()
    aws: Aws = request.getfixturevalue("embedded_aws")
    aws.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return S3RunStore(aws.s3, BUCKET)


def test_an_object_is_created_once_and_replaced_only_as_it_was_read(store: RunStore) -> None:
    assert store.read("runs/a/1") is None
    assert store.create("runs/a/1", b"first") == b"first"
    assert store.create("runs/a/1", b"second") == b"first"
    with pytest.raises(ConflictError):
        store.replace("runs/a/1", b"third", None)
    stored = store.read("runs/a/1")
    assert stored is not None
    etag = store.replace("runs/a/1", b"third", stored.etag)
    with pytest.raises(ConflictError):
        store.replace("runs/a/1", b"fourth", stored.etag)
    again = store.read("runs/a/1")
    assert again == (b"third", etag)
    store.create("runs/a/2", b"")
    store.create("runs/b/1", b"")
    assert store.keys("runs/a/") == ["runs/a/1", "runs/a/2"]
    store.erase(["runs/a/1", "runs/a/1"])
    assert store.keys("runs/") == ["runs/a/2", "runs/b/1"]
    with pytest.raises(ConflictError):
        store.replace("runs/a/1", b"gone", etag)


def make_table(aws: Aws, name: str, **more: Any) -> None:
    aws.dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        **more,
    )


STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
UNITS = {"ReadCapacityUnits": 40, "WriteCapacityUnits": 5}


def test_segments_read_every_item_once_and_go_on_after_any_page(embedded_aws: Aws) -> None:
    make_table(embedded_aws, "readings", StreamSpecification=STREAM, ProvisionedThroughput=UNITS)
    for number in range(50):
        item: Any = {"pk": {"S": f"p{number}"}, "sk": {"N": str(number)}, "set": {"BS": [b"\xff"]}}
        embedded_aws.dynamodb.put_item(TableName="readings", Item=item)
    table = describe(embedded_aws.dynamodb, "readings")
    assert table.key == ("pk", "sk")
    assert (table.read_units, table.default_units) == (40, 10)
    assert ":table/readings/stream/" in table.stream_arn
    keys = []
    for segment in range(3):
        place = None
        while True:
            # A new scan for each page, as after a kill.
            scan = TableScan(embedded_aws.dynamodb, table, 3, units=50.0, clock=lambda: 7.1)
            scan._units_per_item = 10.0
            page = scan.read(segment, place)
            assert len(page.items) <= 5
            assert page.read_at == 8
            keys += [item["sk"]["N"] for item in page.items]
            place = page.place
            if place is None:
                break
    assert sorted(map(int, keys)) == list(range(50))


def test_a_place_is_json_with_binary_keys_too() -> None:
    """Moto does not page by binary keys."""
    key = {"pk": {"B": b"\xff"}, "sk": {"N": "1"}}
    place = item_as_json(key)
    assert json.loads(json.dumps(place)) == place
    assert item_from_json(place) == key


def test_tables_that_cannot_be_filled_are_refused_with_what_to_do(embedded_aws: Aws) -> None:
    aws = embedded_aws
    with pytest.raises(ConfigurationError, match="no table nowhere in this account and region"):
        describe(aws.dynamodb, "nowhere")
    make_table(aws, "silent", BillingMode="PAY_PER_REQUEST")
    with pytest.raises(ConfigurationError, match="has no stream: enable it with NEW_AND_OLD_IMAGES"):
        describe(aws.dynamodb, "silent")
    keys_only = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    make_table(aws, "narrow", BillingMode="PAY_PER_REQUEST", StreamSpecification=keys_only)
    with pytest.raises(ConfigurationError, match="is KEYS_ONLY, which Headwater can't read"):
        describe(aws.dynamodb, "narrow")


class Throttled:
    """A client whose first calls are throttled."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.calls: list[dict[str, Any]] = []

    def scan(self, **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        self.calls.append(arguments)
        if len(self.calls) <= self.times:
            error = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "a value"}}
            raise ClientError(error, "Scan")  # type: ignore[arg-type]
        return {"Items": [], "Count": 0, "ConsumedCapacity": {"CapacityUnits": 0.5}}


TABLE = Table("t", "arn", ("id",), 1_000, 4_096_000, None)


def _scan(client: Any, units: float = 100.0, wait: Callable[[float], object] | None = None) -> TableScan:
    scan = TableScan(client, TABLE, 2, units)
    scan._stopped.wait = wait or (lambda _: None)  # type: ignore[assignment, method-assign]
    return scan


def test_a_throttled_scan_waits_longer_and_longer_and_then_gives_up() -> None:
    pauses: list[float] = []
    client = Throttled(3)
    _scan(client, wait=pauses.append).read(1, None)
    assert [pause for pause in pauses if pause in (1, 2, 4)] == [1, 2, 4]
    with pytest.raises(TransientError, match=r"Scan of the table t .*ProvisionedThroughputExceeded"):
        _scan(Throttled(99)).read(1, None)


def test_a_page_takes_at_most_the_units_of_a_second() -> None:
    client = Throttled(0)
    _scan(client, units=7).read(0, None)  # items of 4,096 bytes
    assert client.calls[0]["Limit"] == 7
    assert client.calls[0]["ConsistentRead"] is True
    assert (client.calls[0]["Segment"], client.calls[0]["TotalSegments"]) == (0, 2)


def test_all_threads_together_keep_the_pace() -> None:
    now, lock = [0.0], threading.Lock()
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        with lock:
            pauses.append(seconds)

    pace = Pace(10.0, wait, lambda: now[0])
    for _ in range(4):
        pace.take(20)
    assert pauses == [2.0, 4.0, 6.0]
    pace.correct(-60)
    now[0] = 2.0
    pace.take(1)
    assert pauses == [2.0, 4.0, 6.0]


def test_a_scan_that_is_stopped_ends_its_waits() -> None:
    scan = TableScan(Throttled(0), TABLE, 2, 0.001)  # type: ignore[arg-type]
    scan.read(0, None)
    threading.Timer(0.1, scan.stop).start()
    began = time.monotonic()
    with pytest.raises(TransientError, match="was stopped"):
        scan.read(0, None)
    assert time.monotonic() - began < 5
