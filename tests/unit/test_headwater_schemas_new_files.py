"""`headwater schemas new` from a file: how it reads files, and what it says of those that it cannot use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from new_schemas import New, key_of

from headwater.scaffold.csv_dialect import has_plain_quotes
from headwater.scaffold.csv_sample import sample_file
from schemas.catalog.loader import load_entity
from schemas.sources.csv import CsvSource

pytest_plugins = ("schemas_home",)


# The first row


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("1,Alpha,3.5\n2,Beta,4.5\n", "1, 3"),
        ("1,2,3\n4,5,6\n", "1, 2, 3"),
        ("Anna Muster,anna@example.org\nBob,bob@example.org\n", "2"),
        ("Anna,Muster,Leeds\nBob,Sample,Leeds\n", "3"),
        ("01/02/2023,Foo\n02/02/2023,Bar\n", "1"),
        ("x,{0F1E2D3C-0001-4AAA-8BBB-0123456789AB}\ny,z\n", "2"),
        ('"A","SW1A 1AA"\n"B","x"\n', "2"),
    ],
)
def test_inv7_a_first_row_of_values_is_refused_and_not_told(new: New, text: str, places: str) -> None:
    assert new.refusal(text) == (
        f"the first row looks like values, not like the names of columns (column {places}); use --no-header "
        "if the file has no header, or --header if these are names"
    )


@pytest.mark.parametrize(
    "text",
    [
        "country,2019,2020,2021\nUK,1,2,3\nFR,4,5,6\n",
        "day,0,1,2,3\nMon,1,2,3,4\n",
        "site,2024-01-31,2024-02-29\nA,1,2\n",
        "id,name\nid,name\n1,x\n",
        "A,B\nx,y\n",
    ],
)
def test_a_header_may_have_a_series_or_come_again(new: New, text: str) -> None:
    assert new.run(text).code == 0


def test_a_file_without_a_header_has_its_columns_named_by_their_place(new: New) -> None:
    done = new.run("1,secret@example.org\n2,other@example.org\n", "--no-header")
    made = load_entity(new.made)
    [source] = made.sources
    assert isinstance(source, CsvSource)
    assert source.header == ("column_1", "column_2")
    assert ([each.name for each in made.schema.fields], made.key) == (["column_1", "column_2"], ("column_1",))
    assert "looked at all 2 rows" in done.err
    assert "secret" not in "".join(path.read_text() for path in new.made.iterdir())


def test_a_first_row_that_is_a_header_whatever_it_looks_like(new: New) -> None:
    assert list(new.fields("1,2\na,b\n", "--header")) == ["column_1", "column_2"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Report of sales,,\nMade in spring,,\n,,\nid,label,n\n1,a,5\n2,b,6\n", 3),
        ("Report of sales\n\nid,label,n\n1,a,5\n2,b,6\n", 1),
        ('"Report\nof May"\r\n\r\nid,label,n\r\n1,a,5\r\n2,b,6\r\n', 2),
        ("Secret Report;;;\nid;label;n;m\n1;a;5;6\n", 1),
    ],
)
def test_titles_above_the_header_are_left_out_and_told(new: New, text: str, lines: int) -> None:
    done = new.run(text)
    assert done.code == 0, done.err
    made = load_entity(new.made)
    [source] = made.sources
    assert isinstance(source, CsvSource)
    assert (source.skip_lines, made.key) == (lines, ("id",))
    assert f"the first {lines} lines are taken for a title above the header" in done.err
    assert "Report" not in "".join(path.read_text() for path in new.made.iterdir())


def test_titles_above_values_are_no_header(new: New) -> None:
    assert "the first row looks like values" in new.refusal("Report,,\na,b,Leeds\nc,d,Leeds\n")


@pytest.mark.parametrize(
    ("text", "quoting"),
    [
        ('id\tplace\n1\t"Long Room"\n2\tHall\n', False),
        ('id\tplace\n1\t"Old" Town\n2\t"x"\n', False),
        ('id\tplace\n1\t"Long Room"\n2\t"Hall"\n', True),
        ('id\tplace\n1\t"a\tb"\n2\tHall\n', True),
        ("id\tplace\n1\ta\n2\tHall\n", True),
        ('id,place\n1,"Long Room"\n2,Inn\n', True),
    ],
)
def test_a_tab_separated_file_in_which_quotes_are_text(new: New, text: str, quoting: bool) -> None:
    done = new.run(text)
    assert done.code == 0, done.err
    [source] = load_entity(new.made).sources
    assert isinstance(source, CsvSource)
    assert source.quoting is quoting
    assert ("quotes are taken for characters" in done.err) is not quoting


def test_a_line_end_in_the_quotes_of_a_single_column_is_not_plain_text() -> None:
    assert not has_plain_quotes('"a\nb"\n"c"\nd\n', "\t")
    assert has_plain_quotes('a\tb\n"c" x\td\n', "\t")


def test_rows_of_separators_are_no_part_of_the_sample(new: New) -> None:
    done = new.run("id,label,n\n1,a,5\n2,b,6\n,,\n , ,\n")
    assert "2 rows without any value left out, as spreadsheets leave them" in done.err
    assert key_of(new) == ("id",)
    assert not any(each.nullable for each in load_entity(new.made).schema.fields)


# Dialects


@pytest.mark.parametrize(
    ("text", "delimiter", "guess"),
    [
        ("Datum;Preis (netto, EUR)\n02.02.2024;4,5\n14.02.2024;6,25\n", ";", False),
        ("Datum;Preis netto, EUR\n02.02.2024;4,5\n14.02.2024;6,25\n", ";", True),
        ("a;b;c\n1,5;2,5;x\n2,5;3,5;y\n", ";", False),
        ("id|label\n1|a, b\n2|c, d\n", "|", False),
        ("id\tlabel\n1\ta;b\n2\tc;d\n", "\t", False),
        ('"id";"na""me";"x;y"\n"1";"2";"3"\n', ";", False),
        ("a,b\n1,2\n", ",", False),
        ("sep=;\nid;v\n1;2,5\n2;3,5\n", ";", False),
        ("sep=|\r\nid|v\r\n1|2\r\n", "|", False),
    ],
)
def test_the_delimiter_that_cuts_evenly(new: New, text: str, delimiter: str, guess: bool) -> None:
    done = new.run(text)
    assert done.code == 0, done.err
    [source] = load_entity(new.made).sources
    assert isinstance(source, CsvSource)
    assert (source.delimiter, "is a guess" in done.err) == (delimiter, guess)
    assert ("sep= for Excel" in done.err) is text.lower().startswith("sep=")


def test_delimiter_and_mark_are_found(new: New) -> None:
    fields = new.fields('a;b\n1;"x,y"\n2;z,z\n'.encode("utf-16"))
    assert list(fields) == ["a", "b"]
    [source] = load_entity(new.made).sources
    assert isinstance(source, CsvSource)
    assert (source.delimiter, source.encoding) == (";", "utf-16")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xef\xbb\xbfa;b\n1;2\n", ()),
        (b'\xef\xbb\xbf"a";"b"\n1;2\n', ()),
        ("a;b\n1;2\n".encode("utf-16"), ("--encoding", "utf-16-le")),
        ("a;b\n1;2\n".encode("utf-16-be"), ("--encoding", "utf-16-be")),
        (b"a;b\r1;2\r", ()),
        (b"\n\na;b\n1;2\n", ()),
    ],
)
def test_marks_line_ends_and_empty_lines_are_no_part_of_a_name(
    new: New, text: bytes, words: Sequence[str]
) -> None:
    fields = new.fields(text, *words)
    assert [(name, each.get("from")) for name, each in fields.items()] == [("a", None), ("b", None)]


@pytest.mark.parametrize(
    ("text", "key", "kind"),
    [("a\n1\n2\n", ("a",), "int"), ("a\n1\n1\n", (), "int"), ('a\n""\n""\n', (), ["null", "string"])],
)
def test_one_column_is_a_file(new: New, text: str, key: tuple[str, ...], kind: Any) -> None:
    fields = new.fields(text)
    assert (list(fields), fields["a"]["type"], key_of(new)) == (["a"], kind, key)


def test_a_delimiter_that_is_given_is_taken(new: New) -> None:
    assert list(new.fields("a,b\tc\n1,2\t3\n", "--delimiter", "tab")) == ["a_b", "c"]
    assert 'delimiter = "\\t"' in (new.made / "entity.toml").read_text()


# What it cannot use


ENCODINGS = "allowed: utf-8, utf-8-sig, utf-16, cp1252, latin-1, or another text encoding of Python"
NUL = (
    "the first row holds a NUL; allowed: text: a file in UTF-16 or UTF-32 needs its name, as in --encoding "
    "utf-16-le"
)
WIDE = ",".join(f"c{number}" for number in range(2_000))


@pytest.mark.parametrize(
    ("text", "words", "refusal"),
    [
        (b"", (), "is empty: not even a header"),
        (b"a,b\n", (), "found a header and 0 rows; allowed: at least one row to see what columns hold"),
        (
            b"a,b\n1\n",
            (),
            "found no row without a NUL and with as many cells as the header; allowed: at least one row "
            "to see what columns hold",
        ),
        (
            f"{WIDE}\n{WIDE}\n".encode(),
            (),
            "found 2,000 columns; allowed: at most 1,016, as many as a table of SQL Server has beside "
            "Headwater's own 8: leave out those that are not needed",
        ),
        (
            b"a,b,a\n1,2,3\n",
            (),
            "the column a is there 2 times; allowed: each once, since it would be unclear which is meant",
        ),
        (b",\n1,2\n", (), "the first row names no column; allowed: a header"),
        (b"a\nna\xefve\n", (), "byte 4 is not utf-8: if the file is cp1252, use --encoding cp1252"),
        (b"a\n\x81\n", (), "byte 2 is not utf-8: if the file is latin-1, use --encoding latin-1"),
        (
            b"a\n" + b"x\n" * 300_000 + b"\xef\n",
            ("--rows", "5"),
            "byte 600002 is not utf-8: if the file is cp1252, use --encoding cp1252",
        ),
        (b'a\n"x\n', (), "line 2: unexpected end of data"),
        (
            b"a\n1\n",
            ("--encoding", "utf-99"),
            f'--encoding: found "utf-99"; did you mean "utf-8"? {ENCODINGS}',
        ),
        (b"a\n1\n", ("--encoding", "hex"), f'--encoding: found "hex"; {ENCODINGS}'),
        (b"a\n1\n", ("--encoding", "rot13"), f'--encoding: found "rot13"; {ENCODINGS}'),
        ("a,b\n1,2\n".encode("utf-16-le"), (), NUL),
        ("a,b\n1,2\n".encode("utf-32"), (), NUL),
        (b"a,b", (), "found a header and 0 rows; allowed: at least one row to see what columns hold"),
        (b"a\n\n\n", (), "found a header and 0 rows; allowed: at least one row to see what columns hold"),
        (
            b"a\n1\n",
            ("--delimiter", ",,"),
            "--delimiter: allowed: one character, but no quote, line end or NUL; or tab",
        ),
        (b"a\n1\n", ("--rows", "0"), "--rows: found 0; allowed: 1 or more"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_used(new: New, text: bytes, words: Sequence[str], refusal: str) -> None:
    assert new.refusal(text, *words) == refusal


def test_a_file_that_is_not_there(new: New) -> None:
    done = new.schemas.run("new", "thing", "--from", "nowhere.csv", "--out", new.schemas.home, home=False)
    assert (done.code, done.err) == (2, "headwater: nowhere.csv: No such file or directory\n")


def test_a_folder_is_no_file(new: New) -> None:
    done = new.schemas.run("new", "thing", "--from", new.folder, "--out", new.schemas.home, home=False)
    assert (done.code, done.err) == (2, f"headwater: {new.folder}: Is a directory\n")


def test_what_is_there_is_never_overwritten(new: New) -> None:
    assert new.run("a\n1\n").code == 0
    before = (new.made / "v1.avsc").read_text()
    done = new.run("b\n1\n")
    assert done.code == 2
    assert "is there already and is never overwritten: a change is a new version" in done.err
    assert (new.made / "v1.avsc").read_text() == before
    assert [path.name for path in new.made.parent.iterdir()] == ["thing"]


def test_without_a_home_it_asks_for_one(new: New) -> None:
    (new.folder / "sample.csv").write_text("a\n1\n")
    done = new.schemas.run("new", "thing", "--from", new.folder / "sample.csv", home=False)
    assert done.err == "headwater: --out: name the folder that holds your entities/, or set HEADWATER_HOME\n"


def test_a_name_that_no_entity_may_have(new: New) -> None:
    done = new.run("a\n1\n", name="My Thing")
    assert (done.code, 'ENTITY: found "My Thing"; allowed: lower snake case' in done.err) == (2, True)


# Large files


def test_only_the_first_rows_are_looked_at(new: New) -> None:
    done = new.run("a,b\n1,x\n2,y\nthree,z\n", "--rows", "2")
    assert "looked at the first 2 rows" in done.err
    assert load_entity(new.made).schema.fields[0].kind == "int"


def test_rows_that_will_be_rejected_are_counted(new: New) -> None:
    done = new.run("a,b\n1,x\n2\n3,y,z\n4,\0\n5,w\n")
    assert "looked at all 5 rows" in done.err
    assert "3 rows of them will be rejected: more or fewer cells, or a NUL" in done.err


def test_a_wide_file_is_sampled_in_fewer_rows(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.scaffold.csv_sample._CELLS", 10)
    (new.folder / "wide.csv").write_text("a,b\n" + "1,2\n" * 100)
    sample: Any = sample_file(new.folder / "wide.csv", None, None, 50)
    assert (sample.rows, sample.whole, len(sample.columns[0].hashes)) == (5, False, 5)
