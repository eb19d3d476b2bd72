"""How far the local runtime has taken each shard, kept in a file: a restart goes on from there."""

from __future__ import annotations

import json
from pathlib import Path


class Places:
    """Sequence numbers by shard. For one thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._places: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}

    def all(self) -> dict[str, str]:
        """Of each shard the sequence number that was taken last."""
        return dict(self._places)

    def took(self, shards: dict[str, str]) -> None:
        """Everything up to these numbers is durable elsewhere. Replaces the file whole."""
        self._places |= shards
        unfinished = self._file.with_suffix(".tmp")
        unfinished.write_text(json.dumps(self._places))
        unfinished.replace(self._file)
