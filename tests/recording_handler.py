"""A Lambda handler that keeps what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Recording:
    """A handler that keeps what it is given. It refuses those that `refuse` names, or fails."""

    def __init__(self, *refuse: str, fails: BaseException | None = None) -> None:
        self.refuse = set(refuse)
        self.fails = fails
        self.batches: list[list[Mapping[str, Any]]] = []

    def __call__(self, lambda_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        self.batches.append(lambda_event["Records"])
        if self.fails is not None:
            raise self.fails
        return {"batchItemFailures": [{"itemIdentifier": one} for one in self.refuse]}
