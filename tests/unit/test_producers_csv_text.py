"""Bytes of CSV files to rows of text: every encoding, every chunking, and no more memory than a row."""

import tracemalloc
from collections.abc import Iterator

import pytest

from producers.csv.text import MAX_FIELD, BadFileError, TextRows


def rows(body: bytes, encoding: str = "utf-8", delimiter: str = ",", size: int = 7) -> list[list[str]]:
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    return list(TextRows(chunks, encoding, delimiter))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_any_line_end_in_any_chunking_gives_the_same_rows(end: str, size: int) -> None:
    body = end.join(["a,b", '"1 ""x""",2', "", '"two\nlines",', ""]).encode()
    assert rows(body, size=size) == [["a", "b"], ['1 "x"', "2"], ["two\nlines", ""]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_is_not_part_of_the_first_column(encoding: str) -> None:
    mark = "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    assert rows(f"{mark}URN,Näme\n1,x".encode(encoding), encoding) == [["URN", "Näme"], ["1", "x"]]


def test_a_mark_within_the_file_is_text() -> None:
    assert rows("a\n\ufeffb".encode()) == [["a"], ["\ufeffb"]]


def test_cp1252_and_another_delimiter() -> None:
    assert rows("Coláiste;“Ysgol”;€".encode("cp1252"), "cp1252", ";") == [["Coláiste", "“Ysgol”", "€"]]


@pytest.mark.parametrize(
    ("body", "encoding", "place"),
    [
        (b"abcdefghij\xff", "utf-8", 10),
        (b"abcdefghij\xe2\x82", "utf-8", 10),  # cut short at the end
        (b"abcdef\xe2\x82X", "utf-8", 6),  # begins in one chunk, goes wrong in the next
        (b"ab\x81", "cp1252", 2),
        (b"\xff\xfea\x00b", "utf-16", 4),
        (b"a\x00b\x00", "utf-16", 0),  # without its mark
    ],
)
def test_a_byte_of_another_encoding_makes_the_file_bad_and_is_named_by_place(
    body: bytes, encoding: str, place: int
) -> None:
    with pytest.raises(BadFileError, match=f"byte {place} is not {encoding}"):
        rows(body, encoding)


@pytest.mark.parametrize("body", [b'a,"b\nc,d\n', b'a\n"b"c\nd\n'])
def test_broken_quoting_makes_the_file_bad_since_nobody_knows_where_rows_end(body: bytes) -> None:
    with pytest.raises(BadFileError, match=r"^line \d: "):
        rows(body)


def test_a_quote_within_unquoted_text_is_text() -> None:
    assert rows(b'5" pipe,b') == [['5" pipe', "b"]]


def test_nul_is_text_here_and_left_to_the_row() -> None:
    assert rows(b"a,b\n\0,c") == [["a", "b"], ["\0", "c"]]


def test_a_field_of_10_mb_is_read() -> None:
    long = b"x" * 10_000_000
    assert rows(b"a\n" + long + b"\n", size=256 * 1024)[1] == [long.decode()]


def test_a_field_beyond_the_limit_makes_the_file_bad() -> None:
    with pytest.raises(BadFileError, match="field larger than field limit"):
        rows(b"a\n" + b"x" * (MAX_FIELD + 1), size=256 * 1024)


def endless(text: bytes) -> Iterator[bytes]:
    for _ in range(400):
        yield text * (1_048_576 // len(text))


@pytest.mark.parametrize("text", [b"x", b",", b'"\n",'])
def test_a_row_that_never_ends_makes_the_file_bad_before_memory_is_full(text: bytes) -> None:
    with pytest.raises(BadFileError):
        list(TextRows(endless(text), "utf-8", ","))


def test_memory_does_not_grow_with_the_file() -> None:
    chunk = b"100006,134643,name\n" * 1000

    def peak(chunks: int) -> int:
        tracemalloc.start()
        for _ in TextRows((chunk for _ in range(chunks)), "utf-8", ","):
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(100) < peak(10) * 1.1
