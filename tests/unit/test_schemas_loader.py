"""Loading entities: what is right is taken whole, and each wrong thing has its own clear error."""

from pathlib import Path

import pytest
from entity_homes import CSV, URN, record, refusal, write

from schemas.catalog.loader import load_catalog, load_entity
from schemas.errors import ConfigurationError
from schemas.sources.csv import CsvSource, Mode
from schemas.sources.dynamodb import DynamoDbSource

# What is right


def test_a_home_of_ones_own_stands_instead_of_the_sample_entities(tmp_path: Path) -> None:
    write(tmp_path)
    assert list(load_catalog(tmp_path).entities) == ["link"]
    assert "school" in load_catalog().entities


def test_a_csv_source_says_all_that_its_reader_needs(tmp_path: Path) -> None:
    toml = """
        key = ["urn"]
        [[source]]
        csv = "links"
        mode = "snapshot"
        encoding = "latin-1"
        delimiter = "\\t"
        header = ["urn", "ignored"]
        effective = "links_%Y%m%d.csv"
        trim = true
        min_rows = 100
        reject_limit = 0.05
    """
    assert load_entity(write(tmp_path, toml=toml)).sources == (
        CsvSource(
            name="csv:links",
            feed="links",
            mode=Mode.SNAPSHOT,
            encoding="iso8859-1",
            delimiter="\t",
            header=("urn", "ignored"),
            effective="links_%Y%m%d.csv",
            trim=True,
            min_rows=100,
            reject_limit=0.05,
        ),
    )


def test_a_csv_source_with_its_mode_alone_is_the_plain_case(tmp_path: Path) -> None:
    assert load_entity(write(tmp_path)).sources == (
        CsvSource(
            name="csv:links",
            feed="links",
            mode=Mode.UPSERT,
            encoding="utf-8",
            delimiter=",",
            header=True,
            effective=None,
            trim=False,
            min_rows=1,
            reject_limit=None,
        ),
    )


def test_files_without_a_header_have_the_columns_of_the_schema(tmp_path: Path) -> None:
    avsc = record({**URN, "from": {"csv:links": "URN"}}, {"name": "town", "type": "string"})
    (source,) = load_entity(write(tmp_path, toml=CSV + "header = false", avsc=avsc)).sources
    assert isinstance(source, CsvSource)
    assert source.header == ("URN", "town")


def test_a_column_with_a_default_may_be_left_out_of_the_header(tmp_path: Path) -> None:
    avsc = record(URN, {"name": "pupils", "type": "int", "default": 0})
    (source,) = load_entity(write(tmp_path, toml=CSV + 'header = ["urn"]', avsc=avsc)).sources
    assert isinstance(source, CsvSource)
    assert source.header == ("urn",)


def test_a_dynamodb_source_knows_its_tables_own_key_from_the_entitys(tmp_path: Path) -> None:
    avsc = record({"name": "pk", "type": "string"}, {"name": "sort", "type": "int", "from": "sk"})
    toml = """
        key = ["pk", "sort"]
        [[source]]
        dynamodb = "links-table"
        alias = "links.eu"
        where = { pk = "LINK#*", sort = "7", kind = "link" }
    """
    assert load_entity(write(tmp_path, toml=toml, avsc=avsc)).sources == (
        DynamoDbSource(
            name="dynamodb:links.eu",
            table="links-table",
            where={"pk": "LINK#*", "sk": "7", "kind": "link"},
            table_key=("pk", "sk"),
        ),
    )


def test_one_entity_may_have_several_sources_each_with_its_own_names(tmp_path: Path) -> None:
    names = {"csv:links": "URN", "dynamodb:links-table": "id"}
    toml = CSV + '[[source]]\ndynamodb = "links-table"\n'
    toml = 'prefer = ["dynamodb:links-table", "csv:links"]\n' + toml
    entity = load_entity(write(tmp_path, toml=toml, avsc=record({**URN, "from": names})))
    assert [source.name for source in entity.sources] == ["csv:links", "dynamodb:links-table"]
    assert [entity.key_fields[0].source_name(source.name) for source in entity.sources] == ["URN", "id"]
    assert entity.prefer == ("dynamodb:links-table", "csv:links")


