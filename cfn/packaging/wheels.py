"""The third-party packages of a side: their wheels, and what of a wheel belongs into a Lambda package."""

from __future__ import annotations

import re
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from cfn.packaging.archive import sha256
from cfn.packaging.botocore_data import endpoint_prefixes, reduced
from cfn.packaging.python313 import run
from cfn.packaging.sides import Arch
from schemas.errors import ConfigurationError

_SOURCE_ONLY = ("aws-kinesis-agg",)  # published without a wheel; pure Python
_BUILD_TOOL = "setuptools"
# python3.13 of Lambda runs on Amazon Linux 2023, which has glibc 2.34:
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
_GLIBC_MINORS = range(34, 4, -1)
_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
_NEEDLESS_FOLDERS = {"test", "tests"}
_NEEDLESS_ENDINGS = {".pyi", ".pyx", ".pxd", ".c", ".h", ".exe"}
_LICENCE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|AUTHORS)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel: its distribution's name in canonical form, and its metadata."""

    file: Path
    name: str
    metadata: Message

    @property
    def version(self) -> str:
        """The version of the distribution."""
        return str(self.metadata["Version"])

    def requires(self, environment: Mapping[str, str]) -> list[NormalizedName]:
        """Return the names of the distributions that this one needs in an environment, without extras."""
        required = map(Requirement, self.metadata.get_all("Requires-Dist", []))
        return sorted(
            canonicalize_name(one.name)
            for one in required
            if not one.marker or one.marker.evaluate(environment)
        )

    def texts(self, pattern: re.Pattern[str]) -> dict[str, str]:
        """Return the files of the dist-info folder whose names match, by their path in it."""
        with zipfile.ZipFile(self.file) as archive:
            return {
                "/".join(path.parts[1:]): archive.read(str(path)).decode(errors="replace")
                for path in sorted(
                    PurePosixPath(one.filename) for one in archive.infolist() if not one.is_dir()
                )
                if path.parts[0].endswith(".dist-info") and pattern.search(path.name)
            }

    def licences(self) -> dict[str, str]:
        """Return the texts of the licences by file."""
        return self.texts(_LICENCE)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the wheel."""
        return sha256(self.file)


def project(root: Path) -> dict[str, Any]:
    """Return the table [project] of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return table


def download(python: str, root: Path, requirements: Iterable[str], arch: Arch, into: Path) -> list[Wheel]:
    """Download the wheels of requirements and of all that they need, at the versions of constraints.txt.

    Raises ConfigurationError.
    """
    constraints = ["--constraint", str(root / "constraints.txt")]
    built, wheels = into / "built", into / "wheels"
    _build(python, constraints, into / "tools", built)
    platforms = [f"manylinux_2_{minor}_{_MACHINES[arch]}" for minor in _GLIBC_MINORS]
    target = [f"--platform={name}" for name in (*platforms, f"manylinux2014_{_MACHINES[arch]}")]
    target += ["--python-version=3.13", "--implementation=cp", "--abi=cp313", "--abi=abi3", "--abi=none"]
    arguments = ["--quiet", "--only-binary=:all:", f"--find-links={built}", *target, *constraints]
    run(python, ["pip", "download", *arguments, f"--dest={wheels}", *sorted({*requirements})])
    return [read_wheel(file) for file in sorted(wheels.glob("*.whl"))]


def _build(python: str, constraints: list[str], tools: Path, into: Path) -> None:
    """Build wheels of what is published as source only, by a build tool of a fixed version."""
    run(
        python,
        [
            "pip",
            "install",
            "--quiet",
            "--root-user-action=ignore",
            f"--target={tools}",
            *constraints,
            _BUILD_TOOL,
        ],
    )
    arguments = ["--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={into}", *constraints]
    variables = {"PYTHONPATH": str(tools), "SOURCE_DATE_EPOCH": "315532800"}  # 1980, for zips
    run(python, ["pip", "wheel", *arguments, *_SOURCE_ONLY], **variables)


def read_wheel(file: Path) -> Wheel:
    """Read the metadata of a wheel."""
    with zipfile.ZipFile(file) as archive:
        (name,) = (name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    return Wheel(file, canonicalize_name(metadata["Name"]), metadata)


def environment(arch: Arch) -> dict[str, str]:
    """Return the values of environment markers in Lambda."""
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": _MACHINES[arch],
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": "3.13.0",
        "python_version": "3.13",
        "sys_platform": "linux",
        "extra": "",
    }


def needed(requirements: Iterable[str], wheels: Iterable[Wheel], arch: Arch) -> list[Wheel]:
    """Return the wheels of requirements and of all that they need, by name. Raises ConfigurationError."""
    by_name = {wheel.name: wheel for wheel in wheels}
    found: dict[str, Wheel] = {}
    waiting = [canonicalize_name(Requirement(one).name) for one in requirements]
    while waiting:
        name = waiting.pop()
        if name not in by_name:
            raise ConfigurationError(f"{name}: no wheel for {arch} was downloaded, though a package needs it")
        if name not in found:
            found[name] = by_name[name]
            waiting.extend(by_name[name].requires(environment(arch)))
    return [found[name] for name in sorted(found)]


def unpack(wheel: Wheel, services: frozenset[str], into: Path) -> None:
    """Unpack what a Lambda needs of a wheel."""
    with zipfile.ZipFile(wheel.file) as archive:
        prefixes = endpoint_prefixes(archive, services)
        for name in archive.namelist():
            path = PurePosixPath(name)
            if not name.endswith("/") and is_needed(path, services):
                target = into / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(reduced(path, archive.read(name), prefixes))


def is_needed(path: PurePosixPath, services: frozenset[str]) -> bool:
    """Return whether a file of a wheel belongs into a package whose code calls these AWS services."""
    top, *rest = path.parts
    if top.endswith(".dist-info"):
        return rest == ["METADATA"]  # scanners, such as Amazon Inspector, read names and versions there
    if top.endswith(".data"):  # scripts
        return False
    if top in {"boto3", "botocore"} and len(rest) > 2 and rest[0] == "data":
        return rest[1] in services
    return path.suffix not in _NEEDLESS_ENDINGS and not _NEEDLESS_FOLDERS & {*path.parts[:-1]}
