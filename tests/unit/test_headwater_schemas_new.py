"""`headwater schemas new` from a file: what it proposes, and what it says of a file that it cannot use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from schema_homes import Avro, Ran, Schemas

from headwater.csv_dialect import has_plain_quotes
from headwater.csv_sample import sample_file
from schemas.entity import CsvSource
from schemas.loader import load_entity
from schemas.text_sample import (
    AMOUNTS,
    CENTURY,
    CODES,
    EXPONENTS,
    FIXED_POINT,
    MILLIS,
    PLACEHOLDERS,
    SECONDS,
    SWAPPED,
)

WORDS = ("amber", "birch", "cedar", "dune", "elm")


class New:
    """`headwater schemas new thing --from <file>`."""

    def __init__(self, folder: Path, schemas: Schemas) -> None:
        self.folder, self.schemas = folder, schemas

    def run(self, text: str | bytes, *words: str, name: str = "thing") -> Ran:
        (self.folder / "sample.csv").write_bytes(text.encode() if isinstance(text, str) else text)
        wanted = ["new", name, "--from", self.folder / "sample.csv", "--out", self.schemas.home, *words]
        return self.schemas.run(*wanted, home=False)

    def fields(self, text: str | bytes, *words: str, name: str = "thing") -> dict[str, Avro]:
        done = self.run(text, *words, name=name)
        assert done.code == 0, done.err
        read = json.loads((self.made.with_name(name) / "v1.avsc").read_text())
        return {each["name"]: each for each in read["fields"]}

    def field(self, field_name: str, values: Sequence[str], name: str = "thing") -> Avro:
        """What is proposed for a column of these values; another one is the key."""
        rows = "".join(f"k{number};{value}\n" for number, value in enumerate(values))
        [_, field] = self.fields(f"Key;{field_name}\n{rows}", name=name).values()
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
        (["5", "N/A", "-"], {"type": "string", "maxLength": 50, "doc": f"review: {PLACEHOLDERS}"}),
        (["2024-05-01", "null"], {"type": "string", "maxLength": 50, "doc": f"review: {PLACEHOLDERS}"}),
        (["N/A", "-"], {"type": "string", "maxLength": 50}),
        (["a", "N/A"], {"type": "string", "maxLength": 50}),
        (["1,000", "2"], {"type": "string", "maxLength": 50, "doc": f"review: {AMOUNTS}"}),
        (["£1,234.50", "£2.00"], {"type": "string", "maxLength": 50, "doc": f"review: {AMOUNTS}"}),
        (["318,57", "1.234,50"], {"type": "string", "maxLength": 50, "doc": f"review: {AMOUNTS}"}),
        (["12%", "5%"], {"type": "string", "maxLength": 50, "doc": f"review: {AMOUNTS}"}),
        (["020 794 095"], {"type": "string", "maxLength": 50}),
        (["10.0.0", "1.2.3"], {"type": "string", "maxLength": 50}),
        (["17E02", "23E11", "200"], {"type": "string", "maxLength": 50, "doc": f"review: {EXPONENTS}"}),
        (["1E5"], {"type": "string", "maxLength": 50, "doc": f"review: {EXPONENTS}"}),
        (
            ["9007199254740993", "2.2E+11"],
            {"type": "string", "maxLength": 50, "doc": f"review: {EXPONENTS}"},
        ),
        (["1e-400", "0.1"], {"type": "string", "maxLength": 50, "doc": f"review: {EXPONENTS}"}),
        (["1e3", "2.5e-3"], {"type": "double", "doc": f"review: {CODES}"}),
        (["00FF", "1E10"], {"type": "string", "maxLength": 50}),
        (["1.1", "1.10"], {"type": decimal(6, 2), "doc": f"review: {FIXED_POINT}"}),
        (["1.10", "2.20"], {"type": decimal(6, 2)}),
        (["Ja", "Nein"], {"type": "boolean", "format": "Ja|Nein"}),
        (["OUI", "NON"], {"type": "boolean", "format": "OUI|NON"}),
        (["1683799200000", "1683799200001"], {"type": "long", "doc": f"review: perhaps {MILLIS}"}),
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


def test_one_remark_on_a_date_hides_no_other(new: New) -> None:
    assert new.field("f", ["01/02/45", "03/04/52"])["doc"] == f"review: {SWAPPED}; {CENTURY}"
    assert new.field("g", ["13/02/45", "03/04/52"], name="other")["doc"] == f"review: {CENTURY}"


@pytest.mark.parametrize(
    ("name", "values", "form", "what"),
    [
        ("created_at", ["1683799200000"], "epoch-millis", MILLIS),
        ("ts", ["1683799200", "1683799300"], "epoch-seconds", SECONDS),
        ("ts", ["5", "1683799300"], None, None),
        ("total", ["1683799200"], None, None),
    ],
)
def test_numbers_of_the_size_of_moments_under_a_name_for_one(
    new: New, name: str, values: list[str], form: str | None, what: str | None
) -> None:
    field = new.field(name, values)
    assert (field.get("format"), field.get("doc")) == (form, what and f"review: {what}, by name and size")


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
        ("Reach", ["02079460958", "01314960000", "07700900123"], "mask", "likely phone numbers"),
        ("No", ["0000000001", "0000000002", "0000000003"], None, None),
        ("Product", ["0200000001", "0200000002", "0200000003"], None, None),
        ("Guardian 1 Name", ["x"], "mask", "likely a person's name"),
        ("Payee", ["x"], "mask", "likely a person's name"),
        ("NI Number", ["x"], "mask", "likely the number of a person's document or account"),
        ("Nachname", ["x"], "mask", "likely a person's name"),
        ("Geburtsdatum", ["2001-01-01"], "drop", "likely a date of birth"),
        ("Fecha de nacimiento", ["2001-01-01"], "drop", "likely a date of birth"),
        ("Courriel", ["x"], "mask", "likely a mail address"),
        ("Password", ["x"], "mask", "likely a secret"),
        ("Salary", ["x"], "mask", "likely what only that person may tell"),
        ("Ethnicity", ["x"], "mask", "likely what only that person may tell"),
        ("Customer", ["x"], None, "a person: private where it is a person's"),
        ("Where", ["GB82 WEST 1234 5698 7654 32"], "mask", "likely numbers of accounts"),
        ("Paid with", ["4111 1111 1111 1111"], "mask", "likely numbers of payment cards"),
        ("Insured", ["QQ123456C", "QQ 12 34 57 C"], "mask", "likely national insurance numbers"),
        ("Whom", ["Mrs A Muster", "Dr Probe"], "mask", "likely names of persons"),
        (
            "Notes",
            ["call 020 7946 0958 please", "none"],
            None,
            "texts that hold mail addresses or phone numbers: private where it is a person's",
        ),
        ("Pupils", ["5"], None, None),
        ("Title", ["12 rooms on 3 floors"], None, None),
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
        f"the first row looks like values, not like the names of columns (column {places}); say --no-header "
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
