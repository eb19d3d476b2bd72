"""Dead letters chosen, redriven and discarded: over ledgers in memory and a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from consumers_world import CATALOG, ITEM, OTHER, A, event, other_schema, seen, sweep
from letters_world import MENDED, frame, ledger_of, letter, poison, states

from consumers.consume import Consumer
from consumers.redrive import ConsumerRedriver
from consumers.warehouse.port import Checkpoint, Counts
from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from producers.aggregator import Aggregate
from schemas.catalog.entity import Catalog
from schemas.errors import PoisonEventError, TransientError
from schemas.event import encode_event
from schemas.letters import redriving
from schemas.letters.letter import DeadLetter
from schemas.letters.outcomes import STATES, InMemoryLedger, LetterBatch, LetterOutcome, Redriver
from schemas.letters.redriving import (
    LetterFilter,
    RedriveCounts,
    discard_letters,
    find_letters,
    list_letters,
    redrive,
)
from schemas.payload.codec import SchemaRegistry

pytest_plugins = ("sqlite_warehouse",)


def test_letters_that_can_be_used_now_are_applied_and_are_redriven(
    warehouse: SqliteWarehouse, redrivers: dict[str, Redriver]
) -> None:
    ledger = ledger_of([frame("a"), frame("b")], [frame("c")])
    done = redrive([ledger], redrivers, LetterFilter())
    assert (done.redriven, done.failed_again, done.not_redrivable) == (3, 0, 0)
    assert [each[0] for each in seen(warehouse)] == ["a", "b", "c"]
    assert set(states(ledger).values()) == {"redriven"}


def test_a_letter_that_fails_again_has_its_new_reason_and_is_no_new_letter(
    warehouse: SqliteWarehouse, redrivers: dict[str, Redriver]
) -> None:
    ledger = ledger_of([frame("a"), poison("b")])
    done = redrive([ledger], redrivers, LetterFilter())
    assert (done.redriven, done.failed_again) == (1, 1)
    assert [each[0] for each in seen(warehouse)] == ["a"]
    _, failed = sorted(list_letters([ledger]), key=lambda each: each.status.state == "failed-again")
    assert failed.status.letter.reason == MENDED.reason
    (reason,) = failed.status.reasons
    assert reason
    assert reason != MENDED.reason
    assert len(list_letters([ledger])) == 2


def test_redriving_twice_changes_nothing(warehouse: SqliteWarehouse, redrivers: dict[str, Redriver]) -> None:
    ledger = ledger_of([frame("a"), poison("b")])
    redrive([ledger], redrivers, LetterFilter())
    objects, rows = dict(ledger.objects), list(warehouse.rows("item", 1))
    again = redrive([ledger], redrivers, LetterFilter())
    assert (again.redriven, again.failed_again) == (0, 1)  # what failed waits, and is tried again
    assert ledger.objects == objects
    assert list(warehouse.rows("item", 1)) == rows


class Stale(InMemoryLedger):
    """A ledger as a second person reads it, who began before the first one wrote anything."""

    def __init__(self, ledger: InMemoryLedger) -> None:
        super().__init__(ledger.objects)
        self._read = list(ledger.batches())

    def batches(self) -> Iterator[LetterBatch]:
        yield from self._read

    def outcomes(self) -> Iterator[LetterOutcome]:
        yield from (outcome for batch in self._read for outcome in batch.outcomes)


def test_what_a_call_that_failed_refused_is_not_held_against_the_next(warehouse: SqliteWarehouse) -> None:
    """The database was away after the letter was refused; by then its schema is mended."""
    given, down = letter(frame("a")), [True]

    class Refusing(Consumer):
        def consume(self, payloads: Iterable[bytes], checkpoints: Sequence[Checkpoint] = ()) -> Counts:
            if down:
                down.clear()
                self._letters.put([given])
                raise TransientError("the database is away")
            return super().consume(payloads, checkpoints)

    redriver = ConsumerRedriver(lambda store: Refusing(CATALOG, warehouse, store))
    with pytest.raises(TransientError):
        redriver.redrive([given])
    assert [each.state for each in redriver.redrive([given])] == ["redriven"]


@pytest.mark.parametrize("stored", [(8, 9), (9, 8)])
def test_a_letter_that_knows_no_moment_has_the_earliest_of_its_objects(stored: tuple[int, int]) -> None:
    ledger = ledger_of([b"1"], [b"1", b"2"])

    class Stored(InMemoryLedger):
        def batches(self) -> Iterator[LetterBatch]:
            for batch, stored_at in zip(ledger.batches(), stored, strict=True):
                yield batch._replace(stored_at=stored_at)

    moments = {each.status.letter.id: each.moment for each in list_letters([Stored()])}
    assert moments[letter(b"1").id] == 8


def test_redriving_by_two_people_at_once_changes_nothing(
    warehouse: SqliteWarehouse, redrivers: dict[str, Redriver]
) -> None:
    ledger = ledger_of([frame("a"), frame("b")], [poison("c")])
    other = Stale(ledger)
    redrive([ledger], redrivers, LetterFilter())
    objects, rows = dict(ledger.objects), list(warehouse.rows("item", 1))
    redrive([other], redrivers, LetterFilter())
    assert ledger.objects == objects
    assert list(warehouse.rows("item", 1)) == rows


def test_a_letter_discarded_while_another_person_redrives_it_is_redriven_whoever_is_first(
    redrivers: dict[str, Redriver],
) -> None:
    for first in ("redrive", "discard"):
        ledger = ledger_of([frame("a")])
        other, names = Stale(ledger), frozenset({letter(frame("a")).name})
        if first == "redrive":
            redrive([ledger], redrivers, LetterFilter())
            discard_letters([other], names, "a test row")
        else:
            discard_letters([ledger], names, "a test row")
            redrive([other], redrivers, LetterFilter())
        assert list(states(ledger).values()) == ["redriven"]


def test_a_discarded_letter_stays_with_its_reason_and_is_left_alone_until_it_is_named(
    warehouse: SqliteWarehouse, redrivers: dict[str, Redriver]
) -> None:
    ledger = ledger_of([frame("a"), frame("b")])
    name = letter(frame("a")).name
    discard_letters([ledger], frozenset({name}), "a test row")
    assert redrive([ledger], redrivers, LetterFilter()).redriven == 1
    [kept] = find_letters([ledger], [name[1]], LetterFilter(frozenset(STATES)))
    assert (kept.state, kept.reasons, kept.letter.payload) == ("discarded", ("a test row",), frame("a"))
    assert [each[0] for each in seen(warehouse)] == ["b"]
    after_all = LetterFilter(frozenset({"discarded"}), names=frozenset({name}))
    assert redrive([ledger], redrivers, after_all).redriven == 1
    assert states(ledger)[name[1]] == "redriven"


def test_a_letter_that_lies_in_two_objects_is_one(redrivers: dict[str, Redriver]) -> None:
    """A batch was read again with another cut."""
    ledger = ledger_of([frame("a"), frame("b")], [frame("b"), frame("c")])
    assert len(list_letters([ledger])) == 3
    done = redrive([ledger], redrivers, LetterFilter())
    assert (done.redriven, done.letters) == (3, 3)
    assert set(states(ledger).values()) == {"redriven"}
    assert redrive([ledger], redrivers, LetterFilter()).letters == 0


def test_a_letter_that_came_again_after_it_was_settled_is_still_settled_in_the_list(
    redrivers: dict[str, Redriver],
) -> None:
    ledger = ledger_of([frame("a")])
    redrive([ledger], redrivers, LetterFilter())
    ledger.put([letter(frame("a")), letter(frame("b"))])
    assert sorted(states(ledger).values()) == ["open", "redriven"]


@pytest.mark.parametrize("again_first", [True, False])
def test_a_discarded_letter_that_came_again_in_another_object_is_left_alone(
    warehouse: SqliteWarehouse, redrivers: dict[str, Redriver], again_first: bool
) -> None:
    """In whatever order the two objects are read, and in whichever bucket the other one lies."""
    ledger, other = ledger_of([frame("a")]), InMemoryLedger()
    discard_letters([ledger], frozenset({letter(frame("a")).name}), "a test row")
    other.put([letter(frame("a")), letter(frame("b"))])  # read again with another cut
    stores = [other, ledger] if again_first else [ledger, other]
    assert redrive(stores, redrivers, LetterFilter()).letters == 1
    assert [each[0] for each in seen(warehouse)] == ["b"]
    assert states(*stores)[letter(frame("a")).id] == "discarded"


def test_a_redriven_letter_that_came_again_in_another_object_is_not_taken_again() -> None:
    ledger, watching = ledger_of([frame("a")]), Watching()
    redrive([ledger], {"consumer": watching}, LetterFilter())
    ledger.put([letter(frame("a")), letter(frame("b"))])
    redrive([ledger], {"consumer": watching}, LetterFilter())
    named_again = LetterFilter(frozenset(STATES) - {"redriven"}, names=frozenset({letter(frame("a")).name}))
    redrive([ledger], {"consumer": watching}, named_again)
    assert watching.given == [1, 1]


def test_a_whole_aggregate_that_can_be_cut_now_is_one_letter_of_all_its_frames(
    warehouse: SqliteWarehouse, redrivers: dict[str, Redriver]
) -> None:
    good, bad = Aggregate(), Aggregate()
    for payload in (frame("a"), frame("b")):
        good.add("any", payload)
    for payload in (frame("c"), poison("d")):
        bad.add("any", payload)
    ledger = ledger_of([good.contents()], [bad.contents()])
    done = redrive([ledger], redrivers, LetterFilter())
    assert (done.redriven, done.failed_again) == (1, 1)
    assert [each[0] for each in seen(warehouse)] == ["a", "b", "c"]


def test_two_frames_that_tell_one_fact_are_both_tried_and_one_is_enough(
    warehouse: SqliteWarehouse, redrivers: dict[str, Redriver]
) -> None:
    """Of two deployments: one event id, other bytes."""
    ledger = ledger_of([poison("a"), frame("a")])
    assert letter(poison("a")).name == letter(frame("a")).name
    done = redrive([ledger], redrivers, LetterFilter())
    assert (done.redriven, done.failed_again) == (1, 0)
    assert [each[0] for each in seen(warehouse)] == ["a"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_outcomes_of_one_fact_in_one_go_the_stronger_counts_whichever_comes_first(order: int) -> None:
    class Two:
        def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
            one, _ = letters
            made = [LetterOutcome(*one.name, "redriven"), LetterOutcome(*one.name, "failed-again", "why")]
            return made[::order]

    ledger = ledger_of([poison("a"), frame("a")])
    done = redrive([ledger], {"consumer": Two()}, LetterFilter())
    assert (done.redriven, done.failed_again) == (1, 0)
    assert list(states(ledger).values()) == ["redriven"]


def test_an_event_of_a_schema_that_came_since_is_applied(tmp_path: Path) -> None:
    newer = other_schema(OTHER)
    told = encode_event(
        event(
            OTHER,
            {"id": "x"},
            1,
            schema_fingerprint=newer.fingerprint,
            after=newer.encode({"id": "x", "note": None, "added": 7}),
        )
    )
    ledger = InMemoryLedger()
    before = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}", [OTHER])
    before.ensure()
    old = Catalog({"other": OTHER}, CATALOG.registry)
    Consumer(old, before, ledger).consume([told])
    assert [each.status.letter.cause for each in list_letters([ledger])] == ["schema"]
    same = {"consumer": ConsumerRedriver(lambda store: Consumer(old, before, store))}
    assert redrive([ledger], same, LetterFilter()).failed_again == 1
    before.close()

    now = replace(OTHER, schema=newer, older=(OTHER.schema,))
    after = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}", [now])
    after.ensure()
    known = Catalog({"other": now}, SchemaRegistry(now.versions))
    came = {"consumer": ConsumerRedriver(lambda store: Consumer(known, after, store))}
    assert redrive([ledger], came, LetterFilter()).redriven == 1
    assert after.select("other") == (["id", "note", "added", "_source"], [("x", None, 7, A)])
    after.close()


def test_a_sweep_is_redriven_as_any_event(warehouse: SqliteWarehouse, redrivers: dict[str, Redriver]) -> None:
    ledger = ledger_of([encode_event(sweep(ITEM, 3, 9))])
    assert redrive([ledger], redrivers, LetterFilter()).redriven == 1


def test_choices_by_stage_entity_cause_time_state_and_name(redrivers: dict[str, Redriver]) -> None:
    ledger, other = InMemoryLedger(), InMemoryLedger()
    ledger.put([letter(frame("a", 1)), letter(frame("b", 5), PoisonEventError("?", "schema"))])
    ledger.put([letter(b"no frame")])
    other.put([DeadLetter("ab", "csv", "school", "csv:school", "1", "?", "data", b"{}", 7)])
    first, second = (letter(frame(key, n)) for key, n in (("a", 1), ("b", 5)))

    def chosen(choice: LetterFilter) -> int:
        return sum(choice.matches(each.status, each.moment) for each in list_letters([ledger, other]))

    assert chosen(LetterFilter()) == 4
    assert chosen(LetterFilter(stage="consumer")) == 3
    assert chosen(LetterFilter(entity="item")) == 2
    assert chosen(LetterFilter(cause="schema")) == 1
    assert (
        chosen(LetterFilter(since=second.occurred_at)) == 1
    )  # what knows no moment has that of its object: 0
    assert chosen(LetterFilter(since=0)) == 4
    assert chosen(LetterFilter(frozenset({"redriven"}))) == 0
    assert chosen(LetterFilter(names=frozenset({first.name}))) == 1
    assert redrive([ledger], redrivers, LetterFilter(entity="item", cause="schema")).letters == 1
    assert states(ledger)[first.id] == "open"
    assert states(ledger)[second.id] == "redriven"


def test_a_stage_without_a_normal_path_is_counted_and_nothing_is_recorded() -> None:
    ledger = ledger_of([frame("a")])
    done = redrive([ledger], {}, LetterFilter())
    assert (done.redriven, done.not_redrivable, len(ledger.objects)) == (0, 1, 1)


def test_an_environment_that_fails_stops_it_and_what_was_done_before_is_recorded() -> None:
    class Failing:
        def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
            if any(b"stop" in each.payload for each in letters):
                raise TransientError("the database is away")
            return [LetterOutcome(each.stage, each.id, "redriven") for each in letters]

    ledger = ledger_of([b"1", b"2"], [b"stop", b"3"], [b"4"])
    with pytest.raises(TransientError):
        redrive([ledger], {"consumer": Failing()}, LetterFilter(), group=2)
    assert set(states(ledger).values()) <= {"open", "redriven"}
    assert states(ledger)[letter(b"stop").id] == states(ledger)[letter(b"3").id] == "open"


class Watching:
    """Redrives all, and remembers how much it was given at once."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
        self.given.append(len(letters))
        return [LetterOutcome(each.stage, each.id, "redriven") for each in letters]


