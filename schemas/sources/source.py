"""The properties that the sources of every kind share. Pure."""

from typing import Protocol


class Source(Protocol):
    """One [[source]] of an entity."""

    @property
    def name(self) -> str:
        """`<kind>:<name>`, unique in the installation. Part of the hash of every key."""

    @property
    def allows_no_key(self) -> bool:
        """True if its rows are known by their position alone, so that the entity needs no key."""
