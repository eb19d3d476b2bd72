"""Files that people write: read whole, as text, TOML or JSON. Every error is a ConfigurationError."""

import json
import tomllib
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError
from schemas.refusals import refused

TOO_LARGE = "holds a number too long, or nests too deep, for Python to read"


def read_text(file: Path) -> str:
    """UTF-8, without the mark that some editors put before it."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError("there is no such file; an entity has one") from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"byte {error.start + 1} is not UTF-8; allowed: UTF-8") from None


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file."""
    try:
        return tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:  # its text names line and column
        raise ConfigurationError(f"not TOML: {error}") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(TOO_LARGE) from None


def read_json(file: Path, what: str, allowed: str) -> dict[str, Any]:
    """An object of JSON, no name twice in it, no half of a character."""
    text = read_text(file)
    try:
        found = json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        where = f"at line {error.lineno}, column {error.colno}"
        raise ConfigurationError(f"not JSON: {error.msg} ({where})") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(TOO_LARGE) from None
    if not isinstance(found, dict):
        raise refused(what, found, allowed)
    if "\\u" in text:
        _refuse_surrogates(found)
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ConfigurationError(f"found the property {name} twice in one object; allowed: once")
        made[name] = value
    return made


def _refuse_surrogates(found: object) -> None:
    """JSON's escapes can write what no text in UTF-8 holds, and the log is UTF-8."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ConfigurationError(TOO_LARGE) from None
    except UnicodeEncodeError:
        raise ConfigurationError("holds half a character, such as \\ud800; allowed: whole ones") from None
