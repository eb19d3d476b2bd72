"""A proxy between functions and an emulator of AWS, which records who calls what.

No emulator has resource policies of streams: a Kinesis call with another account's ARN finds no stream. Here
it goes to the ARN's account, as if the stream's policy allowed it. Each call is one JSON object in a file:
facts about the request, for the judge of permissions, and never a value of a field.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree

HEADERS = re.compile(
    "if-none-match|if-match|range|x-amz-(copy-source|server-side-encryption|tagging|object-lock|acl|checksum-mode|bypass)[a-z-]*"
)
PARAMETERS = {
    *("StreamARN", "StreamName", "ShardId", "ConsumerARN", "SecretId", "QueueUrl", "QueueName", "TableName"),
    *(
        "KeyId",
        "RoleArn",
        "RoleSessionName",
        "Namespace",
        "TopicArn",
        "DestinationArn",
        "FunctionName",
        "UUID",
        "DBInstanceIdentifier",
        "InstanceId.1",
    ),
}
_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
_HOP = {"host", "content-length", "transfer-encoding", "connection", "expect"}
_STS = "{https://sts.amazonaws.com/doc/2011-06-15/}"


class Request:
    """A request of a function, as received."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method = handler.command
        self.target = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = _body(handler)
        found = _SCOPE.search(self.headers.get("authorization", ""))
        self.access_key, self.region, self.service = found.groups() if found else (None, None, None)

    def parameters(self) -> dict[str, str]:
        """Return the parameters that name resources."""
        if not self.headers.get("content-type", "").startswith(
            ("application/x-amz-json", "application/x-www")
        ):
            return {}
        try:
            given = json.loads(self.body or b"{}")
        except ValueError:
            given = dict(parse_qsl(self.body.decode(errors="replace")))
        return {name: value for name, value in given.items() if name in PARAMETERS and isinstance(value, str)}

    def operation(self) -> str | None:
        """Return the name of the operation; None for REST, where method, path and query show it."""
        if "x-amz-target" in self.headers:
            return self.headers["x-amz-target"].rpartition(".")[2]
        return (
            dict(parse_qsl(self.body.decode(errors="replace"))).get("Action")
            if self.service in ("sts", "rds", "ec2")
            else None
        )


class Proxy:
    """Forwards requests to LocalStack, and records them. `upstream` is its host and port."""

    def __init__(self, upstream: str, calls: Path) -> None:
        self._upstream = upstream
        self._calls = calls
        self._lock = threading.Lock()
        self._streams: dict[str, str] = {}  # by shard iterator
        self._held: tuple[str, str] | None = None
        self._waiting, self._released = threading.Event(), threading.Event()
        self.caller = cache(self._caller)

    @contextmanager
    def holding(self, function: str, operation: str) -> Iterator[threading.Event]:
        """Hold the calls of an operation by a function until the context is left.

        The event is set once a call is held: the function is then in the middle of its work.
        """
        self._waiting.clear()
        self._released.clear()
        self._held = function, operation
        try:
            yield self._waiting
        finally:
            self._held = None
            self._released.set()

    def forward(self, request: Request) -> tuple[HTTPResponse, bytes]:
        """Return the answer of the emulator."""
        self._wait_if_held(request)
        stream = self._stream(request)
        owner = stream.split(":")[4] if stream and stream.startswith("arn:") else None
        caller = self.caller(request.access_key)
        routed = owner if owner and caller and owner != caller.split(":")[4] else None
        headers = self.headers(request, caller, routed)
        answer, body = self._send(
            request.method, request.target, request.body, headers, request.headers["host"]
        )
        self._remember_iterator(request, stream, body)
        self._record(request, caller, stream, routed, answer, body)
        return answer, body

    def _wait_if_held(self, request: Request) -> None:
        session = (self.caller(request.access_key) or "").rpartition("/")[2]  # has the function's name
        if (session, request.operation()) == self._held:
            self._waiting.set()
            self._released.wait()

    def headers(self, request: Request, caller: str | None, routed: str | None) -> dict[str, str]:
        """Return the headers to send: with the credential of the account that the call is routed to."""
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        if routed:
            headers["authorization"] = _SCOPE.sub(
                rf"Credential={routed}/20260101/\2/\3/", headers["authorization"]
            )
            headers.pop("x-amz-security-token", None)
        return headers

    def _stream(self, request: Request) -> str | None:
        if request.service != "kinesis":
            return None
        try:
            given = json.loads(request.body)
        except ValueError:
            return None  # CBOR, which botocore uses for no operation of ours
        iterator = self._streams.get(given.get("ShardIterator", ""))
        return given.get("StreamARN") or iterator

    def _remember_iterator(self, request: Request, stream: str | None, body: bytes) -> None:
        if stream and request.operation() in ("GetShardIterator", "GetRecords"):
            answer = json.loads(body)
            for name in ("ShardIterator", "NextShardIterator"):
                if answer.get(name):
                    self._streams[answer[name]] = stream

    def _send(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], host: str
    ) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection(self._upstream, timeout=900)
        try:
            connection.request(
                method, target, body, {**headers, "host": host, "content-length": str(len(body))}
            )
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def _caller(self, access_key: str | None) -> str | None:
        """Return the ARN of the session or user that an access key belongs to."""
        if access_key is None:
            return None
        headers = {
            "authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/20260101/eu-west-1/sts/aws4_request, "
            "SignedHeaders=host, Signature=0",
            "content-type": "application/x-www-form-urlencoded",
        }
        body = b"Action=GetCallerIdentity&Version=2011-06-15"
        _, answer = self._send("POST", "/", body, headers, self._upstream)
        return ElementTree.fromstring(answer).findtext(f".//{_STS}Arn")

    def _record(
        self,
        request: Request,
        caller: str | None,
        stream: str | None,
        routed: str | None,
        answer: HTTPResponse,
        body: bytes,
    ) -> None:
        path, query = _path_style(request)
        parameters = request.parameters() | ({"StreamARN": stream} if stream else {})
        call = {
            "principal": _role(caller),
            "caller": caller,
            "account": caller.split(":")[4] if caller else None,
            "region": request.region,
            "service": request.service,
            "operation": request.operation(),
            "method": request.method,
            "path": path,
            "query": query,
            "headers": {name: v for name, v in request.headers.items() if HEADERS.fullmatch(name)},
            "parameters": parameters,
            "tls": True,  # what a deployed function uses
            "status": answer.status,
            "error": _error(answer, body),
            "routed_to": routed,
        }
        with self._lock, self._calls.open("a") as file:
            file.write(json.dumps(call) + "\n")


