"""The registered kinds of sources. Pure.

A new kind is a module beside this one and a line here; the rest of it is in producers/ and
headwater/sources/.
"""

from collections.abc import Mapping
from typing import Any

from schemas.payload.codec import Schema
from schemas.refusals import refused
from schemas.sources import csv, dynamodb
from schemas.sources.kind import SourceKind
from schemas.sources.source import Source

KINDS: Mapping[str, SourceKind] = {kind.name: kind for kind in (csv.KIND, dynamodb.KIND)}


def read_source(number: int, properties: Mapping[str, Any], schema: Schema) -> Source:
    """Return the source that an entry of entity.toml describes. Raises ConfigurationError."""
    where = f"source {number}"
    named = [kind for kind in KINDS.values() if kind.name in properties]
    if len(named) != 1:
        allowed = " or ".join(f"{kind.name} = {kind.value}" for kind in KINDS.values())
        raise refused(where, sorted(properties), f"either {allowed}")
    return named[0].read(where, properties, schema)


def kind_of(source: Source) -> SourceKind:
    """Return the kind of a source, which is the prefix of its name."""
    return KINDS[source.name.partition(":")[0]]
