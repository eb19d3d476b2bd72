"""What the code of a package imports and which AWS services it calls, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from schemas.errors import ConfigurationError

ROOMS = ("schemas", "producers", "consumers", "replay", "headwater")
_BASE_SERVICES = frozenset({"sts"})  # botocore itself calls it when credentials assume a role


def files_of(root: Path, modules: Iterable[str]) -> list[Path]:
    """Return the files of these modules and of all first-party modules that they import, sorted.

    Imports inside functions count, those under `if TYPE_CHECKING` do not. Raises ConfigurationError for a
    module that does not exist.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    for module in waiting:
        if _file(root, module) is None:
            raise ConfigurationError(
                f"{module}: no such module; a package begins with modules of this checkout"
            )
    while waiting:
        name = waiting.pop()
        for module in _with_parents(name):
            file = _file(root, module)
            if file is not None and module not in found:
                found[module] = file
                waiting.extend(_imports(file))
    return sorted(found.values())


def distributions_imported(files: Iterable[Path]) -> set[str]:
    """Return the top-level names that these files import, without the project's own."""
    names = {name.partition(".")[0] for file in files for name in _imports(file)}
    return names - {*ROOMS}


def services_called(files: Iterable[Path]) -> frozenset[str]:
    """Return the AWS services of which these files create a client, by `client("<service>")`."""
    return _BASE_SERVICES | {name for file in files for name in _services(file)}


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    if parts[0] in ROOMS:
        yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _file(root: Path, module: str) -> Path | None:
    path = root.joinpath(*module.split("."))
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            return file
    return None


@cache
def _imports(file: Path) -> tuple[str, ...]:
    return tuple(_imported(ast.parse(file.read_bytes())))


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        children: Iterable[ast.AST] = node.orelse
    else:
        children = ast.iter_child_nodes(node)
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in children:
        yield from _imported(child)


def _services(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name == "client" and isinstance(node.args[0].value, str):
                yield node.args[0].value
