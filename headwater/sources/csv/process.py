"""The CSV producer's Lambda handler in a separate process, as Lambda runs it.

A file keeps one core busy for as long as it is read. In the process of the consumer, the pump and the reports
it would share that core with all of them: Python runs one thread of a process at a time.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, Self

from headwater.output import log_ours, log_to_stderr
from headwater.polling.lambda_events import Handler, LambdaEvent
from producers.csv.meter import Reading, ReadingCallback
from schemas.errors import HeadwaterError, TransientError

_ROOT = Path(__file__).parents[3]  # so that the child imports this checkout


class _Started(NamedTuple):
    process: subprocess.Popen[bytes]
    connection: Connection


class CsvProcess:
    """A `Handler` for one thread. Leaving the context manager ends the process, even in the middle of a file.

    The process starts with the first call. It dies with this one, even if that is killed.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Use `environment` as the whole environment of the process. It is read when the process starts."""
        self._environment = environment
        self._started: _Started | None = None
        self.reading: Reading | None = None
        """Progress of the file that is being read, after its first second."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int | None:
        """The id of the running process; None if none runs."""
        return self._started.process.pid if self._started else None

    def __call__(self, lambda_event: LambdaEvent, _context: object) -> Mapping[str, Any]:
        """Return the handler's answer.

        Raises what the handler raises, and TransientError if the process ended; the next call starts another.
        """
        started = self._started = self._started or _start(self._environment)
        try:
            started.connection.send(lambda_event)
            answer = self._received(started.connection)
        except (EOFError, OSError) as error:
            self._end()
            raise TransientError(
                "the process that reads CSV files ended (killed, or out of memory)"
            ) from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _received(self, connection: Connection) -> Mapping[str, Any] | Exception:
        """Receive progress reports until the answer arrives, and return the answer."""
        try:
            while isinstance(received := connection.recv(), Reading):
                self.reading = received
        finally:
            self.reading = None
        answer: Mapping[str, Any] | Exception = received
        return answer

    def _end(self) -> None:
        started, self._started = self._started, None
        if started is not None:
            started.process.kill()  # as safe as a kill at any other time (INV-1, INV-5)
            started.process.wait()


def _start(environment: Mapping[str, str]) -> _Started:
    ours, theirs = Pipe()
    with theirs:
        level = logging.getLogger("producers").getEffectiveLevel()
        paths = filter(None, [str(_ROOT), environment.get("PYTHONPATH")])
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "headwater.sources.csv.process", str(theirs.fileno()), str(level)],
            env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the parent alone
        )
    return _Started(process, ours)


def serve(connection: Connection, handler: Handler) -> None:
    """Answer one event after the other until the process ends."""
    events: SimpleQueue[LambdaEvent] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, events), daemon=True).start()
    with suppress(OSError):  # the parent is gone
        while True:
            connection.send(_answer(handler, events.get()))


def _read(connection: Connection, events: SimpleQueue[LambdaEvent]) -> None:
    """End this process once its parent has closed the connection, even in the middle of a file."""
    try:
        while True:
            events.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)


def _answer(handler: Handler, lambda_event: LambdaEvent) -> Mapping[str, Any] | Exception:
    try:
        return handler(lambda_event, None)
    except HeadwaterError as error:
        return error
    except Exception as error:  # noqa: BLE001 - raised again by the parent
        return RuntimeError(
            "".join(traceback.format_exception(error))
        )  # other exceptions may not survive pickling


def main(descriptor: str, level: str) -> None:
    """Serve the CSV producer on this socket, with the log level of the parent."""
    log_to_stderr(verbose=False)
    log_ours(int(level))
    connection = Connection(int(descriptor))
    serve(connection, _csv_handler(connection.send))


def _csv_handler(report: ReadingCallback) -> Handler:
    """Return the CSV producer's Lambda handler, which reports its progress.

    The first event builds it, so that an error in the environment becomes the answer to that event.
    """
    from producers.csv.handler import build
    from producers.wiring import wire_from_environment

    producer = cache(lambda: build(wire_from_environment(), report))
    return lambda lambda_event, _context: producer().handle(lambda_event)


if __name__ == "__main__":
    main(*sys.argv[1:])
