"""`headwater reports new`: propose a report file for some entities."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from headwater.commands.schemas.arguments import settings_of
from headwater.exit_codes import DONE
from headwater.output import tell
from headwater.parsing import Commands, add_command
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError
from schemas.refusals import snake_case


def add_new(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        actions,
        "new",
        "propose a report file over some entities",
        example="headwater reports new paid_by_school --from subscription school",
        run=run,
        description=(
            "Writes reports/NAME.sql under your home: the key, and a SELECT of all columns of the entities, "
            "joined by the key columns that they share. The file is valid as it is; change it as you need. "
            "An existing file is never overwritten."
        ),
    )
    parser.add_argument("name", metavar="NAME", help="the name of the table, such as paid_by_school")
    parser.add_argument(
        "--from",
        dest="entities",
        metavar="ENTITY",
        nargs="+",
        help="the first is in FROM; by default any one",
    )
    parser.add_argument(
        "--out",
        dest="home",
        type=Path,
        metavar="HOME",
        help="the folder of reports/, which is created if missing (HEADWATER_HOME)",
    )


def run(options: argparse.Namespace) -> int:
    """Return exit code 0."""
    from consumers.reporting.definition.report import read_report
    from headwater.scaffold.report_proposal import propose

    name = snake_case("NAME", options.name)
    home = settings_of(options).home
    file = _new_file(home, name)
    catalog = load_catalog(home)
    names = options.entities or [next(entity.name for entity in catalog.entities.values() if entity.key)]
    text = propose(names, catalog)
    report = read_report(name, text, catalog)  # before writing: a proposal that is not valid is a bug
    _write(file, text)
    tell(f"made {file}: one row for each {', '.join(report.key)}")
    setting = f"HEADWATER_HOME={shlex.quote(str(options.home))} " if options.home else ""
    tell(f"look at it, then `{setting}headwater reports check {name}`")
    return DONE


def _new_file(home: Path | None, name: str) -> Path:
    if home is None:
        raise ConfigurationError(
            "--out: name the folder that holds your entities/ and reports/, or set HEADWATER_HOME: the "
            "samples are part of Headwater"
        )
    file = home / "reports" / f"{name}.sql"
    if file.exists():
        raise ConfigurationError(
            f"{file}: is there already and is never overwritten: change it, or choose another NAME"
        )
    return file


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as target:  # "x": another process may have written it
            target.write(text)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error
