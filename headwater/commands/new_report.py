"""`headwater reports new`: a report file proposed for some entities."""

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
    """Adds the command."""
    parser = add_command(
        actions,
        "new",
        "propose a report file over some entities",
        "headwater reports new paid_by_school --from subscription school",
        run,
        "Writes reports/NAME.sql under your home: the key, and a SELECT of all columns of the entities, "
        "joined where a column of a key is in both. It is right as it is; make of it what you need. Nothing "
        "that is there is overwritten.",
    )
    parser.add_argument("name", metavar="NAME", help="what the table is called, such as paid_by_school")
    parser.add_argument(
        "--from", dest="entities", metavar="ENTITY", nargs="+", help="the first stands in FROM; else any one"
    )
    parser.add_argument(
        "--out", dest="home", type=Path, metavar="HOME", help="where reports/ is, or is made (HEADWATER_HOME)"
    )


def run(options: argparse.Namespace) -> int:
    """Exit code 0."""
    from consumers.reporting.definition.report import read_report
    from headwater.scaffold.report_proposal import propose

    name = snake_case("NAME", options.name)
    home = settings_of(options).home
    file = _new_file(home, name)
    catalog = load_catalog(home)
    names = options.entities or [next(each.name for each in catalog.entities.values() if each.key)]
    text = propose(names, catalog)
    report = read_report(name, text, catalog)
    _write(file, text)
    tell(f"made {file}: one row for each {', '.join(report.key)}")
    setting = f"HEADWATER_HOME={shlex.quote(str(options.home))} " if options.home else ""
    tell(f"look at it, then `{setting}headwater reports check {name}`")
    return DONE


def _new_file(home: Path | None, name: str) -> Path:
    if home is None:
        raise ConfigurationError(
            "--out: say the folder that holds your entities/ and reports/, or set HEADWATER_HOME: the "
            "samples are part of Headwater"
        )
    file = home / "reports" / f"{name}.sql"
    if file.exists():
        raise ConfigurationError(
            f"{file}: is there already and is never overwritten: change it, or say another NAME"
        )
    return file


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as made:
            made.write(text)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error
