"""The embedded AWS's own process: moto's server on a socket that the parent bound (started by embedded.py).

Runs as a script with nothing of the project imported. It lives as long as its standard input is open: the
parent's death, however it dies, closes the pipe and ends this process at once. Nothing is ever logged:
request bodies hold field values (INV-7).
"""

import io
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class OneAtATime:
    """A WSGI application that answers one request after the other, whatever the number of connections.

    moto gives sequence numbers without a lock (its Shard.put_record says so; a DynamoDB stream does the
    same): two writers at once get one number, and a record is lost (9 of 9,000 with three writers). A long
    poll of SQS waits inside, so it is let through.
    """

    def __init__(self, application: Wsgi) -> None:
        self._application = application
        self._turn = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET") == "AmazonSQS.ReceiveMessage":
            return self._application(environ, start_response)
        environ["wsgi.input"] = io.BytesIO(_body(environ))  # read first: a slow client holds nobody up
        with self._turn:
            return self._application(environ, start_response)


def _body(environ: dict[str, Any]) -> bytes:
    if environ.get("wsgi.input_terminated"):
        return bytes(environ["wsgi.input"].read())
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def serve(listener: socket.socket) -> None:
    """Answers on the socket until the process ends; prints `ready` once it does."""
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.disable(logging.CRITICAL)
    host, port = listener.getsockname()[:2]
    server = make_server(
        host,
        port,
        OneAtATime(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
        fd=listener.fileno(),
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end: it drains first
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve(socket.socket(fileno=int(sys.argv[1])))
