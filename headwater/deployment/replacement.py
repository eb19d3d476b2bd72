"""Which changes of a property replace its resource, as the schemas of CloudFormation state it.

create_only.json has an entry for each type of the templates: `always`, the properties whose change replaces
the resource, and `sometimes`, those where it depends on the values. A test compares it with the schemas:
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from headwater.deployment.resolving import references

Json = Mapping[str, Any]
FILE = Path(__file__).with_name("create_only.json")


def replacement(type_: str, before: Json, after: Json, replaced: frozenset[str]) -> str | None:
    """Return `yes`, `perhaps`, or None, for the change of a resource from one resolved form to another.

    `perhaps` is also the answer for a type that is not known. A property that refers to a resource of
    `replaced` changes.
    """
    known = _create_only().get(type_)
    if known is None:
        return "perhaps" if before.get("Properties") != after.get("Properties") else None
    for answer, paths in (("yes", known["always"]), ("perhaps", known["sometimes"])):
        if any(_differs(path.split("/"), before, after, replaced) for path in paths):
            return answer
    return None


def _differs(path: list[str], before: Json, after: Json, replaced: frozenset[str]) -> bool:
    old = [*_at(before.get("Properties", {}), path)]
    new = [*_at(after.get("Properties", {}), path)]
    return old != new or not replaced.isdisjoint(references(new))


def _at(value: Any, path: list[str]) -> Iterator[Any]:
    """Yield the values at a path, in which `*` is every item of a list."""
    if not path:
        yield value
    elif path[0] == "*" and isinstance(value, list):
        for item in value:
            yield from _at(item, path[1:])
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


@cache
def _create_only() -> Mapping[str, Mapping[str, list[str]]]:
    known: Mapping[str, Mapping[str, list[str]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return known
