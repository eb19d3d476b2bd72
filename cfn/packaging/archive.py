"""Zips that depend on their content alone: sorted names, one date, one mode."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_MODE = 0o100644 << 16  # a regular file that the user of the Lambda runtime can read
_UNIX = 3


def write_zip(folder: Path, target: Path) -> None:
    """Write the files of a folder into a zip: the same files give the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(
            file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
        ):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = _UNIX, _MODE
            archive.writestr(entry, (folder / name).read_bytes())


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
