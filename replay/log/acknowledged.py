"""Damage of the log that a person has acknowledged: what is there is no event, and replay may go on.

One JSON document for each object, under `log/_acknowledged/`, so that S3 alone says which bytes were left out
and who decided it (INV-6). It covers exactly one ETag of the object and the byte ranges that it names.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import NamedTuple, Protocol

from replay.log.read_ahead import opened
from replay.log.reader import ACKNOWLEDGED, LogObject, LogStore, frames_in
from schemas.errors import ConfigurationError, LogIntegrityError
from schemas.log.frames import Damage


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Bytes [start, end) of an object, after decompression, that are no events. `damage` is what the reader
    says of them, `reason` what the person says; `at` is ISO 8601."""

    start: int
    end: int
    damage: str
    reason: str
    by: str
    at: str


class Found(NamedTuple):
    """One damage of the log and, if there is one, its acknowledgement."""

    item: LogObject
    damage: Damage
    acknowledged: Acknowledgement | None


class AcknowledgingLog(LogStore, Protocol):
    """A log beside which documents can be kept."""

    def put(self, key: str, content: bytes) -> None:
        """Durable when it returns. Raises TransientError and ConfigurationError."""


class Acknowledged:
    """Looks up what is acknowledged, one object's document at a time. A log without damage costs nothing."""

    def __init__(self, log: LogStore) -> None:
        self._log = log
        self._item: LogObject | None = None
        self._ranges: dict[tuple[int, int], Acknowledgement] = {}

    def find(self, item: LogObject, damage: Damage) -> Acknowledgement | None:
        """Raises LogIntegrityError for a document that is none, and what the log raises."""
        if item != self._item:
            kept = read_acknowledgements(self._log, item)
            self._item, self._ranges = item, {(each.start, each.end): each for each in kept}
        return self._ranges.get((damage.start, damage.end))


def document_key(item: LogObject) -> str:
    """Where the acknowledgements of this object are kept, in this version of it."""
    return f"{ACKNOWLEDGED}{sha256(json.dumps([item.key, item.etag]).encode()).hexdigest()}.json"


def read_acknowledgements(log: LogStore, item: LogObject) -> list[Acknowledgement]:
    """Those of this object as it is now. Raises LogIntegrityError for a document that is none."""
    key = document_key(item)
    document = log.document(key)
    if document is None:
        return []
    try:
        found = json.loads(document)
        if (found["key"], found["etag"]) != (item.key, item.etag):
            raise ValueError
        return [Acknowledgement(**each) for each in found["acknowledged"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise LogIntegrityError(f"{key}: not an acknowledgement of {item.key}") from None


def damages_of(log: LogStore, items: Iterable[LogObject]) -> Iterator[Found]:
    """Every damage of these objects, acknowledged or not, in order."""
    acknowledged = Acknowledged(log)
    for item, parts in opened(log, items):
        for found in frames_in(parts, item.key):
            if isinstance(found, Damage):
                yield Found(item, found, acknowledged.find(item, found))


def acknowledge(
    log: AcknowledgingLog, key: str, span: tuple[int, int] | None, *, reason: str, by: str, at: str
) -> list[Found]:
    """Acknowledge the damage of one object: that of this byte range, or all of it. What is acknowledged
    already stays as it was said the first time.

    Returns what is new. Raises ConfigurationError where the log has no such object, or it has no such damage.
    """
    item = next((each for each in log.objects() if each.key == key), None)
    if item is None:
        raise ConfigurationError(f"the log has no object {key}")
    found = [each for each in damages_of(log, [item]) if span in (None, each.damage[1:3])]
    if not found:
        raise ConfigurationError(f"{key}: {_no_damage(span)}; see `headwater replay damage list`")
    new = [
        each._replace(acknowledged=Acknowledgement(*each.damage[1:], reason, by, at))
        for each in found
        if each.acknowledged is None
    ]
    if new:
        made = [each.acknowledged for each in new if each.acknowledged is not None]
        log.put(document_key(item), _document(item, [*read_acknowledgements(log, item), *made]))
    return new


def _no_damage(span: tuple[int, int] | None) -> str:
    return "every byte can be read" if span is None else f"bytes {span[0]}-{span[1]} are no damage of it"


def _document(item: LogObject, acknowledged: Sequence[Acknowledgement]) -> bytes:
    ranges = [asdict(each) for each in sorted(acknowledged, key=lambda each: (each.start, each.end))]
    document = {"key": item.key, "etag": item.etag, "acknowledged": ranges}
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"
