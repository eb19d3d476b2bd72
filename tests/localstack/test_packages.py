"""`make package` as a user runs it: two builds, and the functions' modules out of the zips alone.

It downloads wheels, which is why it is here and not in `make test`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cfn.packaging.python313 import find_python
from cfn.packaging.sides import FUNCTIONS, SIDES, Side

pytestmark = pytest.mark.timeout(1_500)

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 50_000_000  # direct upload: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
UNPACKED = 250 * 1024 * 1024
MACHINES = {"x86_64": 62, "arm64": 183}  # e_machine of ELF
BUNDLE = "not a certificate, but a file\n"


def make(out: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `make package` with a home and a CA bundle."""
    bundle = home / "bundle.pem"
    bundle.write_text(BUNDLE)
    digits = hashlib.sha256(BUNDLE.encode()).hexdigest()
    given = (f"OUT={out}", f"HOME={home}", f"CA_BUNDLE={bundle}", f"CA_SHA256={digits}", *words)
    return subprocess.run(
        ["make", "package", *given], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1_200
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "schemas" / "entities" / "school", home / "entities" / "school")
    (home / "reports").mkdir()
    (home / "reports" / "open_schools.sql").write_text(
        '/* headwater\nkey = ["urn"]\n*/\nSELECT s.urn, s.name FROM staging.school AS s\n'
    )
    return home


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    out = tmp_path_factory.mktemp("built")
    done = make(out, home)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Iterator[Path]:
    """The packages of this machine, unpacked. Sources are spoilt, so that only byte-code can run."""
    tasks = tmp_path_factory.mktemp("tasks")
    for side in SIDES:
        with zipfile.ZipFile(built / f"{side.name}-{_arch()}.zip") as archive:
            archive.extractall(tasks / side.name)
    for file in tasks.rglob("*.py"):
        file.write_text("this is no Python")
    yield tasks
    shutil.rmtree(tasks)


def test_two_builds_in_two_folders_are_equal_to_the_byte(built: Path, home: Path, tmp_path: Path) -> None:
    again = tmp_path / "another folder"
    done = make(again, home, f"ARCH={_arch()}")
    assert done.returncode == 0, done.stderr
    files = sorted(file.name for file in again.iterdir() if file.name != "manifest.json")
    assert len(files) == 3 * len(SIDES)
    assert [name for name in files if (again / name).read_bytes() != (built / name).read_bytes()] == []


def test_each_package_is_small_and_in_the_manifest(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    assert manifest.keys() == {f"{side.name}-{arch}.zip" for side in SIDES for arch in MACHINES}
    for name, entry in manifest.items():
        assert (built / name).stat().st_size < LARGEST
        assert hashlib.sha256((built / name).read_bytes()).hexdigest() == entry["sha256"]
        assert entry["key"] == f"{Path(name).stem}-{entry['sha256'][:12]}.zip"
        with zipfile.ZipFile(built / name) as archive:
            assert sum(one.file_size for one in archive.infolist()) < UNPACKED


@pytest.mark.parametrize("arch", MACHINES)
def test_extension_modules_are_of_the_machine(built: Path, arch: str) -> None:
    for side in SIDES:
        with zipfile.ZipFile(built / f"{side.name}-{arch}.zip") as archive:
            modules = [name for name in archive.namelist() if ".so" in Path(name).suffixes]
            headers = {name: archive.read(name)[:20] for name in modules}
        assert modules or side.name == "scheduler"  # which is Python alone
        assert {int.from_bytes(header[18:20], "little") for header in headers.values()} <= {MACHINES[arch]}


def test_the_home_replaces_the_samples_and_the_bundle_is_where_the_warehouse_is(built: Path) -> None:
    for side in SIDES:
        with zipfile.ZipFile(built / f"{side.name}-arm64.zip") as archive:
            names = set(archive.namelist())
            assert ("ca.pem" in names and "freetds.conf" in names) is side.warehouse
            if side.warehouse:
                assert archive.read("ca.pem").decode() == BUNDLE
        entities = {name.split("/")[2] for name in names if name.startswith("schemas/entities/")}
        assert entities == {"school"}
        reports = {name for name in names if name.endswith(".sql")}
        assert reports == ({"consumers/reporting/open_schools.sql"} if side.reports else set())


@pytest.mark.parametrize("side", FUNCTIONS, ids=lambda side: side.name)
def test_handlers_import_out_of_the_package_alone(tasks: Path, side: Side) -> None:
    for entry in side.entries:
        _run(tasks / side.name, f"import {entry}")


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)
def test_every_service_that_the_code_names_is_in_the_package(tasks: Path, side: Side) -> None:
    from cfn.packaging.imports import files_of, services_called

    services = sorted(services_called(files_of(ROOT, side.entries)))
    create = "botocore.session.get_session().create_client"
    code = f"import botocore.session\nfor name in {services}: {create}(name, region_name='eu-west-2')"
    _run(tasks / side.name, code)


def test_the_command_line_runs_out_of_the_package_of_the_image(tasks: Path) -> None:
    command = [find_python(), "-s", "-S", "-B", "-m", "headwater"]
    for words, code in ((["replay", "--help"], 0), (["replay", "compare", "school"], 2)):
        done = subprocess.run(
            [*command, *words],
            env={"PYTHONPATH": str(tasks / "replay")},
            cwd=tasks,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
    assert "HEADWATER_WAREHOUSE is not set" in done.stderr


def test_byte_code_names_lambdas_folder_and_not_that_of_the_build(tasks: Path) -> None:
    for name in ("consumers/handler", "botocore/session"):
        folder, module = name.split("/")
        code = (tasks / "consumers" / folder / "__pycache__" / f"{module}.cpython-313.pyc").read_bytes()
        assert f"/var/task/{name}.py".encode() in code
        assert tempfile.gettempdir().encode() + b"/" not in code


def _arch() -> str:
    return "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"


def _run(task: Path, code: str) -> None:
    program = f"import sys; sys.path.insert(0, {str(task)!r})\n{code}"
    done = subprocess.run(
        [find_python(), "-I", "-S", "-B", "-c", program], env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
