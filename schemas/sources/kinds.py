"""The kinds of sources that there are. Pure.

A new kind is a module beside this one and a line here; producers/ and headwater/sources/ hold the rest.
"""

from collections.abc import Mapping
from typing import Any

from schemas.payload.codec import Schema
from schemas.refusals import refused
from schemas.sources import csv, dynamodb
from schemas.sources.kind import Source, SourceKind

KINDS: Mapping[str, SourceKind] = {kind.name: kind for kind in (csv.KIND, dynamodb.KIND)}


def read_source(number: int, given: Mapping[str, Any], schema: Schema) -> Source:
    """The source that an entry of entity.toml describes. Raises ConfigurationError."""
    where = f"source {number}"
    named = [kind for kind in KINDS.values() if kind.name in given]
    if len(named) != 1:
        allowed = " or ".join(f"{kind.name} = {kind.value}" for kind in KINDS.values())
        raise refused(where, sorted(given), f"either {allowed}")
    return named[0].read(where, given, schema)


def kind_of(source: Source) -> SourceKind:
    """The kind of a source, which is the prefix of its name."""
    return KINDS[source.name.partition(":")[0]]
