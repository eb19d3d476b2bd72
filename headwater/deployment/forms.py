"""Parts that rendered templates have in common."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

_STACK = "[A-Za-z][A-Za-z0-9-]{0,127}"
_NAMED = {
    "Application": ("First part of every physical name", "[a-z][a-z0-9-]{0,8}[a-z0-9]"),
    "Environment": ("Second part of every physical name", "[a-z][a-z0-9]{1,9}"),
    "SourceStack": ("Name of the stack of source.yaml", _STACK),
    "ProducersStack": ("Name of the stack of producers.yaml", _STACK),
    "RunbookUrl": (
        "Folder of docs/alarms.md as the people on duty open it, without a slash at the end",
        "docs|https://[A-Za-z0-9._~/-]{1,200}[A-Za-z0-9_-]",
    ),
}
_DEFAULTS = {"RunbookUrl": "docs"}


def logical_id(kind: str, name: str) -> str:
    """Return the logical id of what belongs to a table or feed.

    It is unique, and the same whatever others there are: another id would replace the resource. Ids are
    alphanumeric: those of `a-b` and `a.b` differ only in their hash.
    """
    words = re.findall(r"[A-Za-z0-9]+", name)
    readable = "".join(word[0].upper() + word[1:] for word in words)
    # An id has at most 255 characters, as has the name of a table.
    return f"{kind}{readable[:200]}{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def parameters(names: Iterable[str]) -> Json:
    """Return the declarations of parameters that templates share."""
    return {name: _parameter(name) for name in names}


def _parameter(name: str) -> Json:
    description, pattern = _NAMED[name]
    declared = {
        "Type": "String",
        "Description": description,
        "AllowedPattern": pattern,
        "ConstraintDescription": f"text of the form {pattern}",
    }
    return declared | ({"Default": _DEFAULTS[name]} if name in _DEFAULTS else {})


def imported(stack: str, output: str) -> Json:
    """Return the output of another stack; `stack` is the parameter that names it."""
    return {"Fn::ImportValue": {"Fn::Sub": f"${{{stack}}}:{output}"}}


def notified() -> Json:
    """Return the actions of an alarm in a source account."""
    topic = imported("SourceStack", "AlarmTopicArn")
    return {"AlarmActions": [topic], "OKActions": [topic]}


def description(text: str, anchor: str) -> Json:
    """Return the description of an alarm, with the link to its row in docs/alarms.md."""
    return {"Fn::Sub": f"{text} Runbook: ${{RunbookUrl}}/alarms.md#{anchor}"}
