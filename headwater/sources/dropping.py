"""Upload of a file to a source of an entity, whatever the source's kind."""

from __future__ import annotations

from pathlib import Path

from headwater.aws import Aws
from headwater.sources.kind import Dropped
from headwater.sources.kinds import KINDS
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError
from schemas.settings import Settings
from schemas.sources.kinds import kind_of
from schemas.sources.source import Source


def drop(aws: Aws, settings: Settings, entity: Entity, file: Path, feed: str | None = None) -> Dropped:
    """Upload a file to the one feed of an entity, or to the named one.

    Raises ConfigurationError, TransientError.
    """
    source = feed_of(entity, feed)
    upload = KINDS[kind_of(source).name].drop
    assert upload is not None
    return upload(aws, settings, file, source)


def feed_of(entity: Entity, feed: str | None) -> Source:
    """Return the one source of an entity that takes files, or the named one. Raises ConfigurationError.

    `feed` is a name within its kind (`schools`), or the whole name (`csv:schools`) where kinds share it.
    """
    kinds = [(KINDS[kind_of(source).name], source) for source in entity.sources]
    takers = [source for kind, source in kinds if kind.drop]
    matching = [each for each in takers if feed in (None, each.name, each.name.partition(":")[2])]
    if len(matching) == 1:
        return matching[0]
    if takers:
        names = [source.name.partition(":")[2] for source in takers]
        shown = names if len({*names}) == len(names) else [source.name for source in takers]
        raise ConfigurationError(f"{entity.name} has the feeds {', '.join(shown)}: say which with --feed")
    ways = "; ".join(kind.instead_of_drop(source) for kind, source in kinds)
    raise ConfigurationError(f"{entity.name} comes from {ways}")
