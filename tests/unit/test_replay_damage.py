"""Bytes of the log that are no frames: named, acknowledged once, and left out from then on."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from consumers_world import ITEM, OTHER, event, item
from replay_world import Pipe, business, oracle

from producers.aggregator import Aggregate
from replay.as_of import plan_as_of
from replay.compare import compare
from replay.log.acknowledged import acknowledge, damages_of, document_key
from replay.run import run
from schemas.catalog.entity import Entity
from schemas.errors import ConfigurationError, LogIntegrityError
from schemas.event import encode_event

MOMENT = datetime(2024, 2, 1, tzinfo=UTC)
KEY = "log/2026/03/01/12/foreign"


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    made = Pipe(tmp_path, [ITEM, OTHER])
    made.publish(event(ITEM, item("k1", 1), 1), event(OTHER, {"id": "o1"}, 2))
    made.flush()
    made.publish(event(ITEM, item("k3", 3), 3), event(OTHER, {"id": "o2"}, 4))
    made.flush()
    made.consume()
    return made


def frames(numbers: range) -> list[bytes]:
    return [encode_event(event(ITEM, item(f"k{n}", n), n)) for n in numbers]


def with_a_wrong_digest(content: list[bytes]) -> bytes:
    made = Aggregate()
    for frame in content:
        assert made.add("item/1", frame)
    return made.contents()[:-1] + b"?"


FOREIGN: dict[str, bytes] = {
    "a test record": b"hello from a colleague's test",
    "a test record between frames": frames(range(1, 2))[0] + b"hello" + frames(range(3, 4))[0],
    "JSON lines": b'{"a": 1}\n{"a": 2}\n' * 20,
    "zeros": bytes(5_000),
    "zipped text": gzip.compress(b"a note " * 100),
    "an image": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9,
    "an aggregate with a wrong digest": with_a_wrong_digest(frames(range(1, 2))),
    "markers": b"\x00\x00\x01\x00\xc3\x01" * 50,
}


def acknowledged(pipe: Pipe, key: str = KEY, span: tuple[int, int] | None = None) -> int:
    done = acknowledge(pipe.log, key, span, reason="a test", by="ann", at="2026-03-02T09:00:00+00:00")
    return len(done)


def all_replays(pipe: Pipe, of: Entity) -> list[Callable[[], object]]:
    def as_of() -> object:
        ports = pipe.ports()
        return run(plan_as_of(ports, of, MOMENT), ports).view

    def rebuilt() -> object:
        return pipe.rebuild(of).swapped or None

    return [as_of, lambda: list(compare(pipe.ports(), of)) == [] or None, rebuilt]


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("zipped", [False, True])
def test_foreign_bytes_stop_every_replay_until_they_are_acknowledged(
    content: bytes, zipped: bool, pipe: Pipe
) -> None:
    pipe.log.put(KEY, gzip.compress(content) if zipped else content)
    for of in (ITEM, OTHER):
        for replay in all_replays(pipe, of):
            with pytest.raises(
                LogIntegrityError, match=f"{KEY} bytes .*`headwater replay damage acknowledge"
            ):
                replay()

    assert acknowledged(pipe) >= 1
    assert acknowledged(pipe) == 0

    for of in (ITEM, OTHER):
        assert all(replay() is not None for replay in all_replays(pipe, of))
        assert business(pipe.table(of)) == oracle(of, pipe.published)


def test_an_acknowledgement_covers_this_content_of_the_object_and_no_other(pipe: Pipe) -> None:
    pipe.log.put(KEY, b"hello")
    acknowledged(pipe)
    pipe.log.put(KEY, b"hallo")
    with pytest.raises(LogIntegrityError, match=KEY):
        pipe.rebuild()
    pipe.log.put(f"{KEY}-2", b"hello")
    pipe.log.put(KEY, b"hello")
    with pytest.raises(LogIntegrityError, match=f"{KEY}-2 bytes 0-5"):
        pipe.rebuild()


def test_one_byte_range_is_acknowledged_and_the_others_still_stop_replay(pipe: Pipe) -> None:
    one, two = frames(range(1, 2))[0], frames(range(3, 4))[0]
    pipe.log.put(KEY, b"first" + one + b"second" + two)
    second = (5 + len(one), 11 + len(one))
    assert acknowledged(pipe, span=(0, 5)) == 1
    with pytest.raises(LogIntegrityError, match=f"damaged: {KEY} bytes {second[0]}-{second[1]} "):
        pipe.rebuild()
    assert acknowledged(pipe, span=second) == 1
    assert pipe.rebuild().swapped
    kept = [each.acknowledged for each in damages_of(pipe.log, pipe.log.objects())]
    assert [(each.start, each.end, each.by) for each in kept if each] == [(0, 5, "ann"), (*second, "ann")]


def test_only_damage_can_be_acknowledged(pipe: Pipe) -> None:
    whole = next(pipe.log.objects()).key
    with pytest.raises(ConfigurationError, match="every byte can be read"):
        acknowledged(pipe, whole)
    pipe.log.put(KEY, b"hello")
    with pytest.raises(ConfigurationError, match="bytes 0-4 are no damage"):
        acknowledged(pipe, span=(0, 4))
    with pytest.raises(ConfigurationError, match="the log has no object log/nope"):
        acknowledged(pipe, "log/nope")


def test_inv6_the_log_alone_says_what_was_left_out_by_whom_when_and_why(pipe: Pipe) -> None:
    pipe.log.put(KEY, b"hello")
    acknowledged(pipe)
    item = next(each for each in pipe.log.objects() if each.key == KEY)
    assert json.loads(pipe.log.contents[document_key(item)]) == {
        "key": KEY,
        "etag": item.etag,
        "acknowledged": [
            {
                "start": 0,
                "end": 5,
                "damage": "not a frame",
                "reason": "a test",
                "by": "ann",
                "at": "2026-03-02T09:00:00+00:00",
            }
        ],
    }
    assert document_key(item).startswith("log/_acknowledged/")
    pipe.log.put(document_key(item), b"{}")
    with pytest.raises(LogIntegrityError, match="not an acknowledgement"):
        pipe.rebuild()


def test_a_foreign_record_in_the_stream_stops_no_replay(pipe: Pipe) -> None:
    """The consumer dead-letters it, before Firehose has it in the log and after."""
    pipe.stream.put(b"hello from a colleague's test")
    pipe.stream.put(with_a_wrong_digest(frames(range(1, 2))))
    pipe.publish(event(ITEM, item("k9", 9), 9))
    pipe.consume()
    for of in (ITEM, OTHER):
        assert all(replay() is not None for replay in all_replays(pipe, of))
        assert business(pipe.table(of)) == oracle(of, pipe.published)


@pytest.mark.parametrize("separator", [b"\n", b"\r\n", b" \t\n\n"])
@pytest.mark.parametrize("zipped", [False, True])
def test_separators_that_a_delivery_adds_are_no_damage(separator: bytes, zipped: bool, pipe: Pipe) -> None:
    content = separator.join([*frames(range(1, 2)), *frames(range(3, 4)), b""])
    pipe.log.put(KEY, gzip.compress(content) if zipped else content)
    pipe.log.put(f"{KEY}-alone", separator)
    assert list(damages_of(pipe.log, pipe.log.objects())) == []
    assert pipe.rebuild().swapped
