"""The report files of an installation: <home>/reports/*.sql, or the samples beside this module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from consumers.reporting.report import Report, read_report
from schemas.entity import Catalog
from schemas.errors import ConfigurationError
from schemas.refusals import unknown

SAMPLE_REPORTS = Path(__file__).parent


class Reports(NamedTuple):
    """Those that can be kept right, by name, and what is wrong with the others, by file."""

    right: dict[str, Report]
    wrong: dict[Path, str]


def reports_of(home: Path | None) -> Path:
    """The folder of a home's reports, or of the samples."""
    return SAMPLE_REPORTS if home is None else home / "reports"


def read_reports(home: Path | None, catalog: Catalog) -> Reports:
    """All report files. A home without reports/ has none; one file that is wrong does not stop the others."""
    found = Reports({}, {})
    for path in sorted(reports_of(home).glob("*.sql")):
        try:
            report = read_report(path.stem, path.read_text(encoding="utf-8-sig"), catalog)
            if report.name in found.right:
                raise ConfigurationError(f"table: another file makes the table {report.name}")
        except (ConfigurationError, UnicodeDecodeError) as error:
            found.wrong[path] = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        else:
            found.right[report.name] = report
    return found


def problems(reports: Reports) -> Iterator[str]:
    """Each as a sentence."""
    for path, problem in reports.wrong.items():
        yield f"{path}: {problem}"


def chosen(reports: Reports, names: Iterable[str]) -> list[Report]:
    """Those with these names, all where none is named. Raises ConfigurationError."""
    for name in (wanted := list(names)):
        for path, problem in reports.wrong.items():
            if path.stem == name:
                raise ConfigurationError(f"{path}: {problem}")
        if name not in reports.right:
            raise unknown("report", name, reports.right)
    return [reports.right[name] for name in wanted] or list(reports.right.values())
