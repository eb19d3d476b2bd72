"""`headwater replay revisions | discard`: list and drop the physical tables of an entity."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headwater.exit_codes import DONE
from headwater.installation import load
from headwater.output import emit, show, show_json
from headwater.parsing import Commands, add_command, add_json, add_warehouse, count, moment
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from consumers.warehouse.port import Revision
    from replay.revisions import KeptRevision

_STATES = {"building": "half-made", "as_of": "as of"}
# The name of a member in JSON is fixed; only the table calls the entity's name "table".
_COLUMNS = {"entity": "table"} | {name: name for name in ("revision", "state", "made at", "as of", "expires")}


def add_parsers(actions: Commands[argparse.ArgumentParser]) -> None:
    """Add both commands."""
    listing = add_command(
        actions,
        "revisions",
        "list the tables that rebuilds and as-of runs have created",
        example="headwater replay revisions school",
        run=_list,
        description=(
            "Lists the live revision, the retired one that a rollback switches to, half-made ones that a "
            "rebuild would resume, and as-of tables. Each is a whole table. Without NAME: of all entities."
        ),
    )
    listing.add_argument("name", nargs="?", metavar="NAME", help="an entity, such as school")
    add_json(listing)
    add_warehouse(listing)
    _add_discard(actions)


def _add_discard(actions: Commands[argparse.ArgumentParser]) -> None:
    parser = add_command(
        actions,
        "discard",
        "drop revisions that are not needed",
        example="headwater replay discard school --as-of 2026-01-31T12:00:00Z",
        run=_discard,
        description=(
            "Never drops the live one. Their rows can be rebuilt from the log. A rebuild that is writing "
            "into a discarded revision ends with an error. To expire as-of tables run it with --expired "
            "once a day."
        ),
    )
    parser.add_argument("name", metavar="NAME", help="an entity, such as school")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--half-made", action="store_true", help="revisions that a rebuild did not finish")
    which.add_argument("--expired", action="store_true", help="as-of tables whose --keep-days are over")
    which.add_argument("--as-of", type=moment, metavar="TIME", help="the as-of table of this moment")
    which.add_argument("--revision", type=count, metavar="N", help="this revision, whatever its state")
    add_json(parser)
    add_warehouse(parser)


def _list(options: argparse.Namespace) -> int:
    from replay.revisions import kept_revisions

    here = load(options.settings)
    names = [here.catalog.entity(options.name).name] if options.name else list(here.catalog.entities)
    with here.warehouse() as warehouse:
        rows = [_row(name, kept) for name in names for kept in kept_revisions(warehouse, name)]
    emit(rows, _COLUMNS, options.json)
    return DONE


def _row(name: str, kept: KeptRevision) -> dict[str, object]:
    revision, expires = kept
    state = _STATES.get(revision.state, revision.state)
    return {
        "entity": name,
        "revision": revision.number,
        "state": state,
        "made at": revision.created_at,
        "as of": revision.as_of,
        "expires": expires and expires.isoformat(timespec="seconds"),
    }


def _discard(options: argparse.Namespace) -> int:
    from replay.revisions import kept_revisions

    here = load(options.settings)
    name = here.catalog.entity(options.name).name
    with here.warehouse() as warehouse:
        chosen = _chosen(options, kept_revisions(warehouse, name))
        for revision in chosen:
            warehouse.drop_revision(name, revision.number)
    if options.json:
        show_json({"entity": name, "dropped": [revision.number for revision in chosen]})
    elif chosen:
        for revision in chosen:
            state = _STATES.get(revision.state, revision.state)
            show(f"dropped revision {revision.number} of {name}, {state}")
    else:
        show(f"{name} has no such revision: nothing to discard")
    return DONE


def _chosen(options: argparse.Namespace, kept: list[KeptRevision]) -> list[Revision]:
    """Return the revisions that the options select. Raises ConfigurationError if a named one is missing."""
    from replay.as_of import view_suffix
    from replay.revisions import expired

    revisions = [revision for revision, _ in kept]
    # An empty selection by --expired or --half-made is no error, so that both can be run regularly.
    if options.expired:
        return expired(kept, datetime.now(UTC))
    if options.half_made:
        return [revision for revision in revisions if revision.state == "building"]
    name = options.as_of and view_suffix(options.as_of)
    if name:
        chosen = [revision for revision in revisions if revision.as_of == name]
    else:
        chosen = [revision for revision in revisions if revision.number == options.revision]
    if not chosen:
        raise ConfigurationError(
            f"entity {options.name}: no such revision; see `headwater replay revisions {options.name}`"
        )
    return chosen
