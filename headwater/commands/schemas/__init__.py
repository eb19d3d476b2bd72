"""`headwater schemas`: versions of schemas, and the checks that a new version has to pass."""

from __future__ import annotations

import argparse

from headwater.commands.schemas import check, diff, drift, history, new, publish, rules, show
from headwater.parsing import Commands, add_command

_ACTIONS = (check, new, show, diff, history, drift, publish, rules)
"""Modules with a function `add_parser`, in the order of the help."""


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "schemas",
        "create, show, check and publish versions of schemas",
        example="headwater schemas check",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action in _ACTIONS:
        action.add_parser(actions)
