"""The interface of a kind of source to the local runtime and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from headwater.aws import Aws
from headwater.deployed import Deployed
from headwater.installation import Installation
from headwater.polling.runtime import Poller
from headwater.polling.runtime_report import Wait
from headwater.polling.shard_places import Places
from producers.wiring import Wiring
from schemas.catalog.entity import Catalog
from schemas.letters.letter import DeadLetter
from schemas.letters.outcomes import Redriver
from schemas.settings import Settings


class Environment(NamedTuple):
    """The parts that the pollers of a source need."""

    here: Installation
    aws: Aws
    wiring: Wiring
    """The parts of a producer that runs in this process."""
    variables: Mapping[str, str]
    """The whole environment of a child process that runs a handler."""
    places: Places | None
    """Where shards were read to, over restarts. None: each start reads all that the streams hold."""
    backfill: bool
    """Whether to publish what a source held before it was first read here."""


class Running(NamedTuple):
    """A source that is read now."""

    pollers: Sequence[Poller]
    busy: Callable[[], str]
    """Describe long work in progress, or return an empty text."""


class Dropped(NamedTuple):
    """Where a file was uploaded to. `version` is S3's id of the upload."""

    bucket: str
    key: str
    version: str | None


def nothing(*_: object) -> None:
    """Do nothing: the default of the steps that not every kind has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalKind:
    """A kind of source in the local runtime."""

    name: str
    """The name of its `schemas.sources.kind.SourceKind`, and the stage of its dead letters."""
    make_stores: Callable[[Aws, Settings, Catalog], None] = nothing
    """Create what holds the source's data. Raises ConfigurationError, TransientError."""
    make_flow: Callable[[Aws, Settings, Catalog], None]
    """Create what reports changes of the data, once every store is there. Raises as `make_stores`."""
    check: Callable[[Deployed, Aws, Settings, Catalog], None]
    """Check what both would create, without creating it. Raises TransientError."""
    running: Callable[[Environment], AbstractContextManager[Running]]
    """Read the source until the context is left."""
    redriver: Callable[[Wiring], Redriver]
    has_redrive: Callable[[DeadLetter], bool] = lambda _letter: True
    """Return whether one of its dead letters can be redriven."""
    instead_of_redrive: str = ""
    """What to do about a dead letter that can't be redriven, after `3 letters of`."""
    await_taken: Callable[[Installation, Aws, Wait], None] = nothing
    """Wait until everything is taken that the poller cannot know of yet."""
    invitation: Callable[[Catalog], str]
    """Describe how to send data, for the start of `up`."""
    drop: Callable[[Aws, Settings, Path, Any], Dropped] | None = None
    """Upload a file to the source; the next file comes after it. None: the source takes no files."""
    instead_of_drop: Callable[[Any], str] = str
    """Describe how to send data to a source that takes no files, after `order comes from`."""
