"""Writing and publishing of the chunks of a run."""

from __future__ import annotations

from collections.abc import Sequence

from producers.publisher import Publisher
from producers.runs.chunk import Chunk, Page, Totals, decode_chunk, encode_chunk
from producers.runs.store import RunStore
from schemas.event import decode_event
from schemas.letters.letter import LetterStore
from schemas.payload.codec import SchemaRegistry


class ChunkPublisher:
    """Writes pages as chunks under `folder`, and publishes them from what is stored."""

    def __init__(
        self,
        store: RunStore,
        folder: str,
        publisher: Publisher,
        letters: LetterStore,
        registry: SchemaRegistry,
    ) -> None:
        self._store = store
        self._folder = folder
        self._publisher = publisher
        self._letters = letters
        self._registry = registry

    def resume(self, segment: int) -> Chunk | None:
        """Publish the last chunk of a segment again, and return it; None if the segment has no chunk."""
        keys = self._store.keys(f"{self._folder}{segment:04}/")
        stored = self._store.read(keys[-1]) if keys else None
        if stored is None:
            return None
        # It may have been acknowledged already. Then its events become duplicates (INV-2).
        chunk = decode_chunk(stored.body)
        self._publish(chunk.frames)
        return chunk

    def add(self, segment: int, before: Chunk | None, page: Page) -> Chunk:
        """Publish a page as the chunk after `before`. Returns the stored chunk.

        That is another one if another process wrote it first. The segment goes on at the place of the
        returned chunk.

        Raises TransientError unless Kinesis has acknowledged every event (INV-1), ConfigurationError.
        """
        totals = (before.totals if before else Totals()).with_page(page)
        chunk = Chunk((before.number if before else 0) + 1, page.place, totals, page.frames)
        # Before the chunk, which counts them: no chunk exists whose letters are not durable.
        self._letters.put(page.letters)
        body = encode_chunk(chunk)
        stored = self._store.create(f"{self._folder}{segment:04}/{chunk.number:08}", body)
        if stored != body:
            chunk = decode_chunk(stored)
        self._publish(chunk.frames)
        return chunk

    def _publish(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            event = decode_event(frame)
            self._publisher.add_frame(event, frame, self._registry.find(event.schema_fingerprint))
        self._publisher.flush()
