"""`headwater rejects`: list, show and discard rows of files that were rejected."""

from __future__ import annotations

import argparse
from itertools import islice
from typing import TYPE_CHECKING, Any

from headwater.exit_codes import DONE
from headwater.installation import load
from headwater.output import emit, emit_record, show, tell
from headwater.parsing import Commands, add_command, add_json, add_reason, count
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from headwater.views.rejected_rows import RejectedRow

_OPEN, _ALL = "open", "all"
_STATES = (_OPEN, "corrected", "discarded", _ALL)
_COLUMNS = ("id", "rejects", "row", "column", "reason", "state", "outcome")
_EXAMPLE = "20250422T093000Z-0123456789abcdef-000000000007"


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands, "rejects", "list, show or discard rejected rows of files", example="headwater rejects list"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_list(actions)
    _add_show(actions)
    _add_discard(actions)


def _add_list(actions: Commands[argparse.ArgumentParser]) -> None:
    listing = add_command(
        actions,
        "list",
        "list rejected rows with their reasons",
        example="headwater rejects list --feed school",
        run=_list,
        description=(
            "Lists the open rows, unless --state selects others. A row is open until a file under "
            "corrections/ corrects it, or it is discarded. The cells are in the bucket's rejects/, and in "
            "`show`."
        ),
    )
    listing.add_argument("--feed", metavar="F", help="only rows of this feed")
    listing.add_argument(
        "--state", choices=_STATES, default=_OPEN, help="the state of the rows; by default open"
    )
    listing.add_argument("--limit", type=count, default=1_000, metavar="N", help="at most N (1,000); 0: all")
    add_json(listing)


def _add_show(actions: Commands[argparse.ArgumentParser]) -> None:
    showing = add_command(
        actions,
        "show",
        "show one rejected row with its cells",
        example=f"headwater rejects show {_EXAMPLE}",
        run=_show,
    )
    showing.add_argument("id", metavar="ID", help="as `headwater rejects list` shows it")
    add_json(showing)


def _add_discard(actions: Commands[argparse.ArgumentParser]) -> None:
    discarding = add_command(
        actions,
        "discard",
        "record why nothing will be done about rejected rows",
        example=f'headwater rejects discard {_EXAMPLE} --reason "a test row"',
        run=_discard,
        description="The rows are kept in rejects/ as a record, and are no longer open.",
    )
    discarding.add_argument("ids", metavar="ID", nargs="+", help="as `headwater rejects list` shows it")
    add_reason(discarding)


def _list(options: argparse.Namespace) -> int:
    from headwater.views.rejected_rows import PREFIX, rejected

    here = load(options.settings)
    matching = (
        row
        for row in rejected(here.aws(), here.settings)
        if options.state in (_ALL, _state(row))
        and (options.feed is None or row.key.startswith(f"{PREFIX}{options.feed}/"))
    )
    shown = list(islice(matching, options.limit or None))
    if shown or options.json:
        emit([_described(row) for row in shown], _COLUMNS, options.json)
    else:
        tell(f"no rejected rows{'' if options.state == _ALL else f' are {options.state}'}")
    if next(matching, None):  # reads on only as far as the next matching row
        tell(f"the first {len(shown):,}; --limit 0 shows all")
    return DONE


def _state(row: RejectedRow) -> str:
    return row.closed.state if row.closed else _OPEN


def _described(row: RejectedRow) -> dict[str, Any]:
    """Return the row without its cells, which may be private."""
    return {
        "id": row.id,
        "rejects": row.key,
        "row": row.cells.get("row"),
        "column": row.cells.get("column"),
        "reason": row.cells.get("reason"),
        "state": _state(row),
        "outcome": row.closed.reason or None if row.closed else None,
    }


def _show(options: argparse.Namespace) -> int:
    from headwater.views.rejected_rows import rejected

    here = load(options.settings)
    row = next((row for row in rejected(here.aws(), here.settings) if row.id == options.id), None)
    if row is None:
        raise ConfigurationError(f"{options.id} is no rejected row: see `headwater rejects list --state all`")
    # In JSON the cells are nested, since a column of the file may be called "id" or "state".
    cells = {"cells": row.cells} if options.json else row.cells
    emit_record({**_described(row), **cells}, options.json)
    return DONE


def _discard(options: argparse.Namespace) -> int:
    from headwater.views.rejected_rows import discard

    here = load(options.settings)
    discard(here.aws(), here.settings, options.ids, options.reason)
    show(f"discarded {len(set(options.ids)):,}")
    return DONE
