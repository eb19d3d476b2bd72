"""Positions: the order of a fact among all facts of the same key and source, as text that compares as bytes.

Fixed width within a source (docs/architecture.md: Event), so that the order of texts is the order of facts.
"""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from schemas.errors import ConfigurationError, PoisonEventError
from schemas.keys import text_array

SEQUENCE_DIGITS = 40
ROW_DIGITS = 12
BACKFILL_SEQUENCE = "0"
"""Of a row that a backfill read: below every stream record of its generation, above everything older."""
SWEEP_ROW = 0
"""Of a file's sweep: below the file's rows, which are numbered from 1, and above all older files."""

ORDER_FORM = r"\.[0-9]{7}[0-9A-F]{18}"
"""Of what `order_within_second` returns, as a regular expression."""

_SEQUENCE_NUMBER = re.compile(rf"[0-9]{{1,{SEQUENCE_DIGITS}}}")
_STREAM_LABEL = re.compile(
    r".+/stream/([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,6}))?"
)


def generation_of(stream_arn: str) -> str:
    """The label in a DynamoDB stream's ARN, its fraction filled up to microseconds: the width is fixed.

    A stream switched on again, or a table made again, has a later one. Raises ConfigurationError.
    """
    found = _STREAM_LABEL.fullmatch(stream_arn)
    if not found:
        raise ConfigurationError(f"{stream_arn!r} is not the ARN of a DynamoDB stream")
    second, fraction = found.groups(default="")
    return f"{second}.{fraction:0<6}"


def dynamodb_position(generation: str, sequence_number: str) -> str:
    """`<generation>-<sequence number, 40 digits>`. Raises PoisonEventError for what is no such number."""
    if not _SEQUENCE_NUMBER.fullmatch(sequence_number):
        raise PoisonEventError(f"sequence number: not a number of at most {SEQUENCE_DIGITS} digits")
    return f"{generation}-{sequence_number:0>{SEQUENCE_DIGITS}}"


def order_within_second(last_modified: datetime, event_time: datetime, sequencer: str) -> str:
    """`.<milliseconds since LastModified, 7 digits><sequencer, 18 hex>`, from the notification of an upload.

    LastModified counts in whole seconds. `event_time` orders the uploads of one second, of any keys; where it
    is the same, S3's sequencer orders those of one key. In bytes a dot is greater than the hyphen that comes
    after LastModified where no such order is known.
    """
    millis = (event_time - _whole_second(last_modified)) // timedelta(milliseconds=1)
    digits = sequencer.upper() if re.fullmatch(r"[0-9A-Fa-f]+", sequencer) else ""
    return f".{min(max(millis, 0), 9_999_999):07}{digits:0<18.18}"


def csv_file_position(
    effective: str, last_modified: datetime, object_key: str, version_id: str, etag: str, order: str = ""
) -> str:
    """`<effective date, or nothing><LastModified><order>-<16 hex of the object's identity>`: all but the row.

    `effective` has one width in all files of a feed. LastModified counts in whole seconds, since a read tells
    no more; `order` is that of order_within_second, or nothing. An ETag with quotes or without is the same
    one (INV-5).
    """
    named = text_array((object_key, version_id, etag.strip('"')), ("file name", "version", "ETag"))
    identity = sha256(named.encode()).hexdigest()[:16]
    return f"{effective}{_basic(last_modified)}{order}-{identity}"


def csv_position(file_position: str, row: int) -> str:
    """`<file position>-<row, 12 digits>`. Rows count from 1; a sweep has SWEEP_ROW. Raises ValueError."""
    if not 0 <= row < 10**ROW_DIGITS:
        raise ValueError(f"row {row} does not fit in {ROW_DIGITS} digits")
    return f"{file_position}-{str(row).zfill(ROW_DIGITS)}"


def corrected_position(position: str, corrected_at: datetime, order: str = "") -> str:
    """The place of a corrected row: just above the row it corrects, below the next row.

    `order` is that of the correction's upload within its second.
    """
    return f"{position}+{_basic(corrected_at)}{order}"


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _basic(moment: datetime) -> str:
    """ISO basic, UTC, whole seconds. Raises ValueError for a naive datetime: its moment is the host's."""
    if moment.tzinfo is None:
        raise ValueError("a position takes a datetime with a time zone")
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
