"""Damage of the log that a person has acknowledged: the bytes are no event, and replay may skip them.

Each object has one JSON document under `log/_acknowledged/`, so that S3 alone shows which bytes are skipped
and who decided it (INV-6). A document covers exactly one ETag of the object, and the byte ranges named in it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import NamedTuple, Protocol

from replay.log.read_ahead import read_in_order
from replay.log.reader import ACKNOWLEDGED, LogObject, LogStore, frames_in
from schemas.errors import ConfigurationError, LogIntegrityError
from schemas.log.frames import Damage


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Bytes [start, end) of an object, after decompression, that are no events.

    `damage` is the reader's description, `reason` the person's; `at` is ISO 8601.
    """

    start: int
    end: int
    damage: str
    reason: str
    by: str
    at: str


class KnownDamage(NamedTuple):
    """A damage of the log, with its acknowledgement if there is one."""

    item: LogObject
    damage: Damage
    acknowledged: Acknowledgement | None


class AcknowledgingLog(LogStore, Protocol):
    """A log beside which documents can be stored."""

    def put(self, key: str, content: bytes) -> None:
        """Store a document, durably when it returns. Raises TransientError and ConfigurationError."""


class Acknowledged:
    """Looks up acknowledgements. Keeps one document at a time, since damage comes in the order of the log."""

    def __init__(self, log: LogStore) -> None:
        self._log = log
        self._item: LogObject | None = None
        self._ranges: dict[tuple[int, int], Acknowledgement] = {}

    def find(self, item: LogObject, damage: Damage) -> Acknowledgement | None:
        """Return the acknowledgement of a damage; None if it has none.

        Raises LogIntegrityError for a malformed document, and what the log raises.
        """
        # Read at the first damage of an object: a log without damage costs no request.
        if item != self._item:
            known = read_acknowledgements(self._log, item)
            self._item, self._ranges = item, {(entry.start, entry.end): entry for entry in known}
        return self._ranges.get((damage.start, damage.end))


def document_key(item: LogObject) -> str:
    """Return the key of the document that holds the acknowledgements of this version of an object."""
    # Hashed with the ETag: when the content changes, its byte ranges mean something else.
    return f"{ACKNOWLEDGED}{sha256(json.dumps([item.key, item.etag]).encode()).hexdigest()}.json"


def read_acknowledgements(log: LogStore, item: LogObject) -> list[Acknowledgement]:
    """Return the acknowledgements of this version of an object. Raises LogIntegrityError if malformed."""
    key = document_key(item)
    document = log.document(key)
    if document is None:
        return []
    try:
        parsed = json.loads(document)
        if (parsed["key"], parsed["etag"]) != (item.key, item.etag):
            raise ValueError
        return [Acknowledgement(**entry) for entry in parsed["acknowledged"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise LogIntegrityError(f"{key}: not an acknowledgement of {item.key}") from None


def damages_of(log: LogStore, items: Iterable[LogObject]) -> Iterator[KnownDamage]:
    """Yield every damage of these objects, acknowledged or not, in order."""
    acknowledged = Acknowledged(log)
    for item, parts in read_in_order(log, items):
        for piece in frames_in(parts, item.key):
            if isinstance(piece, Damage):
                yield KnownDamage(item, piece, acknowledged.find(item, piece))


def acknowledge(
    log: AcknowledgingLog, key: str, span: tuple[int, int] | None, *, reason: str, by: str, at: str
) -> list[KnownDamage]:
    """Acknowledge the damage of one object: that of the byte range `span`, or all of it.

    An earlier acknowledgement keeps its reason and author. Returns the new ones. Raises ConfigurationError
    where the log has no such object, or the object has no such damage.
    """
    item = next((item for item in log.objects() if item.key == key), None)
    if item is None:
        raise ConfigurationError(f"the log has no object {key}")
    damages = [
        known for known in damages_of(log, [item]) if span in (None, (known.damage.start, known.damage.end))
    ]
    if not damages:
        raise ConfigurationError(f"{key}: {_no_damage(span)}; see `headwater replay damage list`")
    new = [
        known._replace(acknowledged=_acknowledgement(known.damage, reason, by, at))
        for known in damages
        if known.acknowledged is None
    ]
    if new:
        entries = [known.acknowledged for known in new if known.acknowledged is not None]
        # The document is replaced as a whole: S3 can't append to an object.
        log.put(document_key(item), _document(item, [*read_acknowledgements(log, item), *entries]))
    return new


def _acknowledgement(damage: Damage, reason: str, by: str, at: str) -> Acknowledgement:
    return Acknowledgement(
        start=damage.start, end=damage.end, damage=damage.reason, reason=reason, by=by, at=at
    )


def _no_damage(span: tuple[int, int] | None) -> str:
    return "every byte can be read" if span is None else f"bytes {span[0]}-{span[1]} are no damage of it"


def _document(item: LogObject, acknowledged: Sequence[Acknowledgement]) -> bytes:
    ranges = [asdict(entry) for entry in sorted(acknowledged, key=lambda entry: (entry.start, entry.end))]
    document = {"key": item.key, "etag": item.etag, "acknowledged": ranges}
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"
