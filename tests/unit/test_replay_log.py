"""The log's objects to frames, chunks and damage; schemas out of the log alone."""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from consumers_world import CATALOG, ITEM, OTHER, event, item, other_schema
from replay_world import Pipe, business, oracle

from producers.aggregator import Aggregate
from replay.fold import EVENT_BYTES, EventFilter
from replay.load import Chunk, Damages, chunks
from replay.log.in_memory import InMemoryLog
from replay.log.log_schemas import entity_of_log
from replay.log.reader import LINE_BYTES, error_frames, frames_of
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, LogIntegrityError, PoisonEventError
from schemas.event import ENVELOPE, ENVELOPE_FINGERPRINT, encode_event
from schemas.log.frames import Damage
from schemas.log.registry import LogRegistry
from schemas.payload.codec import SchemaRegistry, schema_log_key

FRAMES = [encode_event(event(ITEM, item(f"k{n}", n), n)) for n in range(6)]
KEY = "log/2026/03/01/12/0"
ERROR_KEY = "log-errors/processing-failed/2026/03/01/12/0"


def error_line(record: bytes) -> bytes:
    """As Firehose writes it (Developer Guide, "Handle data delivery failures")."""
    line = {
        "attemptsMade": 4,
        "arrivalTimestamp": 1772366400000,
        "errorCode": "Lambda.FunctionError",
        "errorMessage": "The Lambda function was invoked, but it returned an error result.",
        "attemptEndingTimestamp": 1772366700000,
        "rawData": b64encode(record).decode(),
    }
    return json.dumps(line).encode() + b"\n"


def read(key: str, content: bytes) -> list[bytes | Damage]:
    log = InMemoryLog({key: content})
    return list(frames_of(log, next(log.objects())))


def aggregated(frames: list[bytes]) -> bytes:
    aggregate = Aggregate()
    for frame in frames:
        assert aggregate.add("item/1", frame)
    return aggregate.contents()


def read_chunks(log: InMemoryLog, chunk_bytes: int, after: str = "") -> tuple[list[Chunk], Damages]:
    damages = Damages()
    return list(chunks(log, EventFilter(ITEM).needle, damages, after, chunk_bytes)), damages


def test_objects_are_read_bare_zipped_and_with_aggregates() -> None:
    bare = b"".join(FRAMES)
    for content in (bare, gzip.compress(bare), aggregated(FRAMES), gzip.compress(aggregated(FRAMES))):
        assert read(KEY, content) == FRAMES


def test_the_error_prefix_is_part_of_the_log() -> None:
    content = error_line(FRAMES[0]) + error_line(b"".join(FRAMES[1:3])) + error_line(aggregated(FRAMES[3:]))
    assert read(ERROR_KEY, content) == FRAMES
    assert read(ERROR_KEY, gzip.compress(content.rstrip())) == FRAMES


