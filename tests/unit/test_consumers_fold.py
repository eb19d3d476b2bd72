"""fold: the winners of a batch, whatever its order."""

from itertools import permutations

from consumers_world import ITEM, OTHER, A, B, event, fact, item, sweep

from consumers.facts import Fact
from consumers.fold import Folded, fold
from schemas.event import Operation, bucket_of
from schemas.positions import BACKFILL_SEQUENCE, dynamodb_position


def total(folded: Folded) -> int:
    return len(folded.rows) + len(folded.sweeps) + folded.superseded + folded.duplicate


def test_the_greatest_rank_of_each_key_wins_in_any_order() -> None:
    facts = [fact(event(ITEM, item("x", size), size)) for size in range(1, 5)]
    for order in permutations(facts):
        folded = fold(order)
        assert list(folded.rows.values()) == [facts[-1]]
        assert (folded.superseded, folded.duplicate) == (3, 0)


def test_the_same_fact_again_is_a_duplicate() -> None:
    made = fact(event(ITEM, item("x"), 1))
    assert fold([made, made, made]) == Folded({("item", made.key_hash): made}, {}, 0, 2)


def test_of_one_position_with_other_bytes_one_wins_in_both_orders() -> None:
    one, two = (fact(event(ITEM, item("x", size), 1)) for size in (1, 2))
    assert fold([one, two]).rows == fold([two, one]).rows
    assert fold([one, two]).superseded == 1


def test_two_entities_or_two_sources_with_one_key_both_win() -> None:
    facts = [
        fact(event(ITEM, item("x"), 1)),
        fact(event(OTHER, {"id": "x"}, 1)),
        fact(event(ITEM, item("x"), 1, source=B)),
    ]
    assert list(fold(facts).rows.values()) == facts


def test_a_delete_wins_over_what_is_older_and_loses_to_what_is_newer() -> None:
    older, newer = fact(event(ITEM, item("x"), 1)), fact(event(ITEM, item("x"), 3))
    gone = fact(event(ITEM, {"id": "x"}, 2, Operation.DELETE))
    assert list(fold([gone, older]).rows.values()) == [gone]
    assert list(fold([newer, gone]).rows.values()) == [newer]


def test_a_sweep_stands_beside_the_rows_and_never_for_one() -> None:
    """A row with the key of a sweep has its hash, too."""
    swept = fact(sweep(ITEM, 7, 2))
    twin = fact(event(ITEM, item("7"), 1))
    assert swept.key_hash == twin.key_hash
    folded = fold([swept, twin])
    assert list(folded.rows.values()) == [twin]
    assert list(folded.sweeps.values()) == [swept]


def test_the_last_sweep_of_each_bucket_wins() -> None:
    sweeps = [fact(sweep(ITEM, bucket, number)) for bucket in (0, 255) for number in (2, 3, 1)]
    folded = fold([*sweeps, sweeps[1]])
    winners = {bucket_of(each.event, each.key_hash): each for each in folded.sweeps.values()}
    assert winners == {0: sweeps[1], 255: sweeps[4]}
    assert (folded.superseded, folded.duplicate) == (4, 1)


def test_inv4_every_fact_is_counted_once() -> None:
    facts: list[Fact] = [fact(event(ITEM, item(f"{n % 7}"), n % 11)) for n in range(100)]
    facts += [fact(sweep(ITEM, n % 3, n % 5, source)) for n in range(40) for source in (A, B)]
    assert total(fold(facts)) == len(facts)
    assert fold([]) == Folded({}, {}, 0, 0)


def test_a_stream_switched_on_again_wins_and_a_backfill_loses_to_the_stream_it_began() -> None:
    old, new = "2024-01-01T00:00:00.000000", "2024-06-01T00:00:00.000000"
    before, backfill, after = (
        fact(event(ITEM, item("x"), 1, position=dynamodb_position(generation, sequence)))
        for generation, sequence in ((old, "9" * 40), (new, BACKFILL_SEQUENCE), (new, "1"))
    )
    assert list(fold([backfill, before]).rows.values()) == [backfill]
    assert list(fold([after, backfill, before]).rows.values()) == [after]
