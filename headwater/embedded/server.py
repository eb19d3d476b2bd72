"""The process of the embedded AWS: moto's server on a socket that the parent bound (started by aws.py).

It runs as long as its standard input is open: when the parent ends for whatever reason, the pipe is closed
and this process ends at once. Nothing is ever logged, since request bodies contain field values (INV-7).
"""

from __future__ import annotations

import io
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from headwater.embedded.content import Content, ObjectBody, Spool
from headwater.embedded.journal import Journal, JournalEntry, Wsgi, changes, replay
from headwater.embedded.moto import MotoClock, prepare, show_what_was_received

_TICK = 1e-6  # seconds; every change has a time of its own, which is also the seed of its random numbers


class OneAtATime:
    """A WSGI application that handles one request at a time, whatever the number of connections.

    moto assigns sequence numbers without a lock (as its Shard.put_record notes; a DynamoDB stream does the
    same): two concurrent writers get the same number, and a record is lost (9 of 9,000 with three writers).
    """

    def __init__(
        self, application: Wsgi, clock: MotoClock | None = None, journal: Journal | None = None
    ) -> None:
        self._application = application
        self._clock = clock
        self._journal = journal
        self._turn = threading.Lock()
        self._newest = 0.0  # time of the last change

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET") == "AmazonSQS.ReceiveMessage":
            # A long poll waits inside moto for up to 20 seconds and must not block other requests.
            return self._application(environ, start_response)
        body = _body(environ)  # before the lock: a slow client must not block others
        environ["wsgi.input"] = io.BytesIO(body)
        with self._turn:
            if self._clock is None or not changes(environ):
                return self._application(environ, start_response)
            return self._change(self._clock, JournalEntry(self._next_time(), environ, body), start_response)

    def restore(self) -> None:
        """Restore the state: load the snapshot, replay the journal, and replace both by a new snapshot."""
        if self._journal is None or self._clock is None:
            return
        self._journal.load()
        replayed = 0
        for entry in self._journal.entries():
            self._newest = entry.at
            with self._clock.at(entry.at):
                replay(self._application, entry)
            replayed += 1
        show_what_was_received()
        if replayed:
            self._journal.replace()

    def _change(self, clock: MotoClock, entry: JournalEntry, start_response: Any) -> Iterable[bytes]:
        if self._journal is not None:
            try:
                self._journal.write(entry)
            except OSError:
                # Not executed, since it could not be replayed. Clients of AWS retry after a 503.
                start_response("503 Service Unavailable", [("Content-Length", "0")])
                return []
        with clock.at(entry.at):
            answer = self._application(entry.environ, start_response)
        if self._journal is not None and self._journal.is_long():
            self._journal.replace()
        return answer

    def _next_time(self) -> float:
        # Strictly increasing, even if the system's clock is set back.
        self._newest = max(time.time(), self._newest + _TICK)
        return self._newest


def _body(environ: dict[str, Any]) -> bytes:
    if environ.get("wsgi.input_terminated"):  # a chunked request, which has no Content-Length
        return bytes(environ["wsgi.input"].read())
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()  # returns when the parent's end of the pipe is closed
    os._exit(0)  # sys.exit() would only end this thread


def serve(listener: socket.socket, folder: Path, *, keep: bool) -> None:
    """Serve requests on the socket until the process ends. Prints `ready` before the first one.

    `folder` receives the content of objects and streams and, with `keep`, the whole state for the next start.
    """
    clock, content = MotoClock(), Content(folder / "content", keep=keep)
    ObjectBody.content = content
    prepare(clock, Spool(content))
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.disable(logging.CRITICAL)  # moto logs request bodies (INV-7)
    journal = Journal(folder, content) if keep else None
    application = OneAtATime(DomainDispatcherApplication(create_backend_app), clock, journal)
    try:
        application.restore()
    except Exception as error:  # a snapshot of another version of moto fails in many ways
        _report("unreadable")
        raise SystemExit(1) from error
    host, port = listener.getsockname()[:2]
    server = make_server(
        host, port, application, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno()
    )
    _report("ready")
    server.serve_forever()


def _report(status: str) -> None:
    """Send a status line to the parent."""
    sys.stdout.write(status + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent drains first, and then ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    descriptor, folder, keep = sys.argv[1:]
    serve(socket.socket(fileno=int(descriptor)), Path(folder), keep=keep == "keep")
