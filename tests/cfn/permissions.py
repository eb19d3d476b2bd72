"""All permissions as one reviewed text: `python tests/cfn/permissions.py` updates it after a change."""

from __future__ import annotations

from collections.abc import Iterator

from cfn_templates import ROOT, Statement, conditions, listed, load_world, statements, text

GOLDEN = ROOT / "tests" / "golden" / "cfn" / "permissions.txt"


def every_statement() -> Iterator[Statement]:
    """Yield the statements of all templates, in order of their places."""
    found = [statement for template in load_world().values() for statement in statements(template)]
    yield from sorted(found, key=lambda statement: (statement.where, statement.kind))


def permissions() -> str:
    """Return every statement with its actions, resources, principals and conditions, one a line."""
    return "".join(f"{line}\n" for statement in every_statement() for line in _lines(statement))


def _lines(statement: Statement) -> Iterator[str]:
    when = f" if {statement.condition}" if statement.condition else ""
    yield f"{statement.where} ({statement.kind}): {statement.body.get('Effect')}{when}"
    principal = statement.body.get("Principal", {})
    parts = principal if isinstance(principal, dict) else {"anyone": principal}
    for kind, values in sorted(parts.items()):
        yield from (f"  by {kind} {text(value)}" for value in listed(values))
    yield from (f"  do {action}" for action in sorted(statement.actions))
    yield from (f"  on {resource}" for resource in statement.resources)
    for operator, keys in sorted(conditions(statement.body).items()):
        yield from (f"  where {operator} {key} {' or '.join(values)}" for key, values in sorted(keys.items()))


if __name__ == "__main__":
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(permissions())
