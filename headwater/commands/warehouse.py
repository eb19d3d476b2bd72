"""`headwater warehouse`: prepare a database for Headwater, and check what it lacks."""

from __future__ import annotations

import argparse

from headwater.exit_codes import DONE, FINDINGS
from headwater.installation import load
from headwater.output import counted, show, tell
from headwater.parsing import Commands, add_command, add_warehouse


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "warehouse",
        "prepare a database, or check what it lacks",
        example="headwater warehouse check",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for add in (_add_init, _add_check, _add_adopt_log):
        add_warehouse(add(actions))


def _add_init(actions: Commands[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    return add_command(
        actions,
        "init",
        "create what is missing in the warehouse",
        example="headwater warehouse init",
        run=_init,
        description=(
            "Creates the tables and views of the entities. In SQL Server also schemas, the setting that "
            "keeps readers from waiting for writers (READ_COMMITTED_SNAPSHOT), and the roles "
            "headwater_writer, headwater_refresher and headwater_reader: for these it needs an owner of the "
            "database and, the first time, no other connection to it. Safe to repeat."
        ),
    )


def _add_check(actions: Commands[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    return add_command(
        actions,
        "check",
        "list what the warehouse lacks",
        example="headwater warehouse check",
        run=_check,
        description="Changes nothing. Exit code 3 when something is missing.",
    )


def _add_adopt_log(actions: Commands[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    return add_command(
        actions,
        "adopt-log",
        "record that the tables belong to the log in HEADWATER_LOG_BUCKET",
        example="headwater warehouse adopt-log",
        run=_adopt_log,
        description=(
            "A warehouse records the log that its tables are built from; `up` and `replay` refuse another "
            "one. This records the present log instead: for a log that was restored, or moved to another "
            "bucket."
        ),
    )


def _init(options: argparse.Namespace) -> int:
    with load(options.settings).new_warehouse() as warehouse:  # warehouse() refuses a missing SQLite file
        warehouse.init()
    tell("the warehouse is ready")
    return DONE


def _check(options: argparse.Namespace) -> int:
    with load(options.settings).warehouse() as warehouse:
        missing = warehouse.problems()
    for item in missing:
        show(item)
    if missing:
        tell(f"{counted(len(missing), 'thing')} missing: see `headwater warehouse init`")
    else:
        tell("the warehouse has all that it needs")
    return FINDINGS if missing else DONE


def _adopt_log(options: argparse.Namespace) -> int:
    from headwater.log_identity import adopt_log

    here = load(options.settings)
    with here.warehouse() as warehouse:
        adopt_log(here.aws(), here.settings.log_bucket, warehouse)
    tell(f"the tables are those of the log in s3://{here.settings.log_bucket}")
    return DONE
