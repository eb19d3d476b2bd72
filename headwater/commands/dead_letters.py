"""`headwater dead-letters`: list, show, redrive and discard dead letters."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from headwater.exit_codes import DONE, FINDINGS
from headwater.installation import Installation, load
from headwater.output import counted, emit, emit_record, instant, show, show_json, tell
from headwater.parsing import (
    Commands,
    add_command,
    add_json,
    add_reason,
    add_warehouse,
    count,
    moment,
)
from schemas.errors import ConfigurationError, PoisonEventError
from schemas.event import decode_event
from schemas.letters.outcomes import STATES, WAITING, LetterState, LetterStatus
from schemas.log.frames import check_frame
from schemas.sources.kinds import KINDS

if TYPE_CHECKING:
    from schemas.letters.redriving import LetterFilter, LetterName, ListedLetter, RedriveCounts
    from schemas.letters.s3_letters import S3Letters

_COLUMNS = ("id", "stage", "entity", "source", "position", "cause", "reason")
_LISTED_COLUMNS = (*_COLUMNS, "state", "outcome", "moment")
_WAITING, _ALL = "waiting", "all"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def add_parser(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "dead-letters",
        "list, show, redrive or discard what could not be used",
        example="headwater dead-letters list",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_list(actions)
    _add_show(actions)
    _add_redrive(actions)
    _add_discard(actions)


def _add_list(actions: Commands[argparse.ArgumentParser]) -> None:
    listing = add_command(
        actions,
        "list",
        "list dead letters with their reasons",
        example="headwater dead-letters list --entity school --since 2026-01-31T00:00:00Z",
        run=_list,
        description="Lists the letters that wait for a person, unless --state selects others.",
    )
    _add_filters(listing)
    listing.add_argument(
        "--state",
        choices=(_WAITING, *STATES, _ALL),
        default=_WAITING,
        help="the state of the letters; by default waiting (open or failed-again)",
    )
    listing.add_argument(
        "--limit", type=count, default=1_000, metavar="N", help="at most N letters (1,000); 0: all"
    )
    add_json(listing)


def _add_show(actions: Commands[argparse.ArgumentParser]) -> None:
    showing = add_command(
        actions,
        "show",
        "show one dead letter with its payload",
        example="headwater dead-letters show 3f2a91c0",
        run=_show,
    )
    showing.add_argument("id", metavar="ID", type=_id, help="its id, or the beginning of it")
    _add_stage(showing)
    add_json(showing)


def _add_redrive(actions: Commands[argparse.ArgumentParser]) -> None:
    redriving = add_command(
        actions,
        "redrive",
        "process dead letters once more in the normal way",
        example="headwater dead-letters redrive --entity school --dry-run",
        run=_redrive,
        description=(
            "Redrives the letters with these ids, or all that wait for a person and match the filters. A "
            "letter that fails again keeps its new reason, and the exit code is 3. Safe to repeat, also by "
            "two people at once."
        ),
    )
    redriving.add_argument("ids", metavar="ID", nargs="*", type=_id, help="an id, or the beginning of it")
    _add_filters(redriving)
    redriving.add_argument(
        "--dry-run", action="store_true", help="print how many letters would be redriven, and change nothing"
    )
    add_json(redriving)
    add_warehouse(redriving)


def _add_discard(actions: Commands[argparse.ArgumentParser]) -> None:
    discarding = add_command(
        actions,
        "discard",
        "record why nothing will be done about a dead letter",
        example='headwater dead-letters discard 3f2a91c0 --reason "a test row of the platform"',
        run=_discard,
        description="The letter and its payload are kept as a record, but no longer wait for a person.",
    )
    discarding.add_argument("ids", metavar="ID", nargs="+", type=_id, help="an id, or the beginning of it")
    add_reason(discarding)
    _add_stage(discarding)
    add_warehouse(discarding)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--entity", help="only letters of this entity")
    parser.add_argument("--cause", choices=("data", "schema"), help="only letters with this cause")
    parser.add_argument(
        "--since", type=moment, metavar="TIME", help="only letters whose source changed at TIME or later"
    )
    _add_stage(parser)


def _add_stage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", choices=(*KINDS, "consumer"), help="only letters that this stage refused")


def _id(text: str) -> str:
    """Parse the beginning of an id."""
    # Every id begins with "", so that an empty variable of a script would select the only letter.
    if not text.strip():
        raise argparse.ArgumentTypeError("an id, or the beginning of one, has at least one character")
    return text.strip().lower()


def _list(options: argparse.Namespace) -> int:
    from schemas.letters.redriving import list_letters

    choice = _choice(options, _states(options.state))
    letters = [letter for letter in list_letters(_ledgers(load(options.settings))) if choice.matches(*letter)]
    shown = letters[: options.limit or None]
    if shown or options.json:
        emit([_members(letter) for letter in shown], _LISTED_COLUMNS, options.json)
    else:
        tell(_no_letters(options))
    if len(shown) < len(letters):
        tell(f"the first {len(shown):,} of {counted(len(letters), 'letter')}; --limit 0 shows all")
    return DONE


def _no_letters(options: argparse.Namespace) -> str:
    """Return the text for an empty list."""
    # It mentions the filters: with a misspelt entity it must not look as if there were no letters at all.
    filters = options.entity, options.cause, options.since, options.stage
    matching = " that fit the filters" if any(filters) else ""
    return f"no dead letters{matching}" + ("" if options.state == _ALL else f" are {options.state}")


def _members(listed: ListedLetter) -> dict[str, Any]:
    return {**_described(listed.status), "moment": instant(listed.moment)}


def _described(status: LetterStatus) -> dict[str, Any]:
    letter = {column: getattr(status.letter, column) for column in _COLUMNS}
    return {**letter, "state": status.state, "outcome": "; ".join(status.reasons) or None}


def _show(options: argparse.Namespace) -> int:
    from schemas.letters.redriving import LetterFilter, find_letters

    everything = LetterFilter(frozenset(STATES), options.stage)
    [status] = find_letters(_ledgers(load(options.settings)), [options.id], everything)
    emit_record({**_described(status), **_payload(status.letter.payload)}, options.json)
    return DONE


def _redrive(options: argparse.Namespace) -> int:
    from schemas.letters.redriving import redrive

    here = load(options.settings)
    stores = _ledgers(here)
    choice = _named(stores, options) if options.ids else _choice(options, WAITING)
    if options.dry_run:
        return _report_plan(stores, choice, options.json)
    with here.warehouse() as warehouse:
        from headwater.redrivers import redrivers

        done = redrive(stores, redrivers(here, here.aws(), warehouse), choice, _report_progress)
    _refresh(here, stores)  # the table of counts is otherwise refreshed by `status` only
    return _report_end(done, options.json)


def _named(stores: Sequence[S3Letters], options: argparse.Namespace) -> LetterFilter:
    """Select the letters with the given ids, except those that were redriven already."""
    # A discarded letter that is named explicitly is wanted after all.
    # Searched in all states first, so that an id that was redriven already is reported, not "not found".
    states = _names(stores, options.ids, _choice(options, frozenset(STATES)))
    for name in (name for name, state in states.items() if state == "redriven"):
        tell(f"{name[1]} is redriven already")
    return _choice(options, frozenset(STATES) - {"redriven"}, frozenset(states))


def _names(
    stores: Sequence[S3Letters], ids: Sequence[str], choice: LetterFilter
) -> dict[LetterName, LetterState]:
    from schemas.letters.redriving import find_letters

    return {status.letter.name: status.state for status in find_letters(stores, ids, choice)}


def _report_plan(stores: Sequence[S3Letters], choice: LetterFilter, as_json: bool) -> int:
    kinds, left = _plan(stores, choice)
    columns = ("stage", "entity", "cause", "letters")
    rows = [dict(zip(columns, (*kind, number), strict=True)) for kind, number in sorted(kinds.items())]
    if rows or as_json:
        emit(rows, columns, as_json)
    tell(f"dry run: {counted(sum(kinds.values()), 'letter')} would be redriven, and nothing was")
    _report_left(left)
    return DONE


def _plan(stores: Sequence[S3Letters], choice: LetterFilter) -> tuple[Counter[tuple[str, str, str]], int]:
    """Count the letters that can be redriven by stage, entity and cause, and those that cannot."""
    from headwater.redrivers import has_redrive
    from schemas.letters.redriving import iter_letters

    kinds, left = Counter[tuple[str, str, str]](), 0
    for (letter, *_), _ in (listed for listed in iter_letters(stores) if choice.matches(*listed)):
        # A CSV file that was read, for one, has to be corrected and dropped again.
        if has_redrive(letter):
            kinds[letter.stage, letter.entity or "", letter.cause] += 1
        else:
            left += 1
    return kinds, left


def _report_progress(done: RedriveCounts, seconds: float) -> None:
    rate = f"{done.letters / seconds:,.0f}/s" if seconds else ""
    tell(f"{counted(done.letters, 'letter')}, {done.failed_again:,} of them failed again, {rate}")


def _report_left(letters: int) -> None:
    from headwater.redrivers import instead_of_redrive

    if letters:
        tell(f"{counted(letters, 'letter')} of {instead_of_redrive()}")


def _report_end(done: RedriveCounts, as_json: bool) -> int:
    members = {
        "redriven": done.redriven,
        "failed_again": done.failed_again,
        "not_redrivable": done.not_redrivable,
    }
    if as_json:
        show_json(members)
    else:
        show(f"{counted(done.redriven, 'letter')} redriven, {done.failed_again:,} failed again")
    if done.failed_again:
        tell("see `headwater dead-letters list --state failed-again`")
    _report_left(done.not_redrivable)
    return FINDINGS if done.failed_again or done.not_redrivable else DONE


def _discard(options: argparse.Namespace) -> int:
    from schemas.letters.redriving import LetterFilter, discard_letters

    here = load(options.settings)
    stores = _ledgers(here)
    states = _names(stores, options.ids, LetterFilter(frozenset(STATES), options.stage))
    if done := sorted(name[1] for name, state in states.items() if state == "redriven"):
        raise ConfigurationError(f"{', '.join(done)}: redriven already, there is nothing to discard")
    discard_letters(stores, frozenset(states), options.reason)
    _refresh(here, stores)
    show(f"{counted(len(states), 'letter')} discarded")
    return DONE


def _refresh(here: Installation, stores: Sequence[S3Letters]) -> None:
    from headwater.views.letter_summary import counts_of, refresh
    from schemas.letters.redriving import iter_letters

    refresh(here, counts_of(iter_letters(stores)))


def _ledgers(here: Installation) -> list[S3Letters]:
    from headwater.views.letter_ledgers import ledgers

    return ledgers(here.aws(), here.settings)


def _states(name: str) -> frozenset[LetterState]:
    if name == _WAITING:
        return WAITING
    return frozenset(state for state in STATES if name in (state, _ALL))


def _choice(
    options: argparse.Namespace, states: frozenset[LetterState], names: frozenset[LetterName] | None = None
) -> LetterFilter:
    from schemas.letters.redriving import LetterFilter

    # Exact integer arithmetic: timestamp() is a float, and would round to another microsecond.
    since = options.since and (options.since - _EPOCH) // timedelta(microseconds=1)
    return LetterFilter(
        states=states,
        stage=options.stage,
        entity=options.entity,
        cause=options.cause,
        since=since,
        names=names,
    )


def _payload(payload: bytes) -> dict[str, Any]:
    """Return the payload in the most readable form: the fields of an event, text, or else base64."""
    # The consumer's letters hold frames, those of the producers what the source sent.
    try:
        if check_frame(payload) is None:
            return {"event": decode_event(payload)._asdict()}
        return {"text": payload.decode()}
    except (PoisonEventError, UnicodeDecodeError):
        return {"payload": payload}
