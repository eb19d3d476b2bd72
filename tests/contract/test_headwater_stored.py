"""What `status` counts of the rejects in S3, whatever lies there."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from headwater.views.rejected_rows import Rejects, count_rejects
from producers.csv.rejects import RejectFile
from producers.csv.uploads import Reject
from schemas.settings import Settings

CELLS = ["A" * 200_000, "a\u2028b", "x\x85y", "two\nlines", '"quoted"', ""]
"""Longer than the csv module takes of itself, and with whatever somebody may take for a line's end."""


@pytest.fixture(autouse=True)
def _as_a_new_process() -> Iterator[None]:
    """The csv module's limit is one for the process: another test may have raised it."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


def counted(aws: Any, objects: dict[str, bytes]) -> Rejects:
    s3, bucket = aws.client("s3"), aws.name("rejects")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key, body in objects.items():
        s3.put_object(Bucket=bucket, Key=f"rejects/links/{key}", Body=body)
    return count_rejects(SimpleNamespace(s3=s3), Settings(source_bucket=bucket))  # type: ignore[arg-type]


def test_rejected_rows_are_counted_however_long_their_cells_and_whatever_is_in_them(aws: Any) -> None:
    with RejectFile(["name"]) as rejects:
        for number, text in enumerate(CELLS, 1):
            rejects.add(Reject(number, f"p-{number}", "name", "is wrong", [text]))
        body = rejects.written().read()
    assert counted(aws, {"a.csv/1.csv": body, "b.csv/2": b"x", "b.csv/2.reason.json": b"{}"}) == (6, 1, 0)


def test_a_file_that_a_person_put_there_is_counted_and_stops_nothing(aws: Any) -> None:
    assert counted(aws, {"mine.csv": "row,name\n1,Zo\xeb\n".encode("cp1252"), "none.csv": b""}) == (1, 0, 0)
