"""Dead letters counted for report people, and the table of it in the warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from headwater.installation import Installation
from headwater.output import tell
from schemas.errors import ConfigurationError
from schemas.letters.outcomes import WAITING
from schemas.letters.redriving import ListedLetter
from schemas.refusals import snake_case

if TYPE_CHECKING:
    from consumers.warehouse.port import LetterCount


def counts_of(letters: Iterable[ListedLetter]) -> list[LetterCount]:
    """By entity, stage, cause and state, in this order. What can be no entity's name counts under none."""
    from consumers.warehouse.port import LetterCount

    counts: dict[tuple[str, str, str, str], LetterCount] = {}
    for (letter, state, _), moment in letters:
        kind = _entity(letter.entity), letter.stage, letter.cause, state
        held = counts.get(kind) or LetterCount(*kind, 0, moment, moment)
        counts[kind] = LetterCount(
            *kind, held.letters + 1, min(held.oldest, moment), max(held.newest, moment)
        )
    return [counts[kind] for kind in sorted(counts)]


def _entity(said: str | None) -> str:
    """An event that was refused may say anything, and a column of SQL Server takes 128 plain characters."""
    try:
        return snake_case("entity", said) if said else ""
    except ConfigurationError:
        return ""


def refresh(here: Installation, counts: Sequence[LetterCount]) -> None:
    """Replaces the table. Where there is no warehouse to write to it says so: the letters are in S3 all the
    same. Raises TransientError."""
    try:
        with here.warehouse() as warehouse:
            warehouse.save_letter_counts(counts)
    except ConfigurationError as error:
        tell(f"the summary of dead letters in the warehouse was not refreshed: {error}")


def waiting(counts: Iterable[LetterCount]) -> int:
    """How many letters a person has still to see to."""
    return sum(count.letters for count in counts if count.state in WAITING)
