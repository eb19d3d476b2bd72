"""`headwater schemas new` from a file: the key that it proposes, and the fields that it hides."""

from __future__ import annotations

import pytest
from new_schemas import New, key_of

from schemas.catalog.loader import load_entity
from schemas.sources.csv import CsvSource

pytest_plugins = ("schemas_home",)


# Keys


NOON, NOON_IN_PARIS, ONE = (
    "2024-01-01T12:00:00Z",
    "2024-01-01T13:00:00+01:00",
    "2024-01-01T13:00:00+00:00",
)
UUID = "00112233-4455-6677-8899-aabbccddeeff"


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
        ("Salary", ["x"], "mask", "likely sensitive data"),
        ("Ethnicity", ["x"], "mask", "likely sensitive data"),
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
