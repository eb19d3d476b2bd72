"""The embedded AWS forgets what nobody can need any more: records and changes that were read or have expired.
And it gives the same names again when its journal is replayed.

Each script runs in a process of its own, since it changes moto for good.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PREPARED = """
import sys, time
from pathlib import Path
import boto3
from headwater.embedded import moto as embedded_moto
from headwater.embedded.content import Content, ObjectBody, Spool

embedded_moto.KEPT_CHANGES = 10
embedded_moto.KEPT_ITERATORS = 5
clock, content = embedded_moto.MotoClock(), Content(Path(sys.argv[1]), keep=False)
ObjectBody.content = content
embedded_moto.prepare(clock, Spool(content))
from moto import mock_aws
account = dict(region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
mock = mock_aws()
mock.start()
"""

EXPIRED_RECORDS = """
kinesis = boto3.client("kinesis", **account)
kinesis.create_stream(StreamName="s", ShardCount=1)
start = time.time()
for hours in range(0, 60, 6):
    with clock.at(start + hours * 3_600):
        kinesis.put_record(StreamName="s", Data=b"%d" % hours, PartitionKey="k")
shard = kinesis.list_shards(StreamName="s")["Shards"][0]["ShardId"]
place = kinesis.get_shard_iterator(StreamName="s", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
found = kinesis.get_records(ShardIterator=place["ShardIterator"])["Records"]
print(*[record["Data"].decode() for record in found])
"""

READ_CHANGES = """
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodbstreams.models import dynamodbstreams_backends
dynamodb = boto3.client("dynamodb", **account)
made = dynamodb.create_table(
    TableName="t",
    KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "N"}],
    BillingMode="PAY_PER_REQUEST",
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
)
arn = made["TableDescription"]["LatestStreamArn"]
streams = dynamodbstreams_backends["123456789012"]["eu-west-1"]
shard = dynamodb_backends["123456789012"]["eu-west-1"].tables["t"].stream_shard
first = reading = streams.get_shard_iterator(arn, shard.id, "TRIM_HORIZON").arn
unread, read = [], 0
for number in range(100):
    dynamodb.put_item(TableName="t", Item={"k": {"N": str(number)}})
    if number == 49:
        unread.append(len(shard.items))
    if number >= 49:
        answer = streams.get_records(reading, 1_000)
        read, reading = read + len(answer["Records"]), answer["NextShardIterator"]
kept = streams.shard_iterators
print(*unread, read, len(shard.items) <= 21, len(kept) <= 6, first in kept)
"""

RANDOM_NUMBERS = """
import threading
from moto.moto_api._internal import mock_random

def drawn(beside):
    found = []
    with clock.at(1_000.0):
        for _ in range(3):
            if beside:
                other = threading.Thread(target=mock_random.uuid4)
                other.start()
                other.join()
            found.append((mock_random.uuid4(), mock_random.get_random_string(), mock_random.random()))
    return found

print(drawn(beside=True) == drawn(beside=False), len(set(drawn(beside=False))))
"""


def ran(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREPARED + script, str(folder / "content")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_records_of_kinesis_go_after_the_retention_of_their_stream(tmp_path: Path) -> None:
    assert ran(EXPIRED_RECORDS, tmp_path).split() == ["30", "36", "42", "48", "54"]


def test_changes_go_once_they_were_read_and_so_do_old_iterators(tmp_path: Path) -> None:
    assert ran(READ_CHANGES, tmp_path).split() == ["50", "100", "True", "True", "False"]


def test_what_runs_beside_a_request_does_not_change_the_names_that_it_gives(tmp_path: Path) -> None:
    assert ran(RANDOM_NUMBERS, tmp_path).split() == ["True", "3"]
