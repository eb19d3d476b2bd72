"""The rooms and the direction of their imports (docs/architecture.md: Rooms)."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "schemas": set(),
    "producers": {"schemas"},
    "consumers": {"schemas"},
    "replay": {"schemas", "consumers"},
    "headwater": {"schemas", "producers", "consumers", "replay"},
}
NOT_PURE = {"boto3", "botocore", "sqlalchemy", "sqlite3", "pymssql", "aws_kinesis_agg", "socket", "moto"}


def modules_imported_by(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(file: Path) -> Iterator[str]:
    return (name.split(".")[0] for name in modules_imported_by(file))


def imported_by(room: str) -> dict[str, set[str]]:
    return {str(f.relative_to(ROOT)): set(imports(f)) for f in (ROOT / room).rglob("*.py")}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_before_it(room: str) -> None:
    forbidden = MAY_IMPORT.keys() - MAY_IMPORT[room] - {room}
    found = imported_by(room)
    assert found, f"no files in {room}: the test would prove nothing"
    assert {f: bad for f, names in found.items() if (bad := names & forbidden)} == {}


def test_schemas_is_pure() -> None:
    assert {f: bad for f, names in imported_by("schemas").items() if (bad := names & NOT_PURE)} == {}


def test_the_aggregation_library_is_imported_in_one_adapter_only() -> None:
    users = [f for room in MAY_IMPORT for f, names in imported_by(room).items() if "aws_kinesis_agg" in names]
    assert users == ["producers/aggregator.py"]


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for type checking alone count, too."""
    files = {
        ".".join(f.relative_to(ROOT).with_suffix("").parts): f
        for room in MAY_IMPORT
        for f in (ROOT / room).rglob("*.py")
    }
    graph = {
        module: {
            target
            for name in modules_imported_by(f)
            for target in (name, name.rpartition(".")[0])
            if target in files
        }
        for module, f in files.items()
    }
    assert sum(map(len, graph.values())) > len(graph), (
        "hardly any imports found: the test would prove nothing"
    )
    assert len(list(TopologicalSorter(graph).static_order())) == len(files)  # raises CycleError


@pytest.mark.parametrize("folder", ["consumers/reporting/definition", "consumers/reporting/refresh"])
def test_engine_neutral_modules_import_no_engine(folder: str) -> None:
    engines = {"mssql", "sqlite", "pymssql", "sqlite3"}
    found = {f.name: set(modules_imported_by(f)) for f in (ROOT / folder).glob("*.py")}
    assert found, f"no files in {folder}: the test would prove nothing"
    by_engine = {f: {name for name in names if engines & set(name.split("."))} for f, names in found.items()}
    assert {f: names for f, names in by_engine.items() if names} == {}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_room_has_a_cupboard_for_everything(room: str) -> None:
    cupboards = {"common", "core", "util", "utils", "helper", "helpers"}
    assert [f for f in (ROOT / room).rglob("*") if f.stem in cupboards] == []
