"""`headwater dead-letters`: what could not be used, why, and its payload."""

from __future__ import annotations

import argparse
from typing import Any

from headwater.commands.parsing import Commands, add_command, add_json
from headwater.exit_codes import DONE
from headwater.installation import load
from headwater.output import cell, show, show_json, show_table, tell
from schemas.dead_letter import DeadLetter
from schemas.errors import ConfigurationError, PoisonEventError
from schemas.event import decode_event
from schemas.frames import check_frame

_COLUMNS = ("id", "stage", "entity", "source", "position", "cause", "reason")


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = add_command(
        commands, "dead-letters", "list or show what could not be used", "headwater dead-letters list"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = add_command(
        actions, "list", "list every dead letter with its reason", "headwater dead-letters list", _list
    )
    showing = add_command(
        actions,
        "show",
        "show one dead letter with its payload",
        "headwater dead-letters show 3f2a91c0",
        _show,
    )
    showing.add_argument("id", metavar="ID", help="its id, or the beginning of it")
    for each in (listing, showing):
        add_json(each)


def _list(options: argparse.Namespace) -> int:
    letters = _letters()
    rows = [[getattr(letter, column) for column in _COLUMNS] for letter in letters]
    if options.json:
        show_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    elif rows:
        show_table(_COLUMNS, rows)
    else:
        tell("no dead letters")
    return DONE


def _show(options: argparse.Namespace) -> int:
    letter = _named(_letters(), options.id)
    members = {**{column: getattr(letter, column) for column in _COLUMNS}, **_payload(letter.payload)}
    if options.json:
        show_json(members)
    else:
        for name, value in members.items():
            show(f"{name + ':':<12} {cell(value)}")
    return DONE


def _letters() -> list[DeadLetter]:
    from headwater.stored import read_letters

    here = load()
    return read_letters(here.aws(), here.settings)


def _named(letters: list[DeadLetter], beginning: str) -> DeadLetter:
    found = [letter for letter in letters if letter.id.startswith(beginning)]
    if len(found) != 1:
        raise ConfigurationError(
            f"{len(found)} dead letters begin with {beginning!r}: see `headwater dead-letters list`"
        )
    return found[0]


def _payload(payload: bytes) -> dict[str, Any]:
    """The payload in the clearest form that it has: an event's fields, text, else base64."""
    try:
        if check_frame(payload) is None:
            return {"event": decode_event(payload)._asdict()}
        return {"text": payload.decode()}
    except (PoisonEventError, UnicodeDecodeError):
        return {"payload": payload}
