"""A process that ends between two statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event as engine_event


class Stopped(BaseException):
    """The process ends here."""


@contextmanager
def stopping_at(warehouse: Any, number: int) -> Iterator[list[str]]:
    """The statement of this number is not sent any more. Gives those that were sent before."""
    sent: list[str] = []

    def stop(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if len(sent) == number:
            sent.append("stopped")
            raise Stopped
        if "stopped" not in sent:
            sent.append(statement)

    engine_event.listen(warehouse.engine, "before_cursor_execute", stop)
    try:
        yield sent
    finally:
        engine_event.remove(warehouse.engine, "before_cursor_execute", stop)
