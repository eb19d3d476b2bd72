"""Upload of a file to a source of an entity, whatever the source's kind."""

from __future__ import annotations

from pathlib import Path

from headwater.aws import Aws
from headwater.sources.kind import Dropped
from headwater.sources.kinds import KINDS
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.settings import Settings
from schemas.sources.kind import Source
from schemas.sources.kinds import kind_of


def drop(aws: Aws, settings: Settings, entity: Entity, file: Path, feed: str | None = None) -> Dropped:
    """Upload a file to the one feed of an entity, or to the named one.

    Raises ConfigurationError, TransientError.
    """
    source = feed_of(entity, feed)
    upload = KINDS[kind_of(source).name].drop
    assert upload is not None
    return upload(aws, settings, file, source)


def feed_of(entity: Entity, feed: str | None) -> Source:
    """The one source of an entity that takes files, or the named one. Raises ConfigurationError."""
    kinds = [(KINDS[kind_of(source).name], source) for source in entity.sources]
    feeds = {source.name.partition(":")[2]: source for kind, source in kinds if kind.drop}
    if feed is None and len(feeds) == 1:
        return next(iter(feeds.values()))
    if feed in feeds:
        return feeds[feed]
    if feeds:
        raise ConfigurationError(f"{entity.name} has the feeds {', '.join(feeds)}: say which with --feed")
    ways = "; ".join(kind.how_to_send(source) for kind, source in kinds)
    raise ConfigurationError(f"{entity.name} comes from {ways}")
