"""Which log a warehouse belongs to. Both keep the log's id: rows of another log are not to be compared with
this one's, or replaced by them.

The id is an object in the log's bucket. In the warehouse it is a checkpoint of the reader "log", so that it
needs no table of its own; of several the one of the greatest sequence counts.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from replay.log.reader import IDENTITY as KEY
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError, ConflictError

if TYPE_CHECKING:
    from consumers.warehouse.port import Warehouse
    from headwater.aws import Aws

READER = "log"


def check(aws: Aws, bucket: str, warehouse: Warehouse) -> None:
    """Raise ConfigurationError where the tables are those of another log. Writes nothing: what has no id yet
    passes."""
    theirs, ours = marked(warehouse), read_id(aws, bucket)
    if theirs and ours and theirs != ours:
        raise ConfigurationError(other_log(bucket))


def other_log(bucket: str) -> str:
    """What is wrong, and what to do."""
    return (
        f"the tables of this warehouse were made from another log than the one in s3://{bucket}. Name that "
        "log's bucket in HEADWATER_LOG_BUCKET, or an empty database in HEADWATER_WAREHOUSE. If it is the "
        f"same log, restored or moved without its object {KEY}, run `headwater warehouse adopt-log`"
    )


def claim(aws: Aws, bucket: str, warehouse: Warehouse) -> bool:
    """Give log and warehouse their ids where they have none; whether they belong together."""
    ours = read_id(aws, bucket) or _make_id(aws, bucket)
    theirs = marked(warehouse)
    if theirs is None:
        adopt(warehouse, ours)
    return theirs in (None, ours)


def adopt_log(aws: Aws, bucket: str, warehouse: Warehouse) -> None:
    """Record that these tables are those of this log, whatever was recorded before."""
    adopt(warehouse, read_id(aws, bucket) or _make_id(aws, bucket))


def read_id(aws: Aws, bucket: str) -> str | None:
    """The log's id; None where it has none yet."""
    from consumers.log_documents import LogDocuments

    found = LogDocuments(aws.s3, bucket).read(KEY)
    return found.decode().strip() if found else None


def _make_id(aws: Aws, bucket: str) -> str:
    made = uuid.uuid4().hex
    with suppress(ConflictError), aws_errors(f"writing s3://{bucket}/{KEY}"):
        aws.s3.put_object(Bucket=bucket, Key=KEY, Body=made.encode(), IfNoneMatch="*")
    return read_id(aws, bucket) or made


def marked(warehouse: Warehouse) -> str | None:
    """The id of the log that the tables belong to; None where that was not recorded yet."""
    with warehouse.transaction() as transaction:
        points = transaction.checkpoints(READER)
    return max(points, key=lambda point: point.sequence).stream if points else None


def adopt(warehouse: Warehouse, log: str) -> None:
    """Record a log's id in the warehouse."""
    from consumers.warehouse.port import Checkpoint, padded

    with warehouse.transaction() as transaction:
        greatest = max((point.sequence for point in transaction.checkpoints(READER)), default="0")
        transaction.save_checkpoints([Checkpoint(READER, log, "id", padded(str(int(greatest) + 1)))])
