"""KPL aggregates: read exactly as aws-kinesis-agg writes them, refused where it would print and go on."""

from collections.abc import Iterable
from hashlib import md5

import pytest

from producers.aggregator import Aggregate  # restores the path that aws_kinesis_agg changes
from schemas.errors import PoisonEventError
from schemas.log.kpl import MAGIC, UserRecord, parse_aggregate, read_record, skip_key


def sealed(*fields: bytes) -> bytes:
    protobuf = b"".join(fields)
    return MAGIC + protobuf + md5(protobuf).digest()


def field(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes((tag, len(content))) + content


def record(payload: bytes, key_index: int = 0, more: bytes = b"") -> bytes:
    return field(0x1A, bytes((0x08, key_index)) + more + field(0x1A, payload))


KEY = field(0x0A, b"school/7")
HASH_KEY = field(0x12, b"42")


def aggregate_of(payloads: Iterable[bytes]) -> bytes:
    made = Aggregate()
    for number, payload in enumerate(payloads):
        assert made.add(f"school/{number % 300}", payload)
    return made.contents()


@pytest.mark.parametrize("sizes", [[0], [1], [127, 128], [16_383, 16_384], [500_000, 400_000], [300] * 2_000])
def test_what_the_aggregator_writes_is_read(sizes: list[int]) -> None:
    payloads = [bytes((number % 256,)) * size for number, size in enumerate(sizes)]
    assert parse_aggregate(aggregate_of(payloads)) == payloads


def test_explicit_hash_keys_are_read() -> None:
    from aws_kinesis_agg.aggregator import AggRecord

    made = AggRecord(1_000_000)
    for number in range(200):
        assert made.add_user_record(f"key {number % 3}", b"%d" % number, explicit_hash_key=f"{number % 150}")
    _, _, contents = made.get_contents()
    assert parse_aggregate(contents) == [b"%d" % number for number in range(200)]


def test_fields_may_come_in_any_order() -> None:
    assert parse_aggregate(sealed(record(b"a"), KEY, record(b"b"), HASH_KEY)) == [b"a", b"b"]


def test_a_payload_may_hold_an_aggregate() -> None:
    inner = sealed(KEY, record(b"a"))
    assert parse_aggregate(sealed(KEY, record(inner), record(b"b"))) == [inner, b"b"]


BROKEN = {
    "no MD5": (MAGIC, "its MD5 does not match"),
    "another MD5": (sealed(KEY, record(b"a"))[:-1] + b"?", "its MD5 does not match"),
    "nothing in it": (sealed(), "it has no records"),
    "keys alone": (sealed(KEY), "it has no records"),
    "no key": (sealed(record(b"a")), "a record's partition key is not there"),
    "one key too few": (sealed(KEY, record(b"a"), record(b"b", 1)), "a record's partition key is not there"),
    "no hash key": (sealed(KEY, record(b"a", more=b"\x10\x00")), "a record's hash key is not there"),
    "one hash key too few": (
        sealed(KEY, HASH_KEY, record(b"a", more=b"\x10\x01")),
        "a record's hash key is not there",
    ),
    "an unknown field": (
        sealed(KEY, record(b"a"), field(0x22, b"x")),
        "a field that the format does not have",
    ),
    "a record with a tag": (
        sealed(KEY, field(0x1A, b"\x08\x00" + field(0x1A, b"a") + field(0x22, b"x"))),
        "a field that the format does not have",
    ),
    "a record without payload": (
        sealed(KEY, field(0x1A, b"\x08\x00")),
        "a field that the format does not have",
    ),
    "a key that is no text": (
        sealed(field(0x0A, b"\xff"), record(b"a")),
        "a field that the format does not have",
    ),
    "a record cut short": (sealed(KEY, record(b"abc")[:-1]), "its last field is cut short"),
    "a key cut short": (sealed(KEY, record(b"a"), KEY[:1]), "a field that the format does not have"),
}


@pytest.mark.parametrize(("aggregate", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_inv4_a_broken_aggregate_is_refused_whole(
    aggregate: bytes, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PoisonEventError) as refused:
        parse_aggregate(aggregate)
    assert refused.value.reason == f"aggregate: {reason}"
    assert capfd.readouterr() == ("", "")  # INV-7: aws-kinesis-agg prints the records here


def test_every_flipped_bit_is_noticed() -> None:
    whole = aggregate_of([b"one", b"two" * 50])
    for bit in range(len(MAGIC) * 8, len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PoisonEventError):
            parse_aggregate(bytes(damaged))


def test_a_record_tells_its_end_twice() -> None:
    whole = record(b"abc", 5, b"\x10\x07")
    assert read_record(b"??" + whole, 2) == UserRecord(10, 13, 5, 7)
    longer = bytes((whole[0], whole[1] + 1)) + whole[2:]
    assert read_record(longer + b"?", 0) is None


@pytest.mark.parametrize("size", range(6))
def test_a_header_that_is_cut_short_is_none(size: int) -> None:
    assert read_record(record(b"abc")[:size], 0) is None
    assert skip_key(KEY[: size // 3], 0) is None


def test_a_number_that_never_ends_is_no_header() -> None:
    assert read_record(b"\x1a" + b"\xff" * 100, 0) is None
    assert skip_key(b"\x0a" + b"\xff" * 100, 0) is None


def test_a_key_is_text_of_at_most_what_kinesis_takes() -> None:
    longest = b"\x0a\x80\x08" + b"k" * 1024
    assert skip_key(longest, 0) == len(longest)
    assert skip_key(b"\x0a\x88\x08" + b"k" * 1032, 0) is None
