"""The positions of the local runtime in the shards, kept in a file for the next start."""

from __future__ import annotations

import json
from pathlib import Path


class Places:
    """Sequence numbers by shard. Not thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._places: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}

    def all(self) -> dict[str, str]:
        """Return the last sequence number taken, by shard."""
        return dict(self._places)

    def took(self, shards: dict[str, str]) -> None:
        """Record that everything up to these numbers is stored durably elsewhere."""
        self._places |= shards
        # Renamed, so that a kill leaves the old or the new content.
        unfinished = self._file.with_suffix(".tmp")
        unfinished.write_text(json.dumps(self._places))
        unfinished.replace(self._file)
