"""Report files of an installation: <home>/reports/*.sql, or the samples beside this module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from consumers.reporting.definition.body import MAX_CHARACTERS, TOO_LONG
from consumers.reporting.definition.report import Report, read_report
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError
from schemas.refusals import unknown

SAMPLE_REPORTS = Path(__file__).parent


class Reports(NamedTuple):
    """Valid reports by name, and what is wrong with the others by file."""

    right: dict[str, Report]
    wrong: dict[Path, str]


def reports_of(home: Path | None) -> Path:
    """Return the folder of a home's reports, or of the samples."""
    return SAMPLE_REPORTS if home is None else home / "reports"


def read_reports(home: Path | None, catalog: Catalog) -> Reports:
    """Read all report files.

    A home without reports/ has none. A file that is wrong does not stop the others.
    """
    reports = Reports({}, {})
    for path in sorted(reports_of(home).glob("*.sql")):
        try:
            report = read_report(path.stem, _text_of(path), catalog)
            if report.name in reports.right:
                raise ConfigurationError(f"table: another file makes the table {report.name}")
        except ConfigurationError as error:
            reports.wrong[path] = str(error)
        except Exception as error:  # noqa: BLE001 - a bug in Headwater or the parser; the other files go on
            reports.wrong[path] = (
                f"this SELECT can't be read, which is a bug in Headwater ({type(error).__name__}); "
                "the other reports are not affected. Please report it, or rewrite the SELECT"
            )
        else:
            reports.right[report.name] = report
    return reports


def _text_of(path: Path) -> str:
    """Return the text of a file, with line feeds only. Raises ConfigurationError."""
    try:
        if path.exists() and not path.is_file():  # reading a pipe would never end
            raise ConfigurationError("this is not a file")
        if path.stat().st_size > 4 * MAX_CHARACTERS:  # UTF-8 has at most four bytes a character
            raise ConfigurationError(f"the file has {path.stat().st_size:,} bytes: {TOO_LONG}")
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the file can't be read: {error.strerror}") from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigurationError(
            "the file is UTF-16: save it as UTF-8 (in Management Studio: Save As, Save with Encoding)"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"line {line}: not UTF-8, the byte 0x{raw[error.start]:02X}: save the file as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def problems(reports: Reports) -> Iterator[str]:
    """Yield what is wrong with each file as a sentence."""
    for path, problem in reports.wrong.items():
        yield f"{path}: {problem}"


def chosen(reports: Reports, names: Iterable[str]) -> list[Report]:
    """Return the reports with these names, or all where no name is given. Raises ConfigurationError."""
    for name in (requested := list(names)):
        for path, problem in reports.wrong.items():
            if path.stem == name:
                raise ConfigurationError(f"{path}: {problem}")
        if name not in reports.right:
            raise unknown("report", name, reports.right)
    return [reports.right[name] for name in requested] or list(reports.right.values())
