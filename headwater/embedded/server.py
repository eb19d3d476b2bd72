"""The embedded AWS's own process: moto's server on a socket that the parent bound (started by embedded.py).

It lives as long as its standard input is open: the parent's death, however it dies, closes the pipe and ends
this process at once. Nothing is ever logged: request bodies hold field values (INV-7).
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
from headwater.embedded.journal import Entry, Journal, Wsgi, changes, replay
from headwater.embedded.moto import MotoClock, prepare, show_what_was_received

_TICK = 1e-6  # seconds; no two requests have one time, which is also the seed of their random numbers


class OneAtATime:
    """A WSGI application that answers one request after the other, whatever the number of connections.

    moto gives sequence numbers without a lock (its Shard.put_record says so; a DynamoDB stream does the
    same): two writers at once get one number, and a record is lost (9 of 9,000 with three writers). A long
    poll of SQS waits inside, so it is let through.
    """

    def __init__(
        self, application: Wsgi, clock: MotoClock | None = None, journal: Journal | None = None
    ) -> None:
        self._application = application
        self._clock = clock
        self._journal = journal
        self._turn = threading.Lock()
        self._newest = 0.0  # when the last change was made

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET") == "AmazonSQS.ReceiveMessage":
            return self._application(environ, start_response)
        body = _body(environ)  # read first: a slow client holds nobody up
        environ["wsgi.input"] = io.BytesIO(body)
        with self._turn:
            if self._clock is None or not changes(environ):
                return self._application(environ, start_response)
            return self._change(self._clock, Entry(self._next_time(), environ, body), start_response)

    def restore(self) -> None:
        """Carries out what the journal holds, and puts a snapshot in its place."""
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

    def _change(self, clock: MotoClock, entry: Entry, start_response: Any) -> Iterable[bytes]:
        if self._journal is not None:
            try:
                self._journal.write(entry)
            except OSError:
                start_response("503 Service Unavailable", [("Content-Length", "0")])
                return []
        with clock.at(entry.at):
            answer = self._application(entry.environ, start_response)
        if self._journal is not None and self._journal.is_long():
            self._journal.replace()
        return answer

    def _next_time(self) -> float:
        self._newest = max(time.time(), self._newest + _TICK)
        return self._newest


def _body(environ: dict[str, Any]) -> bytes:
    if environ.get("wsgi.input_terminated"):
        return bytes(environ["wsgi.input"].read())
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def serve(listener: socket.socket, folder: Path, *, keep: bool) -> None:
    """Answers on the socket until the process ends; prints `ready` once it does.

    `folder` holds the content; `keep`: and all else that the next start needs to go on from here.
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

    logging.disable(logging.CRITICAL)
    journal = Journal(folder, content) if keep else None
    application = OneAtATime(DomainDispatcherApplication(create_backend_app), clock, journal)
    try:
        application.restore()
    except Exception as error:
        _say("unreadable")
        raise SystemExit(1) from error
    host, port = listener.getsockname()[:2]
    server = make_server(
        host, port, application, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno()
    )
    _say("ready")
    server.serve_forever()


def _say(word: str) -> None:
    """To the parent."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end: it drains first
    threading.Thread(target=_end_with_parent, daemon=True).start()
    descriptor, place, kept = sys.argv[1:]
    serve(socket.socket(fileno=int(descriptor)), Path(place), keep=kept == "keep")
