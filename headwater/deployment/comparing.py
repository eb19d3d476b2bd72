"""What a deployment would change in a stack, from its template and what is deployed. Nothing is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.deployment.replacement import replacement
from headwater.deployment.resolving import Json, Resolved, references, resolve
from headwater.deployment.stacks import Stack, is_private, partition
from headwater.deployment.states import DeployedStack
from headwater.deployment.templates import Template

_KEPT = {"Retain", "RetainExceptOnCreate", "Snapshot"}
HIDDEN = "(not shown)"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A parameter, tag or output that changes. None is a value that is not there; outputs have no values."""

    what: str
    name: str
    before: str | None
    after: str | None

    @property
    def how(self) -> str:
        """`added`, `removed` or `changed`."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """A resource that is added, removed, changed or replaced, or perhaps replaced."""

    what: str
    logical_id: str
    type: str
    paths: tuple[str, ...] = ()
    """The properties that change."""
    danger: str | None = None
    """What is lost with it, if it holds data."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that a deployment would change."""

    values: tuple[ValueChange, ...]
    resources: tuple[ResourceChange, ...]

    @property
    def is_empty(self) -> bool:
        """True if nothing changes."""
        return not self.values and not self.resources


def compare(stack: Stack, tags: Mapping[str, str], deployed: DeployedStack) -> Comparison:
    """Return what deploying a stack would change.

    A parameter without a value keeps the deployed one, as the AWS CLI does it. A change of an attribute that
    another resource reads is not followed, unless the former is replaced.
    """
    wanted = {name: value.text for name, value in stack.values.items()}
    former = {name: text for name, text in deployed.parameters.items() if name in stack.template.parameters}
    after = {**former, **wanted}
    region = stack.region
    pseudo = {
        "AWS::AccountId": stack.account,
        "AWS::Region": region,
        "AWS::Partition": partition(region),
        "AWS::StackName": deployed.name,
        "AWS::URLSuffix": "amazonaws.com.cn" if partition(region) == "aws-cn" else "amazonaws.com",
    }
    unseen = _unseen(stack.template) | _unseen(deployed.template)
    old = resolve(deployed.template, _without(deployed.parameters, unseen), pseudo)
    new = resolve(stack.template, _without(after, unseen), pseudo)
    values = (
        *_values("parameter", _without(deployed.parameters, unseen), _without(after, unseen)),
        *_values("tag", deployed.tags, tags),
        *_outputs(old, new),
    )
    return Comparison(values, tuple(_resources(old, new)))


def _unseen(template: Template) -> set[str]:
    """Return the parameters whose deployed values AWS does not show."""
    declared = template.body.get("Parameters", {})
    return {name for name, one in declared.items() if str(one.get("NoEcho", "")).lower() == "true"}


def _without(values: Mapping[str, str], names: set[str]) -> Mapping[str, str]:
    return {name: text for name, text in values.items() if name not in names}


def _values(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[ValueChange]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield ValueChange(what, name, shown(name, old), shown(name, new))


def shown(name: str, text: str | None) -> str | None:
    """Return a value as it may be shown: one that may be a secret is not."""
    return HIDDEN if text and is_private(name, text) else text


def _outputs(old: Resolved, new: Resolved) -> Iterator[ValueChange]:
    for name in sorted({*old.outputs, *new.outputs}):
        if old.outputs.get(name) != new.outputs.get(name):
            before, after = ("" if name in one.outputs else None for one in (old, new))
            yield ValueChange("output", name, before, after)


def _resources(old: Resolved, new: Resolved) -> Iterator[ResourceChange]:
    """Yield the changes of resources, those that are removed at the end, as CloudFormation does it."""
    replaced: frozenset[str] = frozenset()
    while True:  # a replaced resource changes those that refer to it, which may replace them, too
        changes = [*_shared(old, new, replaced)]
        found = frozenset(one.logical_id for one in changes if one.what == "replaced")
        if found == replaced:
            break
        replaced = found
    added = (name for name in new.resources if name not in old.resources)
    yield from (ResourceChange("added", name, new.resources[name]["Type"]) for name in added)
    yield from changes
    for name, resource in old.resources.items():
        if name not in new.resources:
            yield ResourceChange("removed", name, resource["Type"], (), _removed(resource))


def _shared(old: Resolved, new: Resolved, replaced: frozenset[str]) -> Iterator[ResourceChange]:
    """Yield the changes of resources that are in both."""
    for name, after in new.resources.items():
        if (before := old.resources.get(name)) is None:
            continue
        paths = tuple(dict.fromkeys(_paths(before, after, replaced)))
        if paths:
            yield _changed(name, before, after, paths, replaced)


def _changed(
    name: str, before: Json, after: Json, paths: tuple[str, ...], replaced: frozenset[str]
) -> ResourceChange:
    type_ = str(after["Type"])
    if before["Type"] != type_:
        refused = f"CloudFormation refuses to make a {before['Type']} a {type_}: give it another logical id"
        return ResourceChange("changed", name, type_, paths, refused)
    answer = replacement(type_, before, after, replaced)
    what = {"yes": "replaced", "perhaps": "perhaps replaced"}.get(answer or "", "changed")
    return ResourceChange(what, name, type_, paths, _endangered(what, before, after))


def _removed(resource: Json) -> str | None:
    policy = resource.get("DeletionPolicy")
    if policy not in _KEPT:
        return None
    return (
        f"it holds data and leaves the stack: AWS keeps it ({policy}), but no stack owns it any more, and "
        "its name is taken"
    )


def _endangered(what: str, before: Json, after: Json) -> str | None:
    if before.get("DeletionPolicy") not in _KEPT:
        return None
    if what == "replaced":
        return "it holds data, and an empty one takes its place"
    if what == "perhaps replaced":
        return "it holds data, and an empty one may take its place: read the change set before you execute it"
    for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
        if before.get(attribute) in _KEPT and after.get(attribute) not in _KEPT:
            return f"it holds data, and loses its {attribute}: whoever deletes the stack deletes the data"
    return None


def _paths(before: Any, after: Any, replaced: frozenset[str], path: str = "") -> Iterator[str]:
    """Yield the places at which two resolved values differ, as `Properties.Tags[0].Value`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            inner = f"{path}.{name}" if path else name
            yield from _paths(before.get(name, _ABSENT), after.get(name, _ABSENT), replaced, inner)
        if before == after and not replaced.isdisjoint(_own_references(after)):
            yield path
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _paths(one, other, replaced, f"{path}[{number}]")
    elif before != after:
        yield path


def _own_references(value: Json) -> Iterator[str]:
    """Yield the references of a value that is one symbolic function itself."""
    if len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::Sub"):
        yield from references(value)
