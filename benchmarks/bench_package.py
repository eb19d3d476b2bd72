"""The cold start of each Lambda function: import and build, out of the unpacked package.

The packages are built for this machine, and Python 3.13 runs with -I -S -B: nothing but the standard library
and the package can be imported, and byte-code is only what the package has. The figure is the CPU of the
whole process, median of ten, in which the handler's module is imported and what it keeps between invocations
is built: catalog, clients of AWS (which make no call), and a warehouse in SQLite with its tables. The raw
limit is the same process with the third-party packages alone imported. Without byte-code, Python compiles
each module.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from cfn.packaging.build import build
from cfn.packaging.inputs import Inputs
from cfn.packaging.python313 import find_python
from consumers.warehouse.engines import open_warehouse
from schemas.catalog.loader import load_catalog

RUNS = 10
ARCH = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
# Package, module of the handler, what builds the handler's parts, third-party modules that they use.
_PRODUCER = "boto3, fastavro, aws_kinesis_agg.aggregator"
_WAREHOUSE = "botocore.session, fastavro, sqlalchemy, pymssql"
FUNCTIONS = (
    ("producers", "producers.csv.handler", "_producer", _PRODUCER),
    ("producers", "producers.dynamodb.handler", "_producer", _PRODUCER),
    ("consumers", "consumers.handler", "_built", _WAREHOUSE),
    ("refresher", "consumers.reporting.handler", "_built", f"{_WAREHOUSE}, sqlglot"),
)
_END = "; import resource as r; u = r.getrusage(r.RUSAGE_SELF); print(u.ru_utime + u.ru_stime)"


def run() -> Iterator[tuple[str, float, float, str]]:
    """Name, figure, share of the raw limit, unit."""
    python = find_python()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for package in build(python, Inputs(None, None), [ARCH], work / "zips"):
            yield f"{package.file.name}: size", package.file.stat().st_size / 1e6, 1.0, "MB"
            with zipfile.ZipFile(package.file) as archive:
                archive.extractall(work / package.file.stem)
        warehouse = f"sqlite:///{work / 'warehouse.db'}"
        open_warehouse(warehouse, load_catalog().entities.values()).ensure()
        for side, module, built, libraries in FUNCTIONS:
            task = work / f"{side}-{ARCH}"
            start = f"import {module} as m; m.{built}()"
            ours = _seconds(python, task, start, warehouse)
            bare = _seconds(python, task, f"import {libraries}", warehouse)
            yield f"{module}: import and build", ours * 1_000, bare / ours, "ms CPU"
            yield "  third-party packages alone", bare * 1_000, 1.0, "ms CPU"
            slow = _seconds(python, _without_byte_code(task), start, warehouse)
            yield "  without byte-code", slow * 1_000, bare / slow, "ms CPU"


def _seconds(python: str, task: Path, code: str, warehouse: str) -> float:
    environment = {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "eu-west-2",
        "AWS_DEFAULT_REGION": "eu-west-2",
        "HEADWATER_WAREHOUSE": warehouse,
    }
    command = [python, "-I", "-S", "-B", "-c", f"import sys; sys.path.insert(0, {str(task)!r}); {code}{_END}"]

    def once() -> float:
        done = subprocess.run(command, env=environment, cwd=task, capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])

    once()  # reads the files from disk
    return statistics.median(once() for _ in range(RUNS))


def _without_byte_code(task: Path) -> Path:
    """Return a copy of the package without byte-code."""
    copy = task.with_name(f"{task.name}-source")
    for file in task.rglob("*"):
        if file.is_file() and file.suffix != ".pyc":
            target = copy / file.relative_to(task)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return copy
