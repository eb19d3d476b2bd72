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


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("body", "encoding", "marked"),
    [
        ("URN\n1".encode("utf-8-sig"), "cp1252", "utf-8"),
        ("URN\n1".encode("utf-8-sig"), "latin-1", "utf-8"),
        ("URN\n1".encode("utf-8-sig"), "utf-16-le", "utf-8"),
        ("URN\n1".encode("utf-16"), "cp1252", "utf-16"),
        (b"\xfe\xff" + "URN\n1".encode("utf-16-be"), "latin-1", "utf-16"),
    ],
)
def test_the_mark_of_another_encoding_makes_the_file_bad(
    body: bytes, encoding: str, marked: str, size: int
) -> None:
    with pytest.raises(BadFileError, match=f"byte order mark of {marked}, so that it is not {encoding}"):
        rows(body, encoding, size=size)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_without_quoting_a_quote_is_text(size: int) -> None:
    body = b'name\tnote\n"Weird" Al\t5" nail\n"a\tb"\nx\t"y""\n'
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    assert list(TextRows(chunks, "utf-8", "\t", quoting=False)) == [
        ["name", "note"],
        ['"Weird" Al', '5" nail'],
        ['"a', 'b"'],
        ["x", '"y""'],
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_skipped_lines_are_lines_of_the_file_whatever_they_hold(end: str, size: int) -> None:
    """A blank line counts, and so does one with a lone quote."""
    body = end.join(['Report "of 2024', "", "a,b", "1,2", ""]).encode()
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    assert list(TextRows(chunks, "utf-8", ",", skip_lines=2)) == [["a", "b"], ["1", "2"]]


def test_a_file_shorter_than_its_skipped_lines_has_no_rows() -> None:
    assert list(TextRows([b"a,b\n1,2\n"], "utf-8", ",", skip_lines=9)) == []


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\n", "\ufeffsep=;\r", "sep=;  \n"])
def test_excels_first_line_that_names_the_delimiter_is_left_out(first: str) -> None:
    assert rows(f"{first}a;b\n1;2\n".encode(), delimiter=";") == [["a", "b"], ["1", "2"]]


def test_a_first_line_that_names_another_delimiter_makes_the_file_bad() -> None:
    with pytest.raises(BadFileError, match=r"^line 1 says sep=;, but the feed's delimiter is ','$"):
        rows(b"sep=;\na;b\n", delimiter=",")


def test_an_error_names_the_line_of_the_file() -> None:
    with pytest.raises(BadFileError, match=r"^line 4: "):
        list(TextRows([b'title\nsep=,\na,b\n"x"y,1\n'], "utf-8", ",", skip_lines=1))
