"""The log-in of a SQL Server, for tests without one: TLS, and logins that are accepted or refused.

https://learn.microsoft.com/openspecs/windows_protocols/ms-tds. After a log-in every statement succeeds, and
returns nothing.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PRE_LOGIN, ANSWER, NO_ENCRYPTION, ENCRYPTED = 0x12, 0x04, 0x02, 0x01
REFUSED = 18456


class TdsServer:
    """Listens on a port of its own. `logins` has the passwords of the users that it accepts."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.logins: dict[str, str] = {}
        self.seen: list[tuple[str, str]] = []  # users and passwords that were sent
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    @contextmanager
    def running(self) -> Iterator[TdsServer]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # A client that refuses the certificate goes away in mid-handshake.
        with client, suppress(OSError, EOFError):
            line = Line(client)
            line.packet()
            line.send(_pre_login(ENCRYPTED if self._tls else NO_ENCRYPTION))
            if self._tls:
                line.encrypt(self._tls)
            user, password = _credentials(line.packet())
            self.seen.append((user, password))
            if self.logins.get(user) != password:
                line.send(_error(REFUSED, f"Login failed for user '{user}'.") + _done(2))
                line.packet()  # until the client closes the connection
            line.send(_login_ack() + _done(0))
            while True:
                line.packet()
                line.send(_done(0))


class Line:
    """Packets of one connection, in TLS once `encrypt` returns."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._tls: ssl.SSLObject | None = None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()

    def packet(self) -> bytes:
        """One message, of one or more packets."""
        body, last = b"", False
        while not last:
            _, status, length = struct.unpack(">BBH4x", self._read(8))
            body += self._read(length - 8)
            last = bool(status & 1)
        return body

    def send(self, body: bytes, kind: int = ANSWER) -> None:
        message = struct.pack(">BBHHBB", kind, 1, len(body) + 8, 0, 1, 0) + body
        if self._tls:
            self._tls.write(message)
            message = self._out.read()
        self._client.sendall(message)

    def encrypt(self, context: ssl.SSLContext) -> None:
        """The handshake, whose records are the bodies of packets."""
        tls, done = context.wrap_bio(self._in, self._out, server_side=True), False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            if self._out.pending:
                self.send(self._out.read(), PRE_LOGIN)
            if not done:
                self._in.write(self.packet())
        self._tls = tls

    def _read(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            wanted = size - len(read)
            try:
                more = self._tls.read(wanted) if self._tls else self._client.recv(wanted)
            except ssl.SSLWantReadError:
                self._in.write(self._received())
                continue
            if not more:
                raise EOFError
            read += more
        return read

    def _received(self) -> bytes:
        if received := self._client.recv(65_536):
            return received
        raise EOFError


def _pre_login(encryption: int) -> bytes:
    """Version and encryption."""
    return struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF) + bytes([15, 0, 0, 0, 0, 0, encryption])


def _credentials(login7: bytes) -> tuple[str, str]:
    user, password = (_text(login7, place) for place in (40, 44))
    # The password's bytes are obfuscated: nibbles exchanged, then XOR 0xA5.
    plain = bytes(((byte ^ 0xA5) >> 4) | (((byte ^ 0xA5) << 4) & 0xF0) for byte in password)
    return user.decode("utf-16-le"), plain.decode("utf-16-le")


def _text(login7: bytes, place: int) -> bytes:
    start, characters = struct.unpack_from("<HH", login7, place)
    return login7[start : start + 2 * characters]


def _error(number: int, text: str) -> bytes:
    encoded = text.encode("utf-16-le")
    body = struct.pack("<IBBH", number, 1, 14, len(text)) + encoded + struct.pack("<BBI", 0, 0, 1)
    return struct.pack("<BH", 0xAA, len(body)) + body


def _login_ack() -> bytes:
    name = "Test"
    body = struct.pack(">BIB", 1, 0x74000004, len(name)) + name.encode("utf-16-le") + bytes([15, 0, 0, 0])
    return struct.pack("<BH", 0xAD, len(body)) + body


def _done(status: int) -> bytes:
    return struct.pack("<BHHQ", 0xFD, status, 0, 0)
