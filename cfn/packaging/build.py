"""A build: the packages of all sides and machines, and the manifest that names them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cfn.packaging.archive import sha256, write_zip
from cfn.packaging.imports import files_of, services_called
from cfn.packaging.inputs import Inputs
from cfn.packaging.python313 import compile_all
from cfn.packaging.sbom import bill_of_materials, licence_texts
from cfn.packaging.sides import SIDES, Arch, Side
from cfn.packaging.wheels import Wheel, download, needed, project, unpack

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = "manifest.json"


class Package(NamedTuple):
    """A zip, and the key under which it is uploaded: it contains the hash, so no version replaces another."""

    file: Path
    sha256: str
    key: str


def build(python: str, inputs: Inputs, arches: Iterable[Arch], out: Path) -> Iterator[Package]:
    """Build the packages into a folder, and the manifest last. Raises ConfigurationError."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)  # an interrupted build has none
    packages = []
    for arch in arches:
        for package in _build_arch(python, inputs, arch, out):
            packages.append(package)
            yield package
    manifest = {one.file.name: {"sha256": one.sha256, "key": one.key} for one in packages}
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def _build_arch(python: str, inputs: Inputs, arch: Arch, out: Path) -> Iterator[Package]:
    requirements = project(ROOT)["optional-dependencies"]
    with tempfile.TemporaryDirectory() as work:
        everything = [one for side in SIDES for one in requirements[side.name]]
        wheels = download(python, ROOT, everything, arch, Path(work))
        for side in SIDES:
            folder = Path(work, side.name)
            carried = needed(requirements[side.name], wheels, arch)
            fill(folder, side, carried, inputs)
            compile_all(python, folder)
            yield _package(folder, side, arch, out, carried)


def fill(folder: Path, side: Side, wheels: Iterable[Wheel], inputs: Inputs) -> None:
    """Put what a package holds into a folder, without byte-code. Raises ConfigurationError."""
    code = files_of(ROOT, side.entries)
    services = services_called(code)
    for wheel in wheels:
        unpack(wheel, services, folder)
    files = {file.relative_to(ROOT).as_posix(): file for file in code} | inputs.entity_files()
    if side.reports:
        files |= inputs.report_files()
    if side.warehouse and inputs.ca_bundle is not None:
        files |= {"ca.pem": inputs.ca_bundle, "freetds.conf": ROOT / "cfn" / "freetds.conf"}
    for name, file in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)
    _write_metadata(folder)


def _write_metadata(folder: Path) -> None:
    """Name the project to whatever reads installed packages, such as `headwater --version` and scanners."""
    name, version = project(ROOT)["name"], project(ROOT)["version"]
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")


def _package(folder: Path, side: Side, arch: Arch, out: Path, wheels: Iterable[Wheel]) -> Package:
    name = f"{side.name}-{arch}"
    file = out / f"{name}.zip"
    write_zip(folder, file)
    digest = sha256(file)
    bill = bill_of_materials(f"headwater-{name}", project(ROOT)["version"], digest, wheels, arch)
    (out / f"{name}.cdx.json").write_text(bill)
    (out / f"{name}.licences.txt").write_text(licence_texts(wheels))
    return Package(file, digest, f"{name}-{digest[:12]}.zip")
