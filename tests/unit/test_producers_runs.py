"""Runs: claims, takeovers and chunks."""

import pytest
from backfill_world import Filler, Mortal
from dynamodb_world import order

from producers.dynamodb.backfill import Ports
from producers.runs.chunk import Chunk, Totals, decode_chunk, encode_chunk
from producers.runs.run import BEAT, LEASE, Wanted, claim, read_document
from schemas.errors import ConflictError, LogIntegrityError

NAME = "dynamodb/orders/_all"


def ports(filler: Filler) -> Ports:
    return Mortal(filler.world, filler.store).ports()


def test_a_stopped_run_goes_on_at_once_with_its_own_segments() -> None:
    filler = Filler(segments=2)
    first = filler.claim(ports(filler))
    first.release()
    filler.segments = 9
    again = filler.claim(ports(filler), tell=pytest.fail)
    assert (again.resumed, again.document.id, again.document.segments) == (True, first.document.id, 2)


def test_a_killed_run_is_taken_over_after_its_lease() -> None:
    filler = Filler()
    filler.claim(ports(filler))
    told: list[str] = []
    assert filler.claim(ports(filler), tell=told.append).resumed
    assert told == [f"a run is in progress elsewhere or was killed: waiting {LEASE:.0f} s to see which"]


def test_a_run_in_progress_is_left_alone_and_one_that_lost_its_claim_stops() -> None:
    filler = Filler()
    now = [0.0]
    owner = filler.claim(ports(filler), clock=lambda: now[0])

    def sleep(_: float) -> None:
        now[0] += BEAT
        owner.beat()

    other = ports(filler)
    wanted = Wanted(NAME, "x", {}, 1, "now", "other")
    with pytest.raises(ConflictError, match="is in progress in another process, since then"):
        claim(other.store, wanted, sleep=sleep)
    thief = claim(other.store, wanted, sleep=lambda _: None)
    assert not thief.resumed
    now[0] += BEAT
    with pytest.raises(ConflictError, match="has taken over"):
        owner.beat()


@pytest.mark.parametrize("why", ["restart", "another generation"])
def test_a_run_that_cannot_go_on_begins_again_without_the_old_chunks(why: str) -> None:
    filler = Filler()
    backfill = filler.start([order(number) for number in range(9)])
    advance = backfill.advance()
    next(advance)
    advance.close()
    backfill._run.release()
    assert len(list(filler.chunks())) == 1
    if why != "restart":
        filler.table = filler.table._replace(stream_arn=filler.table.stream_arn.replace("2026", "2027"))
    run = filler.claim(ports(filler), restart=why == "restart")
    assert not run.resumed
    assert list(filler.chunks()) == []


def test_a_finished_run_keeps_its_result_and_the_next_one_is_new() -> None:
    filler = Filler()
    filler.fill([order(1)])
    found = read_document(filler.store, NAME)
    assert found is not None
    assert found.result == {
        "rows": 1,
        "entities": [
            {
                "entity": "order",
                "source": "dynamodb:orders",
                "published": 1,
                "rejected": 0,
                "unswept": None,
            }
        ],
    }
    assert not filler.claim(ports(filler)).resumed


def test_a_chunk_is_read_as_it_was_written_and_a_damaged_one_refused() -> None:
    filler = Filler()
    filler.fill([order(1)])
    frames = filler.world.frames()
    chunk = Chunk(3, {"id": {"S": "1"}}, Totals(1, {"order dynamodb:orders": 1}, {}, "p", 7), frames)
    body = encode_chunk(chunk)
    assert decode_chunk(body) == chunk
    for damaged in (body[:-1], body[1:], b"", body[:-9] + b"x" + body[-8:]):
        with pytest.raises(LogIntegrityError, match="--restart"):
            decode_chunk(damaged)
