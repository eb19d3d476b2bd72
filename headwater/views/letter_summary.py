"""Counts of dead letters, and their table in the warehouse."""

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
    """Return the counts, sorted by entity, stage, cause and state.

    A letter with an invalid entity name is counted under the entity "".
    """
    from consumers.warehouse.port import LetterCount

    counts: dict[tuple[str, str, str, str], LetterCount] = {}
    for (letter, state, _), moment in letters:
        kind = _entity(letter.entity), letter.stage, letter.cause, state
        count = counts.get(kind) or LetterCount(*kind, letters=0, oldest=moment, newest=moment)
        counts[kind] = count._replace(
            letters=count.letters + 1,
            oldest=min(count.oldest, moment),
            newest=max(count.newest, moment),
        )
    return [counts[kind] for kind in sorted(counts)]


def _entity(name: str | None) -> str:
    """Return the name if it is valid, else ""."""
    # A refused event may contain any text here, and the column in SQL Server takes 128 plain characters.
    try:
        return snake_case("entity", name) if name else ""
    except ConfigurationError:
        return ""


def refresh(here: Installation, counts: Sequence[LetterCount]) -> None:
    """Replace the table of counts. Without a usable warehouse only a message is printed, since the letters
    themselves are in S3. Raises TransientError."""
    try:
        with here.warehouse() as warehouse:
            warehouse.save_letter_counts(counts)
    except ConfigurationError as error:
        tell(f"the summary of dead letters in the warehouse was not refreshed: {error}")


def waiting(counts: Iterable[LetterCount]) -> int:
    """Return the number of letters that wait for a person."""
    return sum(count.letters for count in counts if count.state in WAITING)
