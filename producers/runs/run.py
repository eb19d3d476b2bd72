"""The document of a run, and the claim of a process to it.

`runs/<name>/run.json` names the newest run of a source: what it reads, who works on it and, once it is done,
its result. Its chunks are under `runs/<name>/<id>/`.

The owner replaces the document every BEAT seconds. Another process watches it for LEASE seconds before it
takes over, so that no clocks are compared. Two owners at once would do no harm, since chunks are written
once: the claim only spares the source.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from producers.runs.store import PREFIX, RunStore, Stored
from schemas.errors import ConflictError

BEAT = 5.0
LEASE = 20.0
_WATCH = 0.5


class RunDocument(NamedTuple):
    """The newest run of a source."""

    id: str
    subject: Mapping[str, Any]
    """What it reads. A run goes on only with the same subject."""
    segments: int
    began_at: str
    """ISO 8601."""
    owner: str | None
    """The process that works on it; None after a clean stop."""
    beats: int = 0
    result: Mapping[str, Any] | None = None
    """None: it is not done."""

    def encode(self) -> bytes:
        return json.dumps(self._asdict(), sort_keys=True).encode()


class Wanted(NamedTuple):
    """The run that a process wants to begin, if there is none to go on with."""

    name: str
    """Of its folder under `runs/`."""
    id: str
    subject: Mapping[str, Any]
    segments: int
    began_at: str
    owner: str
    restart: bool = False
    """Begin it even if an earlier run could go on."""


class Run:
    """A run that this process works on."""

    def __init__(
        self,
        store: RunStore,
        name: str,
        document: RunDocument,
        etag: str,
        resumed: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._name = name
        self._etag = etag
        self._clock = clock
        self._beat_at = clock() + BEAT
        self.document = document
        self.resumed = resumed

    @property
    def folder(self) -> str:
        """Prefix of the keys of its chunks."""
        return f"{PREFIX}{self._name}/{self.document.id}/"

    def beat(self) -> None:
        """Show that this process works on it, if it is time. Raises ConflictError if another took it over."""
        if self._clock() >= self._beat_at:
            self._put(self.document._replace(beats=self.document.beats + 1))
            self._beat_at = self._clock() + BEAT

    def release(self) -> None:
        """Let another process go on at once."""
        if self.document.result is None:
            self._put(self.document._replace(owner=None))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Record the result, and delete the chunks."""
        self._put(self.document._replace(owner=None, result=result))
        self._store.erase(self._store.keys(self.folder))

    def _put(self, document: RunDocument) -> None:
        try:
            self._etag = self._store.replace(_key(self._name), document.encode(), self._etag)
        except ConflictError as error:
            raise ConflictError(f"another process has taken over the run {self._name}") from error
        self.document = document


def read_document(store: RunStore, name: str) -> RunDocument | None:
    """Return the document of the newest run of a source; None if there was none."""
    stored = store.read(_key(name))
    return _decode(stored) if stored else None


def claim(
    store: RunStore,
    wanted: Wanted,
    *,
    tell: Callable[[str], object] = lambda _text: None,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Run:
    """Go on with the unfinished run of the same subject, or begin the wanted one.

    Raises ConflictError if another process works on a run of this source.
    """
    stored = store.read(_key(wanted.name))
    found = _decode(stored) if stored else None
    if stored and found and found.owner and found.result is None:
        tell(f"a run is in progress elsewhere or was killed: waiting {LEASE:.0f} s to see which")
        _require_dead(store, wanted.name, stored, sleep)
    resumed = bool(found and found.result is None and found.subject == wanted.subject and not wanted.restart)
    if found and resumed:
        document = found._replace(owner=wanted.owner, beats=found.beats + 1)
    else:
        document = RunDocument(wanted.id, wanted.subject, wanted.segments, wanted.began_at, wanted.owner)
    try:
        etag = store.replace(_key(wanted.name), document.encode(), stored and stored.etag)
    except ConflictError as error:
        raise ConflictError(f"another process has just begun a run of {wanted.name}") from error
    run = Run(store, wanted.name, document, etag, resumed, clock)
    if not resumed:
        of_earlier_runs = set(store.keys(f"{PREFIX}{wanted.name}/")) - {_key(wanted.name)}
        store.erase(sorted(of_earlier_runs))
    return run


def record_done(store: RunStore, wanted: Wanted, result: Mapping[str, Any]) -> None:
    """Record the wanted run as done without reading anything, unless another process has just begun one."""
    stored = store.read(_key(wanted.name))
    document = RunDocument(wanted.id, wanted.subject, wanted.segments, wanted.began_at, None, 0, result)
    with suppress(ConflictError):
        store.replace(_key(wanted.name), document.encode(), stored and stored.etag)


def _require_dead(store: RunStore, name: str, first: Stored, sleep: Callable[[float], object]) -> None:
    for _ in range(round(LEASE / _WATCH)):
        sleep(_WATCH)
        stored = store.read(_key(name))
        if stored is None or stored.etag != first.etag:
            raise ConflictError(
                f"a run of {name} is in progress in another process, since "
                f"{_decode(first).began_at}: wait for its end, or stop it and repeat the command"
            )


def _key(name: str) -> str:
    return f"{PREFIX}{name}/run.json"


def _decode(stored: Stored) -> RunDocument:
    return RunDocument(**json.loads(stored.body))
