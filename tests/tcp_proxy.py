"""A TCP proxy that cuts connections where a test wants it."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random
from threading import Lock, Thread

Cut = Callable[[bytes], str | None]
"""Asked of each request; "before" it is passed on, "within" it, "after" it and before the answer, "answer":
within the answer. None: let it pass."""

Allowance = Callable[[], int | None]
"""Asked once for each new connection: how many bytes it carries, both directions together, before it is cut.
None: no limit."""


def random_allowance(seed: int) -> Allowance:
    """Cuts at every stage with about the same chance: at the login, at the first statements, much later."""
    dice = Random(seed)
    return lambda: int(10 ** dice.uniform(2, 6))


class Proxy:
    """Passes bytes on; of connections that are open, and of one cut at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut: Cut | None = None
        self.allowance: Allowance | None = None
        self.cuts = 0
        self._lock = Lock()
        self._open: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Nobody answers here any more."""
        _shut(self._listener)
        self.drop_all()

    def drop_all(self) -> None:
        """Cut every connection that is open."""
        while self._open:
            _shut(self._open.pop())

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._open += [client, server]
                doomed: list[str] = []
                left = _Left(self.allowance() if self.allowance else None)
                Thread(target=self._requests, args=(client, server, doomed, left), daemon=True).start()
                Thread(target=self._answers, args=(client, server, doomed, left), daemon=True).start()

    def _wanted(self, request: bytes) -> str | None:
        """Each cut is made once: what comes after it passes."""
        with self._lock:
            moment = self.cut(request) if self.cut else None
            if moment:
                self.cut = None
                self.cuts += 1
            return moment

    def _requests(
        self, client: socket.socket, server: socket.socket, doomed: list[str], left: "_Left"
    ) -> None:
        with suppress(OSError):
            while request := client.recv(1 << 20):
                moment = self._wanted(request)
                if moment == "before":
                    break
                if moment == "within":
                    server.sendall(request[: len(request) // 2])
                    break
                if moment:
                    doomed.append(moment)
                server.sendall(left.of(request))
                if left.is_used_up:
                    self.cuts += 1
                    break
        _shut(client)
        _shut(server)

    def _answers(
        self, client: socket.socket, server: socket.socket, doomed: list[str], left: "_Left"
    ) -> None:
        with suppress(OSError):
            while answer := server.recv(1 << 20):
                if doomed:
                    if doomed[0] == "answer":
                        client.sendall(answer[: len(answer) // 2])
                    break
                client.sendall(left.of(answer))
                if left.is_used_up:
                    self.cuts += 1
                    break
        _shut(client)
        _shut(server)


class _Left:
    """What a connection may still carry. Both of its threads take from it."""

    def __init__(self, count: int | None) -> None:
        self._count = count
        self._lock = Lock()

    def of(self, content: bytes) -> bytes:
        """The part that passes."""
        with self._lock:
            if self._count is None:
                return content
            passed = content[: self._count]
            self._count -= len(passed)
            return passed

    @property
    def is_used_up(self) -> bool:
        return self._count == 0


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    made = Proxy(host, port)
    try:
        yield made
    finally:
        made.close()
