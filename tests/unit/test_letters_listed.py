"""Dead letters named, listed and counted, whatever objects they lie in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
from consumers_world import CATALOG, ITEM, event, item
from letters_world import frame, ledger_of, letter

from consumers.consume import Consumer
from consumers.warehouse.port import LetterCount
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse
from headwater.output import instant
from headwater.views.letter_summary import counts_of, waiting
from schemas.errors import ConfigurationError
from schemas.event import MAX_OCCURRED_AT, encode_event
from schemas.letters.letter import DeadLetter
from schemas.letters.outcomes import STATES, InMemoryLedger, LetterBatch, LetterOutcome, Redriver
from schemas.letters.redriving import (
    LetterFilter,
    ListedLetter,
    discard_letters,
    find_letters,
    iter_letters,
    list_letters,
)

pytest_plugins = ("sqlite_warehouse",)


def test_an_id_names_one_letter_or_it_is_said_how_to_name_it(redrivers: dict[str, Redriver]) -> None:
    ledger, everything = ledger_of([b"1", b"2"]), LetterFilter(frozenset(STATES))
    one, two = letter(b"1"), letter(b"2")
    assert find_letters([ledger], [one.id], everything)[0].letter == one
    with pytest.raises(ConfigurationError, match=r"2 dead letters begin with ''.*give more of the id"):
        find_letters([ledger], [""], everything)
    with pytest.raises(ConfigurationError, match=r"0 dead letters begin with 'zz': see .*list --state all`$"):
        find_letters([ledger], ["zz"], everything)
    discard_letters([ledger], frozenset({two.name}), "no")
    assert find_letters([ledger], [""], everything)[0].letter == one  # the one that waits


def test_many_letters_are_named_in_one_reading() -> None:
    """A script discards hundreds of them at once."""
    ledger, readings = ledger_of([b"1", b"2"], [b"3"]), list[int]()

    class Counting(InMemoryLedger):
        def batches(self) -> Iterator[LetterBatch]:
            readings.append(1)
            return ledger.batches()

    ids = [letter(payload).id for payload in (b"3", b"1")]
    found = find_letters([Counting()], [ids[0], ids[1][:12]], LetterFilter())
    assert [each.letter.payload for each in found] == [b"3", b"1"]
    assert readings == [1]
    with pytest.raises(ConfigurationError, match="0 dead letters begin with 'zz'"):
        find_letters([ledger], [ids[0], "zz"], LetterFilter())


def test_one_id_at_two_stages_is_told_apart_by_the_stage() -> None:
    """A letter of a producer that was redriven, and died once more at the consumer."""
    ledger = ledger_of([b"1"])
    ledger.put([DeadLetter(letter(b"1").id, "dynamodb", None, None, None, "?", "data", b"{}", None)])
    with pytest.raises(ConfigurationError, match="its --stage"):
        find_letters([ledger], [letter(b"1").id], LetterFilter())
    assert (
        find_letters([ledger], [letter(b"1").id], LetterFilter(stage="dynamodb"))[0].letter.payload == b"{}"
    )


@pytest.mark.parametrize("every", [list_letters, iter_letters])
def test_inv4_the_summary_counts_each_letter_once(
    every: Callable[[Sequence[InMemoryLedger]], Iterable[ListedLetter]],
) -> None:
    ledger = ledger_of([frame("a", 1), frame("b", 5)], [frame("b", 5), b"no frame"])
    discard_letters([ledger], frozenset({letter(frame("a", 1)).name}), "no")
    first, last = (letter(frame(key, n)).occurred_at or 0 for key, n in (("a", 1), ("b", 5)))
    counts = counts_of(every([ledger]))
    assert counts == [
        LetterCount("", "consumer", "data", "open", 1, 0, 0),
        LetterCount("item", "consumer", "data", "discarded", 1, first, first),
        LetterCount("item", "consumer", "data", "open", 1, last, last),
    ]
    assert waiting(counts) == 2


@pytest.mark.parametrize("occurred_at", [2**62, -(2**62), MAX_OCCURRED_AT + 1])
def test_a_letter_of_a_moment_that_no_date_can_be_has_that_of_its_object(
    warehouse: SqliteWarehouse, occurred_at: int
) -> None:
    """Such an event is refused for it, and must not make its letter impossible to list and to count."""
    ledger = InMemoryLedger()
    told = encode_event(event(ITEM, item("a"), 1, occurred_at=occurred_at))
    assert Consumer(CATALOG, warehouse, ledger).consume([told]).dead == 1
    [each] = list_letters([ledger])
    assert (each.moment, instant(each.moment)) == (0, "1970-01-01T00:00:00Z")
    warehouse.save_letter_counts(counts_of(iter_letters([ledger])))


@pytest.mark.parametrize("entity", ["x" * 101, "\u0448\u043a\u043e\u043b\u0430", "a\x00b", "An entity", ""])
def test_a_letter_of_what_can_be_no_entity_is_counted_without_one(entity: str) -> None:
    """An event may say anything, and the summary in the warehouse must take it."""
    ledger = ledger_of([encode_event(event(ITEM, item("a"), 1, entity=entity))])
    (count,) = counts_of(iter_letters([ledger]))
    assert (count.entity, count.letters) == ("", 1)


def test_each_letter_has_its_state_over_all_objects_before_the_last_is_read() -> None:
    """A letter is given while one object is read, whatever stands beside the objects after it."""
    ledger, read = InMemoryLedger(), list[str]()
    for payloads in ([b"1"], [b"1", b"2"], [b"3"]):
        ledger.put([letter(payload) for payload in payloads])
    keys = sorted(ledger.objects)
    for key in keys:
        ledger.record(key, [LetterOutcome("consumer", letter(b"1").id, "discarded", "no")])

    class Watched(InMemoryLedger):
        def batches(self) -> Iterator[LetterBatch]:
            for batch in ledger.batches():
                read.append(batch.key)
                yield batch

        def outcomes(self) -> Iterator[LetterOutcome]:
            return ledger.outcomes()

    first = next(iter_letters([Watched()]))
    assert read == keys[:1]
    states_of = {each.status.letter.payload: each.status.state for each in iter_letters([Watched()])}
    assert states_of == {b"1": "discarded", b"2": "open", b"3": "open"}
    assert first.status.state == states_of[first.status.letter.payload]
