"""Policies as lists of statements that can be taken away one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Statement:
    """One statement. `sid` is unique in a deployment; `name` shows its stack, resource, and Sid or number."""

    sid: str
    name: str
    body: Mapping[str, Any]

    @property
    def allows(self) -> bool:
        return bool(self.body["Effect"] == "Allow")

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Return each condition as its operator and key."""
        return [(operator, key) for operator, keys in self.body.get("Condition", {}).items() for key in keys]

    def without_condition(self, operator: str, key: str) -> Statement:
        """Return the statement without one condition."""
        kept = {
            each: {name: value for name, value in keys.items() if (each, name) != (operator, key)}
            for each, keys in self.body["Condition"].items()
        }
        body = {**self.body, "Condition": {each: keys for each, keys in kept.items() if keys}}
        if not body["Condition"]:
            del body["Condition"]
        return Statement(self.sid, self.name, body)


Policy: TypeAlias = Sequence[Statement]


def statements_of(document: Mapping[str, Any], name: str, number: int) -> list[Statement]:
    """Return the statements of a policy document, numbered in the deployment from `number` on."""
    bodies = document["Statement"]
    listed = [bodies] if isinstance(bodies, Mapping) else bodies
    return [
        Statement(f"S{number + place}", f"{name}:{body.get('Sid', place)}", body)
        for place, body in enumerate(listed)
    ]
