"""`headwater schemas new` from a file: what it proposes, and what it says of a file that it cannot use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from schema_homes import Avro, Ran, Schemas

from headwater.csv_sample import sample_file
from schemas.entity import CsvSource
from schemas.loader import load_entity
from schemas.text_sample import SWAPPED

WORDS = ("amber", "birch", "cedar", "dune", "elm")


class New:
    """`headwater schemas new thing --from <file>`."""

    def __init__(self, folder: Path, schemas: Schemas) -> None:
        self.folder, self.schemas = folder, schemas

    def run(self, text: str | bytes, *words: str, name: str = "thing") -> Ran:
        (self.folder / "sample.csv").write_bytes(text.encode() if isinstance(text, str) else text)
        wanted = ["new", name, "--from", self.folder / "sample.csv", "--out", self.schemas.home, *words]
        return self.schemas.run(*wanted, home=False)

    def fields(self, text: str | bytes, *words: str) -> dict[str, Avro]:
        done = self.run(text, *words)
        assert done.code == 0, done.err
        read = json.loads((self.made / "v1.avsc").read_text())
        return {each["name"]: each for each in read["fields"]}

    def field(self, name: str, values: Sequence[str]) -> Avro:
        """What is proposed for a column of these values; another one is the key."""
        rows = "".join(f"k{number};{value}\n" for number, value in enumerate(values))
        [_, field] = self.fields(f"Key;{name}\n{rows}").values()
        return field

    def refusal(self, text: str | bytes, *words: str) -> str:
        done = self.run(text, *words)
        assert (done.code, done.out) == (2, "")
        assert not self.made.exists()
        return (
            done.err.removeprefix("headwater: ").removeprefix(f"{self.folder / 'sample.csv'}: ").rstrip("\n")
        )

    @property
    def made(self) -> Path:
        return self.schemas.home / "entities" / "thing"


@pytest.fixture
def new(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> New:
    monkeypatch.delenv("HEADWATER_HOME", raising=False)
    return New(tmp_path, Schemas(tmp_path / "home", capsys))


# Types


def decimal(precision: int, scale: int) -> Avro:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


DATE = {"type": "int", "logicalType": "date"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-micros"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0", "-5", "1000000"], {"type": "int"}),
        (["1", "3000000000"], {"type": "long"}),
        (["1", "99999999999999999999"], {"type": "string", "maxLength": 50}),
        (["007", "12"], {"type": "string", "maxLength": 50}),
        (["+1", "2"], {"type": "string", "maxLength": 50}),
        (["1,000", "2"], {"type": "string", "maxLength": 50}),
        (["1.5", "-20", "3.125"], {"type": decimal(8, 3)}),
        (["1e-3", "2.5"], {"type": "double"}),
        (["true", "FALSE"], {"type": "boolean"}),
        (["Y", "N", "Y"], {"type": "boolean", "format": "Y|N"}),
        (["Y", "Y"], {"type": "string", "maxLength": 50}),
        (["2024-02-29"], {"type": DATE}),
        (["29/02/2024", "01/03/2024"], {"type": DATE, "format": "%d/%m/%Y"}),
        (["12/31/2024", "01/03/2024"], {"type": DATE, "format": "%m/%d/%Y"}),
        (["30/02/2024"], {"type": "string", "maxLength": 50}),
        (
            ["2024-02-29T12:00:00Z"],
            {"type": {"type": "long", "logicalType": "timestamp-micros"}},
        ),
        (["2024-02-29 12:00"], {"type": LOCAL}),
        (["29/02/2024 12:00:01"], {"type": LOCAL, "format": "%d/%m/%Y %H:%M:%S"}),
        (["x" * 30], {"type": "string", "maxLength": 100}),
        (["x" * 3_000], {"type": "string"}),
    ],
)
def test_a_type_takes_every_value_of_the_sample_exactly(new: New, values: list[str], expected: Avro) -> None:
    assert new.field("f", values) == {"name": "f", **expected}


def test_a_column_that_is_empty_now_and_then_may_be_null(new: New) -> None:
    assert new.field("f", ["1", "", "2"]) == {"name": "f", "type": ["null", "int"], "default": None}


def test_a_column_that_is_always_empty_is_marked(new: New) -> None:
    field = new.field("f", ["", ""])
    assert (field["type"], field["doc"]) == (["null", "string"], "review: no value was seen")


def test_a_date_whose_month_may_be_its_day_is_marked(new: New) -> None:
    assert new.field("f", ["01/02/2024", "03/04/2024"])["doc"] == f"review: {SWAPPED}"


def test_few_values_in_many_rows_are_marked_and_stay_text(new: New) -> None:
    field = new.field("f", WORDS * 300)
    assert (field["type"], field["doc"]) == (
        "string",
        "review: 5 different values: an enum, if there will be no others",
    )


# Names


def test_names_are_snake_case_all_different_and_say_where_they_come_from(new: New) -> None:
    header = "LinkURN,NumberOfPupils,Straße,2020 total,number_of_pupils,%,__a__b"
    fields = new.fields(f"{header}\n1,2,3,4,5,6,7\n")
    assert [(name, each.get("from")) for name, each in fields.items()] == [
        ("link_urn", "LinkURN"),
        ("number_of_pupils", "NumberOfPupils"),
        ("strae", "Straße"),
        ("column_2020_total", "2020 total"),
        ("number_of_pupils_2", "number_of_pupils"),
        ("column", "%"),
        ("a_b", "__a__b"),
    ]


def test_a_column_without_a_name_is_left_out_and_that_is_said(new: New) -> None:
    done = new.run("a,,b,\n1,x,2,y\n")
    assert "2 columns without a name left out" in done.err
    assert [each.name for each in load_entity(new.made).schema.fields] == ["a", "b"]


# Keys


NOON, NOON_IN_PARIS, ONE = (
    "2024-01-01T12:00:00Z",
    "2024-01-01T13:00:00+01:00",
    "2024-01-01T13:00:00+00:00",
)
UUID = "00112233-4455-6677-8899-aabbccddeeff"


def key_of(new: New) -> tuple[str, ...]:
    return load_entity(new.made).key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Name,Ref\na,1\na,2\nb,3\n", ("ref",)),
        ("Title,Code\na,1\nb,2\nc,3\n", ("code",)),
        ("A,B,C\n1,1,x\n1,2,x\n2,1,y\n2,2,\n", ("a", "b")),
        ("A,B,C\n1,1,1\n1,1,2\n1,2,1\n2,1,1\n2,2,2\n", ("a", "b", "c")),
        ("A,B\n1,1\n1,1\n", ()),
        ("A,B\n1.5,x\n2.5,x\n", ()),
        (f"At,N\n{NOON},1\n{NOON_IN_PARIS},1\n", ()),
        (f"At,N\n{NOON},1\n{NOON_IN_PARIS},2\n{ONE},1\n", ("at", "n")),
        (f"At,N\n{NOON},1\n{ONE},1\n", ("at",)),
        ("Day,N\n1/2/2024,1\n01/02/2024,1\n13/2/2024,1\n", ()),
        (f"Id,N\n{UUID},1\n{UUID.upper()},1\n", ("id",)),
    ],
)
def test_the_key_is_what_tells_all_rows_apart(new: New, text: str, key: tuple[str, ...]) -> None:
    assert new.run(text).code == 0
    assert key_of(new) == key
    [source] = load_entity(new.made).sources
    assert isinstance(source, CsvSource)
    assert source.mode == ("upsert" if key else "append")


def test_other_keys_are_told_in_the_file(new: New) -> None:
    assert new.run("urn,code\n1,x\n2,y\n").code == 0
    assert '# review: as unique in the sample: key = ["code"]' in (new.made / "entity.toml").read_text()


def test_a_key_that_is_given_may_name_columns_or_fields(new: New) -> None:
    assert new.run("Urn No,Day\n1,2024-01-01\n1,2024-01-01\n", "--key", "Urn No,day").code == 0
    assert key_of(new) == ("urn_no", "day")
    assert (
        "# review: rows of the sample share this key: the last of them wins"
        in (new.made / "entity.toml").read_text()
    )


@pytest.mark.parametrize(
    ("values", "key", "shared"),
    [
        (["1.0", "1.00"], "F", True),
        (["1.0", "1.01"], "F", False),
        (["true", "TRUE"], "F", True),
        (["10:00", "10:00:00"], "F", False),
    ],
)
def test_a_key_that_is_given_is_judged_by_its_values(
    new: New, values: list[str], key: str, shared: bool
) -> None:
    rows = "".join(f"{value},x\n" for value in values)
    done = new.run(f"F,G\n{rows}", "--key", key)
    assert ("rows of the sample share this key" in done.err) is shared


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("Ur", '--key: not a column of the sample: found "Ur"; did you mean "Urn"? allowed: Urn, Share, Day'),
        (
            "Day",
            "--key: the column Day is empty in 1 rows of the sample; allowed: a column that always has "
            "a value",
        ),
        ("Share", "--key: the column Share is double; allowed: no float, double or json"),
        ("Urn,Urn", "--key: found Urn, Urn; allowed: each column once"),
        ("Urn,urn", "--key: found Urn, urn; allowed: each column once"),
    ],
)
def test_a_key_that_cannot_be_one(new: New, key: str, text: str) -> None:
    assert new.refusal("Urn,Share,Day\n1,1e3,\n2,1e4,x\n", "--key", key) == text


# Private fields


@pytest.mark.parametrize(
    ("name", "values", "private", "doc"),
    [
        ("E-Mail", ["a@example.org"], "mask", "likely a mail address"),
        ("Contact", ["a@example.org", "b@example.org", "none"], "mask", "likely mail addresses"),
        ("TelephoneNum", ["2079460958"], "mask", "likely a phone number"),
        ("Reach", ["020 7946 0958", "+44 131 496 0000"], "mask", "likely phone numbers"),
        ("HeadLastName", ["x"], "mask", "likely a person's name"),
        ("ContactName", ["x"], "mask", "likely a person's name"),
        ("Date of birth", ["2001-01-01"], "drop", "likely a date of birth"),
        ("IBAN", ["x"], "mask", "likely the number of a person's document or account"),
        ("Postcode", ["NW5 3JJ"], None, "an address: private where it is a person's"),
        ("Place", ["NW5 3JJ"], None, "postcodes: private where it is a person's"),
        ("EstablishmentName", ["x"], None, None),
        ("LinkName", ["x"], None, None),
        ("Total", ["2079460958"], None, None),
    ],
)
def test_what_likely_says_something_of_a_person_is_hidden_until_a_person_says_otherwise(
    new: New, name: str, values: list[str], private: str | None, doc: str | None
) -> None:
    field = new.field(name, values)
    assert field.get("headwater.private") == private
    assert field.get("doc") == (doc and f"review: {doc}")


def test_an_address_beside_a_person_is_hidden(new: New) -> None:
    fields = new.fields("id,mail,Postcode,Name\n1,a@example.org,NW5 3JJ,x\n")
    assert [each.get("headwater.private") for each in fields.values()] == [None, "mask", "mask", "mask"]


def test_a_private_key_is_hashed_and_has_room_for_it(new: New) -> None:
    fields = new.fields("email,n\na@example.org,1\nb@example.org,1\n")
    assert key_of(new) == ("email",)
    assert (fields["email"]["headwater.private"], fields["email"]["maxLength"]) == ("hash", 200)


def test_no_value_of_the_sample_is_written_or_told(new: New) -> None:
    done = new.run("id,mail,word\n731905,secret@example.org,planted\n731906,other@example.org,planted\n")
    written = "".join(path.read_text() for path in new.made.iterdir())
    for value in ("731905", "secret", "planted"):
        assert value not in done.out + done.err + written


# Dialects


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
            "found no row with as many cells as the header; allowed: at least one row to see what columns "
            "hold",
        ),
        (
            f"{WIDE}\n{WIDE}\n".encode(),
            (),
            "found 2,000 columns; allowed: at most 1,016, as many as a table of SQL Server has beside "
            "Headwater's own 8: leave out those that nobody needs",
        ),
        (
            b"a,b,a\n1,2,3\n",
            (),
            "the column a is there 2 times; allowed: each once, since nobody could tell which is meant",
        ),
        (b",\n1,2\n", (), "the first row names no column; allowed: a header"),
        (b"a\nna\xefve\n", (), "byte 4 is not utf-8: if the file is cp1252, say --encoding cp1252"),
        (b"a\n\x81\n", (), "byte 2 is not utf-8: if the file is latin-1, say --encoding latin-1"),
        (
            b"a\n" + b"x\n" * 300_000 + b"\xef\n",
            ("--rows", "5"),
            "byte 600002 is not utf-8: if the file is cp1252, say --encoding cp1252",
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
    assert done.err == "headwater: --out: say the folder that holds your entities/, or set HEADWATER_HOME\n"


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
    monkeypatch.setattr("headwater.csv_sample._CELLS", 10)
    (new.folder / "wide.csv").write_text("a,b\n" + "1,2\n" * 100)
    sample: Any = sample_file(new.folder / "wide.csv", None, None, 50)
    assert (sample.rows, sample.whole, len(sample.columns[0].hashes)) == (5, False, 5)
