"""Gaps: stretches of a stream that expired before they were read. A notice of each is in the source bucket.

A notice is one object under `gaps/`, whose key says everything, so that a listing is enough to read all. It
stays until a person deletes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from headwater.aws import Aws
from schemas.aws_errors import aws_errors
from schemas.errors import ConflictError
from schemas.s3_objects import list_objects
from schemas.settings import Settings

PREFIX = "gaps/"
STREAM, TABLE = "stream", "table"


class Gap(NamedTuple):
    """A gap. `after` and `until` are what is known of its ends: a sequence number or a time, or empty."""

    kind: str
    name: str
    """Shard of the Kinesis stream, or DynamoDB table."""
    after: str
    until: str = ""

    @property
    def key(self) -> str:
        return f"{PREFIX}{self.kind}/{self.name}/{self.after}..{self.until}"

    @property
    def text(self) -> str:
        if self.kind == STREAM:
            return (
                f"{self.name} of the stream no longer had what followed record {self.after or 'unknown'} "
                "when it was to be applied: tables may lack events. Rebuild each: "
                "`headwater replay rebuild ENTITY`"
            )
        stretch = f"between {self.after or 'an unknown time'} and {self.until or 'an unknown time'}"
        return (
            f"the stream of the table {self.name} dropped changes {stretch} before they were read. Disable "
            f"the stream, enable it again, and run `headwater backfill {self.name}`"
        )


def stream_gap(shard: str, sequence: str) -> Gap:
    """Return the gap of a consumer whose checkpoint in this shard has expired."""
    return Gap(STREAM, shard, sequence.lstrip("0"))


def keep_gap(aws: Aws, settings: Settings, gap: Gap) -> None:
    """Store a notice, unless it is there already. Raises TransientError, ConfigurationError."""
    try:
        with aws_errors(f"PutObject of s3://{settings.source_bucket}/{gap.key}"):
            aws.s3.put_object(Bucket=settings.source_bucket, Key=gap.key, IfNoneMatch="*")
    except ConflictError:
        return


def read_gaps(aws: Aws, settings: Settings) -> list[dict[str, str]]:
    """Return the notices, as `headwater status --json` prints them. Raises as `keep_gap`."""
    return [
        {
            **gap_of(found.key)._asdict(),
            "noticed": _time(found.modified),
            "notice": f"s3://{settings.source_bucket}/{found.key}",
        }
        for found in list_objects(aws.s3, settings.source_bucket, PREFIX)
    ]


def gap_of(key: str) -> Gap:
    """Return the gap of a notice's key."""
    kind, _, rest = key.removeprefix(PREFIX).partition("/")
    name, _, stretch = rest.partition("/")
    after, _, until = stretch.partition("..")
    return Gap(kind, name, after, until)


def describe_gap(gap: Mapping[str, str]) -> str:
    """Return one of `read_gaps` as a line."""
    text = Gap(gap["kind"], gap["name"], gap["after"], gap["until"]).text
    return f"gap noticed {gap['noticed']}: {text}. Then delete {gap['notice']}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
