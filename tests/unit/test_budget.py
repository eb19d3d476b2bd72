"""Sizes that keep the code readable: modules in a folder, lines in a module and in a function."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "producers", "consumers", "replay", "headwater")
MODULES, LINES, FUNCTION = 16, 400, 32


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def function_lines(file: Path) -> Iterator[tuple[str, int]]:
    """Lines of code of each function: without its docstring, comments and blank lines."""
    source = file.read_text()
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = node.body[0] if ast.get_docstring(node, clean=False) else None
        skipped = range(docstring.lineno, (docstring.end_lineno or 0) + 1) if docstring else ()
        code = [
            number
            for number in range(node.lineno, (node.end_lineno or 0) + 1)
            if number not in skipped and lines[number - 1].strip() and lines[number - 1].strip()[0] != "#"
        ]
        yield f"{file.relative_to(ROOT)}: {node.name}", len(code)


def test_no_folder_has_more_than_sixteen_modules() -> None:
    folders: dict[Path, int] = {}
    for file in modules():
        folders[file.parent] = folders.get(file.parent, 0) + (file.stem != "__init__")
    for folder, number in folders.items():
        print(f"{number:3} {folder.relative_to(ROOT)}")
    assert {str(folder): number for folder, number in folders.items() if number > MODULES} == {}


def test_no_module_has_more_than_400_lines() -> None:
    sizes = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in modules()}
    print(f"{len(sizes)} modules, {sum(sizes.values()):,} lines, the longest {max(sizes.values())}")
    assert {file: lines for file, lines in sizes.items() if lines > LINES} == {}


def test_no_function_has_more_than_32_lines() -> None:
    sizes = dict(pair for file in modules() for pair in function_lines(file))
    print(f"{len(sizes)} functions, {sum(sizes.values()) / len(sizes):.1f} lines each on average")
    assert {name: lines for name, lines in sizes.items() if lines > FUNCTION} == {}


def test_nothing_writes_the_environment() -> None:
    """Settings are read once and handed down (schemas/settings.py)."""
    writes = (
        "os.environ[",
        "os.environ.update",
        "os.environ.pop",
        "os.environ.setdefault",
        "del os.environ",
        "putenv",
    )
    lines = [(file, line) for file in modules() for line in file.read_text().splitlines()]
    assert [(str(file), line) for file, line in lines if any(write in line for write in writes)] == []
