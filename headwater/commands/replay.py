"""`headwater replay`: tables from the log."""

from __future__ import annotations

import argparse

from headwater.commands.parsing import Commands, add_command


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    add_command(commands, "replay", "make a table again from the log", "headwater replay rebuild school")
