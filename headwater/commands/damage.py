"""`headwater replay damage`: list and acknowledge bytes of the log that are not valid frames."""

from __future__ import annotations

import argparse
import getpass
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headwater.exit_codes import DAMAGED_LOG, DONE
from headwater.installation import load
from headwater.output import counted, emit, show
from headwater.parsing import Commands, add_command, add_json, add_reason
from schemas.settings import Settings

if TYPE_CHECKING:
    from replay.log.acknowledged import KnownDamage
    from replay.log.reader import S3Log

_COLUMNS = {
    "object": "object",
    "range": "bytes",
    "damage": "what is wrong",
    "acknowledged_by": "acknowledged by",
    "acknowledged_at": "at",
    "reason": "reason",
}


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "damage",
        "list the bytes of the log that are not events, and acknowledge them",
        example="headwater replay damage list",
        description=(
            "Replay stops at bytes of the log that it cannot read, whatever the entity: an event may be "
            "lost there. Put back the object if it was damaged. Where the bytes never were an event, such "
            "as a colleague's test record, acknowledge them once; replay then leaves them out."
        ),
    )
    actions = parser.add_subparsers(dest="damage", metavar="ACTION", required=True)
    _add_list(actions)
    _add_acknowledge(actions)


def _add_list(actions: Commands[argparse.ArgumentParser]) -> None:
    parser = add_command(
        actions,
        "list",
        "read the whole log and list the damaged ranges",
        example="headwater replay damage list",
        run=_list,
        description=(
            "Reads the whole log. Lists the object, the byte range after decompression, and the reason. "
            "Exit code 4 when some damage is not acknowledged."
        ),
    )
    add_json(parser)


def _add_acknowledge(actions: Commands[argparse.ArgumentParser]) -> None:
    parser = add_command(
        actions,
        "acknowledge",
        "record that damaged bytes of an object are not events",
        example="headwater replay damage acknowledge log/2026/03/01/12/events-1 --reason 'a test record'",
        run=_acknowledge,
        description=(
            "Applies to the present content of the object: if it changes, it needs a new acknowledgement. "
            "Kept in the log's bucket under log/_acknowledged/."
        ),
    )
    parser.add_argument("key", metavar="OBJECT", help="key of the object, as `damage list` shows it")
    parser.add_argument("--range", type=_span, metavar="START-END", help="only this byte range")
    add_reason(parser, "what these bytes are")
    parser.add_argument("--by", metavar="NAME", help="who acknowledges (the name of this machine's user)")
    add_json(parser)


def _span(text: str) -> tuple[int, int]:
    if not (match := re.fullmatch(r"(\d+)-(\d+)", text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a byte range, such as 376-405")
    return int(match[1]), int(match[2])


def _list(options: argparse.Namespace) -> int:
    from replay.log.acknowledged import damages_of

    log = _log(options.settings)
    ranges = list(damages_of(log, log.objects()))
    waiting = sum(damaged.acknowledged is None for damaged in ranges)
    if ranges or options.json:
        emit(_rows(ranges), _COLUMNS, options.json)
    if not options.json:
        show(f"{counted(len(ranges), 'damaged range')} in the log, {waiting:,} of them not acknowledged")
    return DAMAGED_LOG if waiting else DONE


def _acknowledge(options: argparse.Namespace) -> int:
    from replay.log.acknowledged import acknowledge

    # Stored in the log beside the acknowledgement, for auditors.
    now = datetime.now(UTC).isoformat(timespec="seconds")
    by = options.by or getpass.getuser()
    ranges = acknowledge(
        _log(options.settings), options.key, options.range, reason=options.reason, by=by, at=now
    )
    if ranges or options.json:
        emit(_rows(ranges), _COLUMNS, options.json)
    if not options.json:
        number = counted(len(ranges), "damaged range")
        show(f"{number} acknowledged: replay leaves these bytes out" if ranges else "acknowledged already")
    return DONE


def _log(settings: Settings) -> S3Log:
    from replay.log.reader import S3Log

    here = load(settings)
    return S3Log(here.aws().s3, here.settings.log_bucket)


def _rows(ranges: Iterable[KnownDamage]) -> list[dict[str, str | None]]:
    # JSON has the ETag as well, which is not in the table: it identifies the content that was acknowledged.
    return [
        {
            "object": item.key,
            "range": f"{damage.start}-{damage.end}",
            "damage": damage.reason,
            "acknowledged_by": acknowledgement.by if acknowledgement else None,
            "acknowledged_at": acknowledgement.at if acknowledgement else None,
            "reason": acknowledgement.reason if acknowledgement else None,
            "etag": item.etag,
        }
        for item, damage, acknowledgement in ranges
    ]
