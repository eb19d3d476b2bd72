"""What the user gives to the build, checked before anything is downloaded: entities, reports, CA bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cfn.packaging.archive import sha256
from consumers.reporting.files import problems, read_reports, reports_of
from schemas.catalog.loader import entities_of, load_catalog
from schemas.errors import ConfigurationError

NO_BUNDLE = "none"
_READ = ("entity.toml", "published.json", "v*.avsc")  # what the loader reads in an entity's folder


@dataclass(frozen=True, slots=True)
class Inputs:
    """Checked inputs. `home` is None for the samples, `ca_bundle` None for no check of certificates."""

    home: Path | None
    ca_bundle: Path | None

    def entity_files(self) -> dict[str, Path]:
        """Return the files of the entities by their names in the package.

        Other files of the folder are left out: they may be anything, such as a file of sample rows.
        """
        folder = entities_of(self.home)
        files = (file for pattern in _READ for file in folder.glob(f"*/{pattern}"))
        return {f"schemas/entities/{file.relative_to(folder).as_posix()}": file for file in files}

    def report_files(self) -> dict[str, Path]:
        """Return the files of the reports by their names in the package."""
        return {f"consumers/reporting/{file.name}": file for file in reports_of(self.home).glob("*.sql")}


def check_inputs(home: str | None, ca_bundle: str | None, ca_sha256: str | None) -> Inputs:
    """Return the inputs of a build.

    Raises ConfigurationError for an entity or report that is wrong, and for a CA bundle that is missing or
    is not the one that the SHA-256 names.
    """
    folder = Path(home) if home else None
    wrong = list(problems(read_reports(folder, load_catalog(folder))))
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    return Inputs(folder, _bundle(ca_bundle, ca_sha256))


def _bundle(path: str | None, expected: str | None) -> Path | None:
    if not path:
        raise ConfigurationError(
            "CA_BUNDLE is not given: name the file of the certificate authorities that signed SQL Server's "
            "certificate, with CA_SHA256. CA_BUNDLE=none builds packages that do not check the certificate"
        )
    if path == NO_BUNDLE:
        return None
    if not re.fullmatch(r"[0-9a-fA-F]{64}", expected or ""):
        raise ConfigurationError("CA_SHA256: 64 hexadecimal digits are needed with CA_BUNDLE")
    file = Path(path)
    if not file.is_file():
        raise ConfigurationError(f"CA_BUNDLE: {path} is not a file")
    if sha256(file) != str(expected).lower():
        raise ConfigurationError(
            f"CA_BUNDLE: the SHA-256 of {path} is not CA_SHA256: get the bundle from its publisher again, "
            "and compare the digits with those that the publisher shows"
        )
    return file
