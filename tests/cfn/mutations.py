"""Mistakes that someone could make in a template, each of which the rules have to report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cfn_templates import Json, Template, branches, documents, listed

DELETED = object()


class Mutation(NamedTuple):
    """A mistake in one template: `apply` makes it."""

    name: str
    template: str
    apply: Callable[[Template], None]


def put(name: str, place: str, value: Any) -> Mutation:
    """Set or delete a value. `place` is the template and the path, such as `stream/Resources/LogBucket`."""
    template, *path = place.split("/")

    def apply(target: Template) -> None:
        inner: Any = target.body
        for part in path[:-1]:
            inner = inner[int(part) if isinstance(inner, list) else part]
        if value is DELETED:
            inner.pop(int(path[-1]) if isinstance(inner, list) else path[-1])
        elif isinstance(inner, list):
            inner[int(path[-1])] = value
        else:
            inner[path[-1]] = value

    return Mutation(name, template, apply)


def prop(name: str, place: str, value: Any) -> Mutation:
    """Set or delete a property. `place` is such as `stream/LogBucket/VersioningConfiguration`."""
    template, logical_id, path = place.split("/", 2)
    return put(name, f"{template}/Resources/{logical_id}/Properties/{path}", value)


def statement(name: str, place: str, **parts: Any) -> Mutation:
    """Change parts of a statement, such as `producers/PublishPolicy/WriteStream`."""
    template, logical_id, sid = place.split("/")

    def apply(target: Template) -> None:
        (found,) = (body for body in _bodies(target.resources[logical_id]) if body.get("Sid") == sid)
        for part, value in parts.items():
            found.pop(part, None)
            if value is not DELETED:
                found[part] = value

    return Mutation(name, template, apply)


def without(name: str, place: str) -> Mutation:
    """Take a statement away, also one inside `!If`."""
    template, logical_id, sid = place.split("/")

    def apply(target: Template) -> None:
        for document in documents(target.resources[logical_id]):
            document["Statement"] = [
                item
                for item in document["Statement"]
                if sid not in (body.get("Sid") for _, body in branches(item))
            ]

    return Mutation(name, template, apply)


def grant(name: str, place: str, body: Json) -> Mutation:
    """Add a statement."""
    template, logical_id = place.split("/")

    def apply(target: Template) -> None:
        next(documents(target.resources[logical_id]))["Statement"].append({"Sid": "Added"} | body)

    return Mutation(name, template, apply)


def add(name: str, place: str, resource: Json) -> Mutation:
    """Add a resource."""
    template, logical_id = place.split("/")
    return put(name, f"{template}/Resources/{logical_id}", resource)


def _bodies(resource: Json) -> Iterator[Json]:
    for document in documents(resource):
        for item in listed(document["Statement"]):
            yield from (body for _, body in branches(item))
