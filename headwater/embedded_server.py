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
from collections import OrderedDict
from collections.abc import Callable, Iterable
from hashlib import md5
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


def reshard_as_aws_does(stream: Any) -> None:
    """Changes moto's class of a Kinesis stream: closed shards keep their records, and take no more.

    moto goes on putting into the closed parent, where nobody reads any more, and gives its records to the
    children a second time. See the AWS documentation, "Resharding a stream".
    """

    def open_shard(self: Any, partition_key: str, explicit_hash_key: str) -> Any:
        hash_key = int(explicit_hash_key or int.from_bytes(md5(partition_key.encode()).digest()))
        opened = (shard for shard in self.shards.values() if shard.is_open)
        return next(shard for shard in opened if shard.starting_hash <= hash_key <= shard.ending_hash)

    def keeping_records(reshard: Callable[..., None]) -> Callable[..., None]:
        def resharded(self: Any, *arguments: str) -> None:
            kept = {shard_id: shard.records for shard_id, shard in self.shards.items()}
            for shard in self.shards.values():
                shard.records = OrderedDict()
            try:
                reshard(self, *arguments)
            finally:
                for shard_id, records in kept.items():
                    self.shards[shard_id].records = records

        return resharded

    stream.get_shard_for_key = open_shard
    stream.split_shard = keeping_records(stream.split_shard)
    stream.merge_shards = keeping_records(stream.merge_shards)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def serve(listener: socket.socket) -> None:
    """Answers on the socket until the process ends; prints `ready` once it does."""
    from moto.kinesis.models import Stream
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.disable(logging.CRITICAL)
    reshard_as_aws_does(Stream)
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
