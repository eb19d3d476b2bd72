"""Reading of files that people write, as text, TOML or JSON. Every error is a ConfigurationError."""

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError
from schemas.refusals import refused

TOO_LARGE = "has a number too long, or nesting too deep, for Python to parse"


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Put the file's name in front of the block's ConfigurationError."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from None


def read_text(file: Path) -> str:
    """Return a file in UTF-8 as text, without a byte order mark."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError("file not found") from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"byte {error.start + 1} is not UTF-8; allowed: UTF-8") from None


def read_toml(file: Path) -> dict[str, Any]:
    """Return the tables of a TOML file."""
    try:
        return tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:  # its message names line and column
        raise ConfigurationError(f"not TOML: {error}") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(TOO_LARGE) from None


def read_json(file: Path, what: str, allowed: str) -> dict[str, Any]:
    """Return the object in a JSON file. Duplicate names and lone surrogates are refused."""
    text = read_text(file)
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        where = f"at line {error.lineno}, column {error.colno}"
        raise ConfigurationError(f"not JSON: {error.msg} ({where})") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(TOO_LARGE) from None
    if not isinstance(value, dict):
        raise refused(what, value, allowed)
    if "\\u" in text:  # only an escape can write a lone surrogate, since the file is valid UTF-8
        _refuse_surrogates(value)
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ConfigurationError(f"found the property {name} twice in one object; allowed: once")
        members[name] = value
    return members


def _refuse_surrogates(value: object) -> None:
    """Raise ConfigurationError for text that UTF-8 cannot encode, since schemas are written to the log."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ConfigurationError(TOO_LARGE) from None
    except UnicodeEncodeError:
        raise ConfigurationError(
            "contains half a character, such as \\ud800; allowed: whole characters"
        ) from None