def test_a_damaged_line_of_an_error_object_is_named_by_its_range_and_the_rest_is_read() -> None:
    lines = [
        error_line(FRAMES[0]),
        b'{"rawData": 7}\n',
        b"\n",
        error_line(FRAMES[1][:-1]),
        error_line(FRAMES[2]),
    ]
    found = read(ERROR_KEY, b"".join(lines))

    first, second = len(lines[0]), len(lines[0] + lines[1] + lines[2])
    assert found[0] == FRAMES[0]
    assert found[1] == Damage(ERROR_KEY, first, first + len(lines[1]) - 1, "not a line that Firehose writes")
    assert isinstance(found[2], Damage)
    assert found[2][:3] == (ERROR_KEY, second, second + len(lines[3]) - 1)
    assert found[3:] == [FRAMES[2]]


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(3 * LINE_BYTES // 65536):
            yield b"x" * 65536
        yield b"\n" + error_line(FRAMES[0])

    *damages, frame = error_frames(endless(), ERROR_KEY)
    assert frame == FRAMES[0]
    assert all(isinstance(each, Damage) for each in damages)
    assert damages[0].start == 0
    assert damages[-1].end == 3 * LINE_BYTES // 65536 * 65536


def test_a_torn_zipped_error_object_is_damage() -> None:
    content = gzip.compress(b"".join(error_line(frame) for frame in FRAMES), mtime=0)
    found = read(ERROR_KEY, content[: len(content) // 2])
    assert any(isinstance(each, Damage) and "GZIP" in each.reason for each in found)


def test_error_objects_come_first_and_schemas_not_at_all_in_order_of_key() -> None:
    log = InMemoryLog({KEY: b"a", ERROR_KEY: b"b", "log/2025/1": b"c", "dead-letters/x": b"d"})
    log.put_schema(ITEM.schema)
    keys = [found.key for found in log.objects()]
    assert keys == [ERROR_KEY, "log/2025/1", KEY] == sorted(keys)
    assert [found.key for found in log.objects("log/2025/1")] == [KEY]


def test_a_chunk_ends_at_so_many_bytes_and_says_which_objects_are_done() -> None:
    log = InMemoryLog({f"log/{n}": FRAMES[n] for n in range(6)})
    four = sum(len(frame) + EVENT_BYTES for frame in FRAMES[:4])
    by_four, _ = read_chunks(log, four)
    assert [(len(each.frames), each.done, each.objects) for each in by_four] == [
        (4, "log/2", 3),
        (2, "log/5", 6),
    ]
    by_one, _ = read_chunks(log, 1)
    assert [len(each.frames) for each in by_one] == [1] * 6 + [0]


def test_bytes_of_other_entities_end_a_chunk_too() -> None:
    others = [encode_event(event(OTHER, {"id": f"k{n}"}, n)) for n in range(9)]
    found, _ = read_chunks(InMemoryLog({f"log/{n}": others[n] for n in range(9)}), 4 * EVENT_BYTES)
    assert len(found) > 1
    assert all(each.frames == [] for each in found)
    assert found[-1][1:] == ("log/8", 9, 9)


def test_no_place_behind_damage_is_done() -> None:
    log = InMemoryLog({f"log/{n}": FRAMES[n] for n in range(6)})
    log.put("log/2", FRAMES[2][:-1])
    found, damages = read_chunks(log, 1)
    assert max(each.done for each in found) == "log/1"
    assert sum(len(each.frames) for each in found) == 5
    with pytest.raises(LogIntegrityError, match=f"the log is damaged: log/2 bytes 0-{len(FRAMES[2]) - 1} "):
        damages.check()


def test_much_damage_is_named_in_part_and_counted_whole() -> None:
    damages = Damages()
    for n in range(23):
        damages.add(Damage(f"log/{n}", 1, 2, "torn"))
    with pytest.raises(LogIntegrityError, match=r"log/19 bytes 1-2 \(torn\); and 3 more\. Put"):
        damages.check()


def test_inv6_s3_alone_is_enough_to_read_and_fold_the_log(tmp_path: Path) -> None:
    written = Pipe(tmp_path)
    written.publish(*(event(ITEM, item(f"k{n % 3}", n), n) for n in range(9)))
    written.flush()
    written.log.put(schema_log_key(ENVELOPE_FINGERPRINT), json.dumps(ENVELOPE).encode())

    ten_years_later = tmp_path / "empty home"
    ten_years_later.mkdir()
    of = entity_of_log(written.log, "item")
    assert (of.key, of.schema) == (ITEM.key, ITEM.schema)
    pipe = Pipe(ten_years_later, [of])
    pipe.catalog = Catalog({}, SchemaRegistry())
    pipe.log = written.log

    assert pipe.rebuild(of, accept_differences=True).swapped
    assert business(pipe.table(of)) == oracle(ITEM, written.published)


def test_a_schema_is_looked_for_here_then_in_the_log_and_once_only() -> None:
    class Counted(InMemoryLog):
        asked = 0

        def document(self, key: str) -> bytes | None:
            Counted.asked += 1
            return super().document(key)

    log = Counted()
    log.put_schema(other_schema(ITEM))
    registry = LogRegistry(CATALOG.registry, log.document)

    assert registry.find(ITEM.schema.fingerprint) == ITEM.schema
    assert Counted.asked == 0
    for _ in range(3):
        assert registry.find(other_schema(ITEM).fingerprint) == other_schema(ITEM)
        with pytest.raises(PoisonEventError) as refused:
            registry.find(b"nowhere!")
        assert refused.value.cause == "schema"
    assert Counted.asked == 2


def test_a_schema_under_another_name_or_that_is_none_is_damage() -> None:
    log = InMemoryLog()
    log.put("log/_schemas/0000000000000000.avsc", b"{}")
    with pytest.raises(LogIntegrityError, match=r"log/_schemas/0000000000000000\.avsc: not a schema"):
        entity_of_log(log, "item")
    log = InMemoryLog()
    log.put_schema(ITEM.schema)
    log.put("log/_schemas/0000000000000000.avsc", next(log.schemas())[1])
    with pytest.raises(LogIntegrityError, match="holds the schema"):
        LogRegistry(SchemaRegistry(), log.document).find(bytes(8))


def test_the_schema_of_the_envelope_is_no_payloads_and_stops_nobody() -> None:
    log = InMemoryLog()
    log.put(schema_log_key(ENVELOPE_FINGERPRINT), json.dumps(ENVELOPE).encode())
    with pytest.raises(PoisonEventError) as refused:
        LogRegistry(SchemaRegistry(), log.document).find(ENVELOPE_FINGERPRINT)
    assert refused.value.cause == "schema"


def test_a_schema_that_nests_too_deep_is_damage() -> None:
    log = InMemoryLog()
    log.put(schema_log_key(bytes(8)), b'{"type":' * 3_000)
    with pytest.raises(LogIntegrityError, match="not a schema of Headwater"):
        LogRegistry(SchemaRegistry(), log.document).find(bytes(8))


def test_an_entity_is_told_by_its_newest_schema_and_one_without_is_refused() -> None:
    log = InMemoryLog()
    log.put_schema(other_schema(ITEM))
    log.put_schema(ITEM.schema)
    assert entity_of_log(log, "item").schema.version == 2
    with pytest.raises(ConfigurationError, match="no schema"):
        entity_of_log(log, "unheard_of")