def read_calls(file: Path) -> list[dict[str, Any]]:
    """Return all calls so far, in the order of their answers."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@contextmanager
def serving(proxy: Proxy, port: int = 0) -> Iterator[str]:
    """Run a proxy on a port of this machine, and return its host and port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                answer, body = proxy.forward(Request(self))
                _respond(self, answer, body)
            except OSError:  # a function was killed, or LocalStack has ended
                self.close_connection = True

        do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="proxy", daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _respond(handler: BaseHTTPRequestHandler, answer: HTTPResponse, body: bytes) -> None:
    handler.send_response(answer.status)
    for name, value in answer.getheaders():
        if name.lower() not in _HOP:
            handler.send_header(name, value)
    length = answer.getheader("content-length") if handler.command == "HEAD" else None
    handler.send_header("content-length", length or str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if "100-continue" in handler.headers.get("expect", ""):
        pass  # the server has answered it while it read the headers
    if "chunked" not in handler.headers.get("transfer-encoding", ""):
        return handler.rfile.read(int(handler.headers.get("content-length") or 0))
    body = b""
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def _path_style(request: Request) -> tuple[str, dict[str, str]]:
    """Return path and query; a bucket in the host name moves into the path."""
    parts = urlsplit(request.target)
    path, bucket = unquote(parts.path), request.headers["host"].partition(".s3.")
    if request.service == "s3" and bucket[1]:
        path = f"/{bucket[0]}{path}"
    return path, dict(parse_qsl(parts.query, keep_blank_values=True))


def _role(caller: str | None) -> str | None:
    """Return the ARN of a role, from that of its session."""
    if caller is None or ":assumed-role/" not in caller:
        return caller
    account, _, session = caller.replace(":sts:", ":iam:", 1).partition(":assumed-role/")
    return f"{account}:role/{session.rpartition('/')[0]}"


def _error(answer: HTTPResponse, body: bytes) -> str | None:
    """Return the code of an error."""
    if answer.status < 400:
        return None
    found = re.search(rb'"__type"\s*:\s*"([^"]+)"|<Code>([^<]+)</Code>', body)
    name = (found[1] or found[2]).decode() if found else answer.getheader("x-amzn-errortype") or ""
    return name.rpartition("#")[2] or None
