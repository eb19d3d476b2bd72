"""Errors for refused configuration: where, what was found, what is allowed, and the nearest valid name."""

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches

from schemas.errors import ConfigurationError

MAX_NAME = 100
"""Most characters of a name. SQL names have at most 128, and those of tables add a prefix and a revision."""


def shown(value: object) -> str:
    """Return a value of a file as JSON, shortened to fit in a sentence."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def refused(where: str, value: object, allowed: str) -> ConfigurationError:
    """Return the error for a value that is not allowed."""
    return ConfigurationError(f"{where}: found {shown(value)}; allowed: {allowed}")


def unknown(where: str, value: object, allowed: Iterable[str]) -> ConfigurationError:
    """Return the error for a name that is not among the allowed ones, with the most similar of them."""
    names = list(allowed)
    near = get_close_matches(value, names, n=1) if isinstance(value, str) else []
    hint = f"did you mean {shown(near[0])}? " if near else ""
    return ConfigurationError(
        f"{where}: found {shown(value)}; {hint}allowed: {', '.join(names) or 'nothing'}"
    )


def missing(where: str, name: str, meaning: str) -> ConfigurationError:
    """Return the error for a missing property."""
    return ConfigurationError(f"{where}: {shown(name)} is missing; allowed: {meaning}")


def only_known(where: str, properties: Iterable[str], allowed: Iterable[str]) -> None:
    """Raise ConfigurationError for an unknown property, which would be ignored silently otherwise."""
    names = list(allowed)
    for name in properties:
        if name not in names:
            raise unknown(f"{where}: unknown property", name, names)


def snake_case(where: str, name: object) -> str:
    """Return the name if it can become a SQL name. Raises ConfigurationError."""
    if isinstance(name, str) and name.startswith("_"):
        raise refused(where, name, "no name that starts with _: those are Headwater's own columns")
    if isinstance(name, str) and "__" in name:
        raise refused(where, name, "no name with __: it separates a table's name from its revision")
    if isinstance(name, str) and len(name) > MAX_NAME:
        raise refused(where, name, f"a name of at most {MAX_NAME} characters, this one has {len(name)}")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise refused(where, name, "lower snake case: a-z first, then a-z, 0-9 and _")
    return name
