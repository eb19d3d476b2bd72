"""The declaration of a kind of source. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

from schemas.catalog.entity import Entity
from schemas.payload.codec import Schema
from schemas.refusals import refused
from schemas.sources.source import Source

S = TypeVar("S", bound=Source)


Judge: TypeAlias = Callable[[Entity, Any, str, str], str]
"""Returns a rule, given the entity, the source, and the published and the present text of a setting."""


class Setting(NamedTuple):
    """A property of a source, and the cost of changing it once the source is published."""

    name: str
    why: str
    rules: tuple[str, ...] = ()
    """Names of the rules for a change. Empty: the property may change freely, and is not recorded."""
    judge: Judge | None = None
    """Chooses among several rules."""
    value: Callable[[Any], object] | None = None
    """Read the value from the source. None: the source's attribute of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """A kind of source as the loader and the gate need it."""

    name: str
    """The property of [[source]] that selects the kind, and the prefix of the names of its sources."""
    value: str
    """Placeholder for the value of that property in error messages, such as `<feed>`."""
    type: type[Source]
    keyless: str | None = None
    """Sources of the kind that allow an entity without a key, for error messages: `csv with mode append`."""
    settings: tuple[Setting, ...]
    """Every property that such a [[source]] may have."""
    read: Callable[[str, Mapping[str, Any], Schema], Source]
    """Read an entry of entity.toml; the first argument is its location. Raises ConfigurationError."""
    check_together: Callable[[Iterable[Entity]], None]
    """Check the sources of all entities against each other. Raises ConfigurationError."""

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties, for the error about an unknown one."""
        return tuple(setting.name for setting in self.settings)


RENAMED = ("source renamed", "source removed")
"""Rules of the property that names a source."""


def sources_of(entities: Iterable[Entity], kind: type[S]) -> Iterator[tuple[Entity, S]]:
    """Yield the sources of one kind, each with its entity, in the order of the entities."""
    for entity in entities:
        for source in entity.sources:
            if isinstance(source, kind):
                yield entity, source


def boolean(where: str, value: object) -> bool:
    """Return a boolean property. Raises ConfigurationError."""
    if not isinstance(value, bool):
        raise refused(where, value, "true or false")
    return value
