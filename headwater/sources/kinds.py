"""The kinds of sources that the local runtime and the command line know."""

from __future__ import annotations

from headwater.sources.csv import local as csv
from headwater.sources.dynamodb import local as dynamodb
from headwater.sources.kind import LocalKind

KINDS: dict[str, LocalKind] = {kind.name: kind for kind in (dynamodb.KIND, csv.KIND)}
