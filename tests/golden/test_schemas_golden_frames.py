"""Frames written once, with the first version: they must decode for ever, and be written the same for ever.

A file is never changed. Another envelope, or another form of the log, adds files.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.event import ENVELOPE_FINGERPRINT, decode_event, encode_event
from schemas.log.frames import check_frame, read_frames
from schemas.log.kpl import parse_aggregate

GOLDEN = Path(__file__).parent / "frames"
OPERATIONS = ("insert", "update", "delete", "upsert", "sweep")


def frame_of(name: str) -> bytes:
    return (GOLDEN / f"{name}.bin").read_bytes()


def fields_of(name: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    for raw in ("event_id", "schema_fingerprint", "before", "after"):
        fields[raw] = None if fields[raw] is None else bytes.fromhex(fields[raw])
    return fields


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_golden_frame_decodes_to_its_fields(name: str) -> None:
    assert check_frame(frame_of(name)) is None
    assert decode_event(frame_of(name))._asdict() == fields_of(name)


@pytest.mark.parametrize("name", OPERATIONS)
def test_inv5_a_golden_event_is_written_as_it_was(name: str) -> None:
    assert encode_event(decode_event(frame_of(name))) == frame_of(name)


def test_the_envelope_of_the_golden_frames_is_the_one_we_write() -> None:
    assert ENVELOPE_FINGERPRINT.hex() == "fd20d2f5cd264810"


def test_a_golden_aggregate_holds_the_golden_frames() -> None:
    assert parse_aggregate(frame_of("aggregate")) == [frame_of(name) for name in OPERATIONS]


@pytest.mark.parametrize("name", ["log_object.bin", "log_object.gz"])
def test_inv6_a_golden_log_object_is_read(name: str) -> None:
    frames = [frame_of(operation) for operation in OPERATIONS]
    whole = (GOLDEN / name).read_bytes()
    assert list(read_frames([whole], name)) == [frames[0], *frames, frames[-1], *frames[1:]]