def test_an_append_feed_needs_no_key(tmp_path: Path) -> None:
    toml = '[[source]]\ncsv = "links"\nmode = "append"\n'
    assert load_entity(write(tmp_path, toml=toml)).key == ()


def test_files_beside_the_two_that_we_read_do_no_harm(tmp_path: Path) -> None:
    (write(tmp_path) / "README.md").write_text("about")
    (tmp_path / "entities" / ".git").mkdir()
    (tmp_path / "entities" / "__pycache__").mkdir()
    (tmp_path / "entities" / "README.md").write_text("about")
    assert list(load_catalog(tmp_path).entities) == ["link"]


# What is wrong in a folder


def test_no_home(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(tmp_path / "nowhere")
    folder = tmp_path / "nowhere" / "entities"
    assert (
        str(caught.value) == f"{folder}: folder not found; allowed: a folder with one folder for each entity"
    )


def test_a_home_without_entities(tmp_path: Path) -> None:
    folder = tmp_path / "entities"
    folder.mkdir()
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(tmp_path)
    assert str(caught.value) == f"{folder}: found no entity; allowed: one folder for each, at least one"


def test_an_empty_entity_folder(tmp_path: Path) -> None:
    folder = tmp_path / "entities" / "link"
    folder.mkdir(parents=True)
    assert refusal(folder, "") == f"schema: v1.avsc is missing; found none; {WITHOUT_A_GAP}"


def test_no_entity_toml(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "entity.toml").unlink()
    assert refusal(folder) == "file not found"


@pytest.mark.parametrize("name", ["v3.avsc", "link.avsc", "v01.avsc"])
def test_a_version_gap(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path)
    (folder / name).write_text("{}")
    found = ", ".join(sorted(["v1.avsc", name]))
    assert refusal(folder, "") == f"schema: v2.avsc is missing; found {found}; {WITHOUT_A_GAP}"


WITHOUT_A_GAP = "allowed: v1.avsc, v2.avsc and so on without a gap, each an Avro record"


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("Link", "lower snake case: a-z first, then a-z, 0-9 and _"),
        ("1link", "lower snake case: a-z first, then a-z, 0-9 and _"),
        ("link__r1", "no name with __: it separates a table's name from its revision"),
        ("_link", "no name that starts with _: those are Headwater's own columns"),
    ],
)
def test_an_entity_name_that_is_no_sql_name(tmp_path: Path, name: str, allowed: str) -> None:
    assert refusal(write(tmp_path, name), "") == f'entity\'s name: found "{name}"; allowed: {allowed}'


@pytest.mark.parametrize(
    ("toml", "place"),
    [("key = [", "at end of document"), ("\nkey = ['a'] x", "at line 2, column 13")],
)
def test_malformed_toml(tmp_path: Path, toml: str, place: str) -> None:
    text = refusal(write(tmp_path, toml=toml))  # the words between are Python's own
    assert text.startswith("not TOML: ")
    assert text.endswith(f" ({place})")


@pytest.mark.parametrize(
    ("avsc", "expected"),
    [
        ('{"type": "record",\n "name" "A"}', "not JSON: Expecting ':' delimiter (at line 2, column 9)"),
        ("[]", "schema: found []; allowed: an Avro record"),
        ('{"type": "record", "type": "x"}', "found the property type twice in one object; allowed: once"),
    ],
)
def test_malformed_json(tmp_path: Path, avsc: str, expected: str) -> None:
    assert refusal(write(tmp_path, avsc=avsc), "v1.avsc") == expected


@pytest.mark.parametrize("file", ["entity.toml", "v1.avsc"])
def test_a_file_that_is_not_utf8(tmp_path: Path, file: str) -> None:
    folder = write(tmp_path)
    (folder / file).write_bytes(b"# \xff")
    assert refusal(folder, file) == "byte 3 is not UTF-8; allowed: UTF-8"
