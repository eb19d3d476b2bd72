"""Processing of one file: a first reading finds out whether it is bad as a whole, a second one publishes it.

The events depend on the file's version alone, and the file leaves drop/ last. So after a kill at any point,
another run publishes the same events and loses nothing (INV-1, INV-5).
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from hashlib import md5
from io import BytesIO
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import NamedTuple

from producers.csv.archive import CORRECTIONS, DROP, Bucket, Location, ObjectGoneError
from producers.csv.meter import Meter
from producers.csv.registers import KeySample, Loss, Registers
from producers.csv.rejects import ENDING as CLOSED
from producers.csv.rejects import IN_MEMORY, Closed, RejectCount, RejectFile, encode_closed
from producers.csv.resume import ROWS, SURVEY, FileProgress, configuration_of
from producers.csv.rows import KeyTexts, RowReader, has_one_text
from producers.csv.stages import Stages
from producers.csv.text import BadFileError, TextRows
from producers.csv.uploads import Correction, CsvRow, Drop, Reject, Sheet, Upload
from producers.drift_reporter import DriftReporter
from producers.publisher import Publisher
from schemas.catalog.drift import KEY_TEXTS, Unknown, known_names, name_list
from schemas.catalog.entity import Entity
from schemas.deadline import Deadline
from schemas.errors import Cause, PoisonEventError
from schemas.event import BUCKETS, Event, encode_event, make_sweep
from schemas.letters.letter import DeadLetter, LetterStore, letter_id
from schemas.positions import SWEEP_ROW, csv_position
from schemas.privacy import HashKey
from schemas.sources.csv import CsvSource, Mode

_log = logging.getLogger(__name__)

STAGE = "csv"
CHECKED, PUBLISHED = "checked", "published"
FEW_ROWS = 10  # rows that a snapshot may always delete, whatever fraction of the table they are


class RowCounts(NamedTuple):
    """The rows of a file, and how many of them were rejected."""

    rows: int
    rejected: int


@dataclass(frozen=True, slots=True)
class File:
    """A file of a feed, with everything that its processing needs."""

    bucket: Bucket
    location: Location
    upload: Upload
    entity: Entity
    source: CsvSource
    publisher: Publisher
    letters: LetterStore
    hash_key: HashKey | None = None
    drift: DriftReporter | None = None
    deadline: Deadline = field(default_factory=Deadline)
    meter: Meter = field(default_factory=Meter)

    def take(self) -> RowCounts:
        """Process the file: publish and archive it, or reject it with a dead letter.

        Returns the counts of the whole file, also where earlier calls did a part; of a bad file no rows.

        Raises ObjectGoneError if another process has finished the file meanwhile. After a TransientError or
        ConfigurationError the same call does what is left. When the time is nearly up the progress is saved
        and a TransientError is raised.
        """
        sheet = self._sheet()
        configuration = configuration_of(self.entity, self.source, self.hash_key)
        progress = FileProgress(self.bucket, self.source.feed, sheet.position, configuration)
        counts = RowCounts(0, 0)
        try:
            if not progress.resume_point(ROWS).rows:
                self._survey(sheet, progress)
            # An earlier attempt has surveyed the file, but rows without a key need the hash of its bytes.
            elif not self.entity.key:
                deque(self._hashed(sheet), maxlen=0)
            counts = self._publish(sheet, progress)
        except BadFileError as error:
            self._reject(sheet, error)
        except ObjectGoneError:
            progress.forget()
            raise
        progress.forget()
        return counts

    def _sheet(self) -> Sheet:
        kind = Drop if self.location.prefix == DROP else Correction
        return kind(self.source, self.location.file, self.upload)

    def _chunks(self) -> Iterator[bytes]:
        return self.meter.chunks(self.bucket.read(self.upload))

    def _hashed(self, sheet: Sheet) -> Iterator[bytes]:
        """Yield the file's bytes, and set the sheet's `content` to their MD5 at the end."""
        # The MD5 is the ETag of a simple upload. Earlier versions of Headwater used the ETag: where the two
        # are equal, rows without a key keep their identity.
        digest = md5(usedforsecurity=False)
        for chunk in self._chunks():
            digest.update(chunk)
            yield chunk
        sheet.content = digest.hexdigest()

    def _opened(self, sheet: Sheet, chunks: Iterator[bytes]) -> _Opened:
        """Start reading the file, up to its header. Raises BadFileError."""
        rows = iter(
            TextRows(
                chunks,
                sheet.encoding,
                sheet.delimiter,
                quoting=sheet.quoting,
                skip_lines=sheet.skip_lines,
            )
        )
        columns = sheet.columns(rows)
        # Before unknown names are reported: without a header RowReader refuses the first row, so that its
        # values are not taken for names (INV-7).
        reader = RowReader(self.entity, self.source, sheet, columns, self.hash_key)
        names = self._unknown(columns)
        if names and self.entity.unknown is Unknown.REJECT:
            self._report_drift(sheet, names)
            raise BadFileError(f"no schema names {name_list(names)}, and unknown = reject")
        return _Opened(reader, columns, rows)

    def _survey(self, sheet: Sheet, progress: FileProgress) -> None:
        """Read the whole file before anything is published. Raises BadFileError."""
        if progress.outdated:
            _log.warning(
                "%s: the schema or entity.toml has changed since: starts again from its first row",
                self.upload.key,
            )
        opened = self._opened(sheet, self._chunks() if self.entity.key else self._hashed(sheet))
        limit = self.source.reject_limit
        # Without a limit rows need no conversion, only parsing: quoting, encoding and sizes can be bad.
        if limit is None:
            deque(self.meter.rows(opened.rows, CHECKED), maxlen=0)
            return
        stages = Stages(progress, SURVEY, self.publisher, RejectCount(), self.deadline)
        counts = self._read(opened, sheet, stages, encode_event)
        if counts.rejected > (limit * counts.rows if isinstance(limit, float) else limit):
            raise BadFileError(
                f"{counts.rejected} of {counts.rows} rows are bad, more than reject_limit = {limit}"
            )

    def _publish(self, sheet: Sheet, progress: FileProgress) -> RowCounts:
        opened = self._opened(sheet, self._chunks())
        with RejectFile(opened.columns) as rejects:
            keys = KeySample() if self._is_snapshot else None
            stages = Stages(progress, ROWS, self.publisher, rejects, self.deadline, keys=keys)
            try:
                counts = self._read(opened, sheet, stages, self._adding(keys))
            finally:  # also after an error: a run that resumes does not read these rows again
                self._report_key_texts(sheet, opened.reader.key_texts)
            self.publisher.flush()
            if counts.rejected:
                self.bucket.put(f"{self.location.rejected(sheet.filed_as)}.csv", rejects.written())
        self._close_corrected(sheet)
        if keys is not None:
            self._end_snapshot(sheet, counts, keys)
        self._report_drift(sheet, self._unknown(opened.columns))
        # Last: until the file has left drop/, a retry does all of this again.
        self._move(self.location.archived(sheet.filed_as))
        level = logging.WARNING if counts.rejected else logging.INFO
        _log.log(level, "%s: %d rows, %d of them rejected", self.upload.key, *counts)
        return counts

    def _close_corrected(self, sheet: Sheet) -> None:
        """Record which rejected rows this correction has closed. Their events are durable by now (INV-1)."""
        if self.location.prefix != CORRECTIONS:
            return
        opened = self._opened(sheet, self._chunks())
        with SpooledTemporaryFile(IN_MEMORY) as lines:

            def close(event: Event) -> None:
                encode_event(event)  # raises for an event that was too large to be published
                lines.write(encode_closed(Closed(event.position.partition("+")[0], "corrected")))

            read_rows(opened.reader, sheet.placed(opened.rows), close, lambda _reject: None)
            lines.seek(0)
            self.bucket.put(f"{self.location.rejected(sheet.filed_as)}{CLOSED}", lines)

    def _read(
        self, opened: _Opened, sheet: Sheet, stages: Stages, use: Callable[[Event], object]
    ) -> RowCounts:
        """Read all rows after the saved progress, and return the counts of the whole file."""
        done = stages.resume()
        if done.rows:
            _log.info("%s: goes on after row %d", self.upload.key, done.rows)
        remaining = islice(sheet.placed(opened.rows), done.rows, None)
        label = CHECKED if stages.phase == SURVEY else PUBLISHED
        metered = self.meter.rows(remaining, label, done.rows)
        counts = read_rows(opened.reader, stages.of(metered), use, stages.rejects.add)
        return RowCounts(done.rows + counts.rows, done.rejected + counts.rejected)

    def _unknown(self, columns: Sequence[str]) -> Set[str]:
        """Return the columns in the header of a dropped file that no version of the schema names."""
        if self.source.header is not True or self.location.prefix != DROP:
            return frozenset()
        return {*filter(None, columns)} - known_names(self.entity.versions, self.source.name)

    def _report_drift(self, sheet: Sheet, names: Set[str]) -> None:
        if names and self.drift and self.entity.unknown is not Unknown.IGNORE:
            self.drift.observe(self.entity.name, self.source.name, sheet.occurred_at, names)
            self.drift.flush()

    def _report_key_texts(self, sheet: Sheet, key_texts: KeyTexts | None) -> None:
        """Report rows whose keys are equal as values, but not as texts. Does not depend on `unknown`."""
        if key_texts is None or not key_texts.rows:
            return
        fields = ", ".join(field.name for field in self.entity.key_fields if not has_one_text(field))
        _log.warning(
            "%s: %d rows have the key of another row and write it otherwise (%s): of such rows the last "
            "wins; where they are to stay apart make a new entity whose key has these fields as string",
            *(self.upload.key, key_texts.rows, fields),
        )
        if self.drift:
            self.drift.observe(self.entity.name, self.source.name, sheet.occurred_at, [KEY_TEXTS])
            self.drift.flush()

    def _add(self, event: Event) -> None:
        self.publisher.add(event, self.entity.schema)

    def _adding(self, keys: KeySample | None) -> Callable[[Event], object]:
        """Return a function that publishes an event, and adds its key to the sample if there is one."""
        # Without attribute look-ups: it is called for every row.
        publish, schema = self.publisher.add, self.entity.schema
        if keys is None:
            return self._add
        sample = keys.add
        return lambda event: sample(publish(event, schema))

    @property
    def _is_snapshot(self) -> bool:
        return self.source.mode is Mode.SNAPSHOT and self.location.prefix == DROP

    def _end_snapshot(self, sheet: Sheet, counts: RowCounts, keys: KeySample) -> None:
        """Publish the sweeps of a snapshot, which delete the rows that it lacks, unless that is unsafe."""
        # All rows of the file are durable by now: a sweep before them would delete rows that still exist.
        registers = Registers(self.bucket, self.entity.name, self.source.feed)
        reason = self._unsafe(counts) or self._deletes_too_much(registers.loss(sheet.position, keys))
        if reason:
            self._letter(sheet, f"no sweep published: {reason}", self.location.archived(sheet.filed_as))
        else:
            self._sweep(sheet)
        registers.record(sheet.position, keys, swept=reason is None)

    def _sweep(self, sheet: Sheet) -> None:
        for bucket in range(BUCKETS):
            self._add(
                make_sweep(
                    source=self.source.name,
                    entity=self.entity.name,
                    bucket=bucket,
                    position=csv_position(sheet.position, SWEEP_ROW),
                    occurred_at=sheet.occurred_at,
                    schema_fingerprint=self.entity.schema.fingerprint,
                )
            )
        self.publisher.flush()

    def _unsafe(self, counts: RowCounts) -> str | None:
        """Return the reason why a sweep could delete rows that still exist; None if it is safe."""
        if counts.rejected:
            return f"{counts.rejected} of {counts.rows} rows were rejected"
        if counts.rows < self.source.min_rows:
            return f"{counts.rows} rows are fewer than min_rows = {self.source.min_rows}"
        return None

    def _deletes_too_much(self, loss: Loss) -> str | None:
        limit = self.source.max_deleted
        allowed = max(limit * loss.keys, FEW_ROWS) if isinstance(limit, float) else limit
        if loss.missing <= allowed:
            return None
        return (
            f"it would delete {loss.missing} of {loss.keys} rows, more than max_deleted = {limit}: "
            "if they are gone, raise max_deleted and drop the file again (docs/entities.md)"
        )

    def _reject(self, sheet: Sheet, error: BadFileError) -> None:
        """Move a bad file to rejects/, with the reason beside it. Nothing of it was published."""
        moved_to = self.location.rejected(sheet.filed_as)
        reason = {"reason": error.reason, "bucket": self.bucket.name, **self.upload._asdict()}
        text = json.dumps(reason, indent=2, default=str).encode()
        self.bucket.put(f"{moved_to}.reason.json", BytesIO(text))
        self._letter(sheet, error.reason, moved_to)
        self._move(moved_to)

    def _letter(self, sheet: Sheet, reason: str, moved_to: str) -> None:
        """Store a dead letter for a person to look at the file, which is or will be at `moved_to`."""
        _log.warning("%s: %s", self.upload.key, reason)
        letter = object_letter(
            self.bucket.name,
            self.upload.key,
            self.upload.version,
            reason,
            moved_to=moved_to,
            entity=self.entity.name,
            source=self.source.name,
            position=sheet.position,
            occurred_at=sheet.occurred_at,
        )
        self.letters.put([letter])

    def _move(self, key: str) -> None:
        self.bucket.copy(self.upload, key)
        self.bucket.delete(self.upload)


def object_letter(
    bucket: str,
    key: str,
    version: str | None,
    reason: str,
    *,
    etag: str | None = None,
    event_time: str | None = None,
    sequencer: str | None = None,
    moved_to: str | None = None,
    entity: str | None = None,
    source: str | None = None,
    position: str | None = None,
    occurred_at: int | None = None,
    cause: Cause = "data",
) -> DeadLetter:
    """Return a dead letter about a whole object, with its location as JSON in the payload.

    `etag`, `event_time` and `sequencer` come from the notification of an object that was not read: a redrive
    needs them to recognize a copy of this version, and to order it among the uploads of its second.
    """
    location = {"bucket": bucket, "key": key, "version": version, "moved_to": moved_to}
    notified = {"etag": etag, "event_time": event_time, "sequencer": sequencer}
    # Left out where unknown: the letter of a file that was read has none of them.
    location |= {name: value for name, value in notified.items() if value is not None}
    payload = json.dumps(location, sort_keys=True).encode()
    return DeadLetter(
        id=letter_id(payload),
        stage=STAGE,
        entity=entity,
        source=source,
        position=position,
        reason=reason,
        cause=cause,
        payload=payload,
        occurred_at=occurred_at,
    )


class _Opened(NamedTuple):
    reader: RowReader
    columns: Sequence[str]
    rows: Iterator[list[str]]


def read_rows(
    reader: RowReader,
    rows: Iterable[CsvRow | Reject],
    use: Callable[[Event], object],
    refuse: Callable[[Reject], object],
) -> RowCounts:
    """Pass the event of each row to `use`, and rejects to `refuse`.

    A row is also a reject if `use` raises PoisonEventError for its event, for instance because of its size.
    """
    count = rejected = 0
    for row in rows:
        count += 1
        if isinstance(row, CsvRow):
            try:
                use(reader.event(row))
                continue
            except PoisonEventError as error:
                row = reader.reject(row, error)
        refuse(row)
        rejected += 1
    return RowCounts(count, rejected)
