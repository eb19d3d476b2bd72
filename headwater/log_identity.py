"""The id of the log, kept in the log's bucket and in the warehouse, to detect that the two do not match.

Replay must not compare or replace the tables of one log with the rows of another. In the bucket the id is an
object. In the warehouse it is a checkpoint of the reader "log", which saves a table; if there are several,
the one with the greatest sequence applies.
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
    """Raise ConfigurationError if the tables were built from another log.

    Writes nothing. A log or a warehouse without an id passes.
    """
    in_warehouse, in_bucket = marked(warehouse), read_id(aws, bucket)
    if in_warehouse and in_bucket and in_warehouse != in_bucket:
        raise ConfigurationError(other_log(bucket))


def other_log(bucket: str) -> str:
    """Return the error text for tables of another log."""
    return (
        f"the tables of this warehouse were made from another log than the one in s3://{bucket}. Name that "
        "log's bucket in HEADWATER_LOG_BUCKET, or an empty database in HEADWATER_WAREHOUSE. If it is the "
        f"same log, restored or moved without its object {KEY}, run `headwater warehouse adopt-log`"
    )


def claim(aws: Aws, bucket: str, warehouse: Warehouse) -> bool:
    """Write the id to the log and to the warehouse where it is missing. Return True if the two match."""
    in_bucket = read_id(aws, bucket) or _create_id(aws, bucket)
    in_warehouse = marked(warehouse)
    if in_warehouse is None:
        adopt(warehouse, in_bucket)
    return in_warehouse in (None, in_bucket)


def adopt_log(aws: Aws, bucket: str, warehouse: Warehouse) -> None:
    """Record in the warehouse that its tables belong to this log, whatever was recorded before."""
    adopt(warehouse, read_id(aws, bucket) or _create_id(aws, bucket))


def read_id(aws: Aws, bucket: str) -> str | None:
    """Return the id of the log, or None if it has none yet."""
    from consumers.log_documents import LogDocuments

    document = LogDocuments(aws.s3, bucket).read(KEY)
    return document.decode().strip() if document else None


def _create_id(aws: Aws, bucket: str) -> str:
    new_id = uuid.uuid4().hex
    # IfNoneMatch lets one of several processes win; the others get a ConflictError and read its id.
    with suppress(ConflictError), aws_errors(f"writing s3://{bucket}/{KEY}"):
        aws.s3.put_object(Bucket=bucket, Key=KEY, Body=new_id.encode(), IfNoneMatch="*")
    return read_id(aws, bucket) or new_id


def marked(warehouse: Warehouse) -> str | None:
    """Return the id of the log that the tables belong to, or None if it was not recorded yet."""
    with warehouse.transaction() as transaction:
        points = transaction.checkpoints(READER)
    return max(points, key=lambda point: point.sequence).stream if points else None


def adopt(warehouse: Warehouse, log: str) -> None:
    """Record the id of a log in the warehouse."""
    from consumers.warehouse.port import Checkpoint, padded

    with warehouse.transaction() as transaction:
        # The greatest sequence applies, also when an id that was recorded earlier is adopted again.
        greatest = max((point.sequence for point in transaction.checkpoints(READER)), default="0")
        transaction.save_checkpoints([Checkpoint(READER, log, "id", padded(str(int(greatest) + 1)))])
