"""Positions: the order of a fact among all facts of the same key and source, as text that compares as bytes.

Within a source each position has the same width (docs/architecture.md: Event), so that the order of texts is
the order of facts.
"""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from schemas.errors import ConfigurationError, PoisonEventError
from schemas.keys import text_array

SEQUENCE_DIGITS = 40
ROW_DIGITS = 12
BACKFILL_SEQUENCE = "0"
"""Sequence number of backfilled rows: below all stream records of the generation, above older generations."""
SWEEP_ROW = 0
"""Row number of a file's sweep: below the rows of the file, which count from 1, and above all older files."""

ORDER_PATTERN = r"\.[0-9]{7}[0-9A-F]{18}"
"""Regular expression for the result of `order_within_second`."""

_SEQUENCE_NUMBER = re.compile(rf"[0-9]{{1,{SEQUENCE_DIGITS}}}")
_STREAM_LABEL = re.compile(
    r".+/stream/([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,6}))?"
)


def generation_of(stream_arn: str) -> str:
    """Return the label in the ARN of a DynamoDB stream, with its fraction extended to microseconds.

    A stream that is enabled again, or a table that is created again, has a later label. Raises
    ConfigurationError.
    """
    label = _STREAM_LABEL.fullmatch(stream_arn)
    if not label:
        raise ConfigurationError(f"{stream_arn!r} is not the ARN of a DynamoDB stream")
    # The fraction may be shorter or absent, and positions need one width.
    second, fraction = label.groups(default="")
    return f"{second}.{fraction:0<6}"


def dynamodb_position(generation: str, sequence_number: str) -> str:
    """Return `<generation>-<sequence number, 40 digits>`.

    Raises PoisonEventError unless the sequence number has 1 to 40 digits.
    """
    if not _SEQUENCE_NUMBER.fullmatch(sequence_number):
        raise PoisonEventError(f"sequence number: not a number of at most {SEQUENCE_DIGITS} digits")
    return f"{generation}-{sequence_number:0>{SEQUENCE_DIGITS}}"


def backfill_sweep_position(position: str) -> str:
    """Return the position of the sweeps of a backfill whose rows have this one: just below them."""
    # A prefix sorts below the whole text, and above all that is older. At the position of the rows, the sweep
    # of bucket 7 would have the event id of the row whose key is 7.
    return position[:-1]


def order_within_second(last_modified: datetime, event_time: datetime, sequencer: str) -> str:
    """Return `.<milliseconds since LastModified, 7 digits><sequencer, 18 hex>` of an upload.

    LastModified has whole seconds. `event_time`, from the notification, orders the uploads of one second,
    whatever their keys. Where it is equal, S3's sequencer orders the uploads of one key.
    """
    # The dot sorts above the hyphen that follows LastModified where this order is unknown.
    millis = (event_time - _whole_second(last_modified)) // timedelta(milliseconds=1)
    # Sequencers compare as hexadecimal strings, extended with zeros on the right.
    digits = sequencer.upper() if re.fullmatch(r"[0-9A-Fa-f]+", sequencer) else ""
    return f".{min(max(millis, 0), 9_999_999):07}{digits:0<18.18}"


def csv_file_position(
    effective: str, last_modified: datetime, object_key: str, version_id: str, etag: str, order: str = ""
) -> str:
    """Return `<effective date or nothing><LastModified><order>-<16 hex of the identity of the object>`.

    This is the position of a row without the row. `effective` has one width in all files of a feed, `order`
    is that of `order_within_second` or empty. LastModified has whole seconds, since a read of the object
    returns no more.
    """
    # S3 returns the ETag in quotes, its notifications do not: both must give the same position (INV-5).
    identity_text = text_array((object_key, version_id, etag.strip('"')), ("file name", "version", "ETag"))
    identity = sha256(identity_text.encode()).hexdigest()[:16]
    return f"{effective}{_basic(last_modified)}{order}-{identity}"


def csv_position(file_position: str, row: int) -> str:
    """Return `<file position>-<row, 12 digits>`.

    Rows count from 1, and a sweep has SWEEP_ROW. Raises ValueError for a number that does not fit.
    """
    if not 0 <= row < 10**ROW_DIGITS:
        raise ValueError(f"row {row} does not fit in {ROW_DIGITS} digits")
    return f"{file_position}-{str(row).zfill(ROW_DIGITS)}"


def corrected_position(position: str, corrected_at: datetime, order: str = "") -> str:
    """Return the position of a corrected row: just above the row that it corrects, below the next row.

    `order` is that of the upload of the correction within its second.
    """
    # A longer text sorts above its own prefix, and the next row differs before the plus.
    return f"{position}+{_basic(corrected_at)}{order}"


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _basic(moment: datetime) -> str:
    """Return a moment in ISO 8601 basic format, in UTC and whole seconds.

    Raises ValueError for a naive datetime, which would be interpreted as local time of the host.
    """
    if moment.tzinfo is None:
        raise ValueError("a position takes a datetime with a time zone")
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