def test_many_small_objects_go_together_and_a_large_one_in_pieces() -> None:
    small = ledger_of(*[[b"%d" % number] for number in range(25)])
    watching = Watching()
    redrive([small], {"consumer": watching}, LetterFilter(), group=10)
    assert watching.given == [10, 10, 5]
    large, watching = ledger_of([b"%d" % number for number in range(25)]), Watching()
    assert redrive([large], {"consumer": watching}, LetterFilter(), group=10).redriven == 25
    assert watching.given == [10, 10, 5]
    assert set(states(large).values()) == {"redriven"}


def test_letters_go_in_pieces_of_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "MAX_GROUP_BYTES", 100)
    watching = Watching()
    redrive(
        [ledger_of([bytes([number]) * 60 for number in range(3)])], {"consumer": watching}, LetterFilter()
    )
    assert watching.given == [1, 1, 1]


def test_memory_holds_one_object_at_a_time() -> None:
    """Of the objects read, no more are alive than those that are taken together."""
    ledger, read = ledger_of(*[[b"%d" % number] for number in range(9)]), list[int]()

    class Counting(InMemoryLedger):
        def batches(self) -> Iterator[LetterBatch]:
            for number, batch in enumerate(ledger.batches()):
                read.append(number)
                yield batch

    class Level:
        def redrive(self, letters: Sequence[DeadLetter]) -> list[LetterOutcome]:
            done.append(len(letters))
            assert len(read) - len(done) <= 1
            return []

    done: list[int] = []
    redrive([Counting()], {"consumer": Level()}, LetterFilter(), group=1)
    assert len(done) == 9


def test_progress_is_told_at_most_once_a_second() -> None:
    ledger = ledger_of([frame("a")])
    told: list[float] = []
    ticks = iter([0.0, 0.5])
    redrive([ledger], {}, LetterFilter(), lambda _done, seconds: told.append(seconds), lambda: next(ticks))
    assert told == []
    ticks = iter([0.0, 2.5])

    def report(done: RedriveCounts, seconds: float) -> None:
        told.append(seconds)
        assert done.letters == 1

    redrive([ledger], {}, LetterFilter(), report, lambda: next(ticks))
    assert told == [2.5]
