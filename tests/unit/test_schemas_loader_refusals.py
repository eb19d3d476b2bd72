"""What the loader refuses in entity.toml and between entities, and how it says so."""

from pathlib import Path

import pytest
from entity_homes import CSV, DYNAMODB, URN, record, refusal, write

from schemas.catalog.loader import load_catalog, load_entity
from schemas.errors import ConfigurationError
from schemas.sources.dynamodb import KeyAttribute, tables

# What is wrong in entity.toml


def csv(line: str) -> str:
    return f"{CSV}{line}\n"


def dynamodb(line: str) -> str:
    return f"{DYNAMODB}{line}\n"


def entity(line: str) -> str:
    return f"{line}\n{CSV}"


# What is allowed, said once
PROPERTIES = (
    "csv, mode, encoding, delimiter, header, effective, trim, min_rows, reject_limit, quoting, skip_lines, "
    "older_files, max_deleted"
)
ENCODINGS = "utf-8, utf-8-sig, utf-16, cp1252, latin-1, or another text encoding of Python"
TABLE = "the name of a table: 3 to 255 of A-Z, a-z, 0-9, _, - and ."
COLUMNS = "true, false (columns as in the schema), or a list of the columns"
DATED = 'a file name with a whole date in it, as "links_%Y%m%d.csv"'
LIMIT = "a number of rows (10) or a share of them (0.05)"
PATTERN = "an exact text, or a prefix with one * at its end"
OWN_KEY = "the table's hash attribute and, if it has one, its range attribute"
ONE_CHARACTER = "one character, but no quote, line end or NUL"


WRONG_TOML = [
    (
        CSV.replace("key", "kye"),
        'entity: unknown property: found "kye"; did you mean "key"? '
        "allowed: history, key, prefer, source, unknown",
    ),
    (entity('unknown = "drop"'), 'unknown: found "drop"; allowed: ignore, report, reject'),
    (entity("unknown = true"), "unknown: found true; allowed: ignore, report, reject"),
    (entity("unknown = []"), "unknown: found []; allowed: ignore, report, reject"),
    (entity('history = "yes"'), 'history: found "yes"; allowed: true, false'),
    (entity("history = 1"), "history: found 1; allowed: true, false"),
    ('key = "urn"\n', 'key: found "urn"; allowed: a list of names of fields'),
    (CSV.replace('"urn"', "5"), "key: found [5]; allowed: a list of names of fields"),
    (CSV.replace('"urn"', '"urn", "urn"'), 'key: found ["urn", "urn"]; allowed: each field once'),
    (
        CSV.replace('"urn"', '"unr"'),
        'key: not a field of v1.avsc: found "unr"; did you mean "urn"? allowed: urn, town, ratio, blob',
    ),
    (CSV.replace('"urn"', '"town"'), 'key: found "town"; allowed: no field that may be null'),
    (
        CSV.replace('"urn"', '"ratio"'),
        'key: found "ratio"; allowed: no field of float, double or json; this is double',
    ),
    (
        CSV.replace('"urn"', '"blob"'),
        'key: found "blob"; allowed: no field of float, double or json; this is json',
    ),
    (
        CSV.replace('key = ["urn"]', ""),
        'entity: "key" is missing; allowed: a list of names of fields; '
        "only csv with mode append goes without",
    ),
    ('key = ["urn"]', "source: found null; allowed: one or more [[source]]"),
    (
        CSV.replace("[[source]]", "[source]"),
        'source: found {"csv": "links", "mode": "upsert"}; allowed: one or more [[source]]',
    ),
    (
        'key = ["urn"]\n[[source]]\nmode = "upsert"',
        'source 1: found ["mode"]; allowed: either csv = <feed> or dynamodb = <table>',
    ),
    (
        csv('dynamodb = "t"'),
        'source 1: found ["csv", "dynamodb", "mode"]; allowed: either csv = <feed> or dynamodb = <table>',
    ),
    (
        csv('encodng = "x"'),
        f'source 1: unknown property: found "encodng"; did you mean "encoding"? allowed: {PROPERTIES}',
    ),
    (csv('where = { a = "b" }'), f'source 1: unknown property: found "where"; allowed: {PROPERTIES}'),
    (CSV.replace('mode = "upsert"', ""), 'source 1: "mode" is missing; allowed: append, upsert, snapshot'),
    (
        CSV.replace('"upsert"', '"upser"'),
        'source 1, mode: found "upser"; did you mean "upsert"? allowed: append, upsert, snapshot',
    ),
    (
        CSV.replace('"links"', '"a/b"'),
        'source 1, csv: found "a/b"; allowed: the name of a feed: up to 100 of A-Z, a-z, 0-9, _, - and .',
    ),
    (
        csv('encoding = "cp1253x"'),
        f'source 1, encoding: found "cp1253x"; did you mean "cp1252"? allowed: {ENCODINGS}',
    ),
    (csv('encoding = "base64"'), f'source 1, encoding: found "base64"; allowed: {ENCODINGS}'),
    (csv("encoding = 5"), f"source 1, encoding: found 5; allowed: {ENCODINGS}"),
    (csv('delimiter = ";;"'), f'source 1, delimiter: found ";;"; allowed: {ONE_CHARACTER}'),
    (csv("delimiter = '\"'"), f'source 1, delimiter: found "\\""; allowed: {ONE_CHARACTER}'),
    (csv('header = "urn"'), f'source 1, header: found "urn"; allowed: {COLUMNS}'),
    (csv('header = ["urn", "urn"]'), 'source 1, header: found ["urn", "urn"]; allowed: each column once'),
    (
        csv('header = ["town"]'),
        'source 1, header: "urn" is missing; allowed: every column without a default, as field urn',
    ),
    (csv('effective = "links_%Y%m.csv"'), f'source 1, effective: found "links_%Y%m.csv"; allowed: {DATED}'),
    (
        csv('effective = "links_%Q%Y%m%d.csv"'),
        f'source 1, effective: found "links_%Q%Y%m%d.csv"; allowed: {DATED}',
    ),
    (
        csv('effective = "links_%Y%m%d.csv%"'),
        f'source 1, effective: found "links_%Y%m%d.csv%"; allowed: {DATED}',
    ),
    (
        csv('effective = "links/%Y%m%d.csv"'),
        f'source 1, effective: found "links/%Y%m%d.csv"; allowed: {DATED}',
    ),
    (csv("effective = 5"), f"source 1, effective: found 5; allowed: {DATED}"),
    (csv('trim = "yes"'), 'source 1, trim: found "yes"; allowed: true or false'),
    (csv("min_rows = -1"), "source 1, min_rows: found -1; allowed: a whole number from 0"),
    (csv("min_rows = true"), "source 1, min_rows: found true; allowed: a whole number from 0"),
    *(
        (csv(f"max_deleted = {junk}"), f"source 1, max_deleted: found {shown}; allowed: {LIMIT}")
        for junk, shown in (("-1", "-1"), ("1.5", "1.5"), ("true", "true"), ('"20 %"', '"20 %"'))
    ),
    (csv("skip_lines = -1"), "source 1, skip_lines: found -1; allowed: a whole number from 0"),
    (csv("skip_lines = true"), "source 1, skip_lines: found true; allowed: a whole number from 0"),
    (csv('quoting = "no"'), 'source 1, quoting: found "no"; allowed: true or false'),
    (
        csv("header = false\nolder_files = true"),
        "source 1, older_files: found true; allowed: false where header is not true",
    ),
    (csv("reject_limit = 1.5"), f"source 1, reject_limit: found 1.5; allowed: {LIMIT}"),
    (csv("reject_limit = true"), f"source 1, reject_limit: found true; allowed: {LIMIT}"),
    (csv("reject_limit = -1"), f"source 1, reject_limit: found -1; allowed: {LIMIT}"),
    (CSV + CSV.replace('key = ["urn"]', ""), 'source 2: found "csv:links"; allowed: each source once'),
    (
        entity('prefer = ["csv:link"]'),
        'prefer: found "csv:link"; did you mean "csv:links"? allowed: csv:links',
    ),
    (
        entity('prefer = ["csv:links", "csv:links"]'),
        'prefer: found ["csv:links", "csv:links"]; allowed: a list of names of sources, each once',
    ),
    (
        entity('prefer = "csv:links"'),
        'prefer: found "csv:links"; allowed: a list of names of sources, each once',
    ),
    (
        dynamodb('tabel_key = ["urn"]'),
        'source 1: unknown property: found "tabel_key"; did you mean "table_key"? '
        "allowed: dynamodb, alias, where, table_key, hashed_numbers",
    ),
    (DYNAMODB.replace("links-table", "l"), f'source 1, dynamodb: found "l"; allowed: {TABLE}'),
    (dynamodb('alias = "a b c"'), f'source 1, alias: found "a b c"; allowed: {TABLE}'),
    (
        dynamodb("where = 5"),
        'source 1, where: found 5; allowed: attributes with a text, as in { sk = "TEACHER#*" }',
    ),
    (dynamodb('where = { sk = "A*B*" }'), f'source 1, where, sk: found "A*B*"; allowed: {PATTERN}'),
    (dynamodb('where = { sk = "*" }'), f'source 1, where, sk: found "*"; allowed: {PATTERN}'),
    (dynamodb('where = { sk = "" }'), f'source 1, where, sk: found ""; allowed: {PATTERN}'),
    (dynamodb("where = { sk = 5 }"), f"source 1, where, sk: found 5; allowed: {PATTERN}"),
    (
        dynamodb('where = { place = "a", town = "b" }'),
        'source 1, where, town: found "b"; allowed: one pattern for the attribute place',
    ),
    (dynamodb("table_key = []"), f"source 1, table_key: found []; allowed: {OWN_KEY}"),
    (dynamodb('table_key = "urn"'), f'source 1, table_key: found "urn"; allowed: {OWN_KEY}'),
    (
        dynamodb('table_key = ["urn", "urn"]'),
        f'source 1, table_key: found ["urn", "urn"]; allowed: {OWN_KEY}',
    ),
    (
        dynamodb('table_key = ["urm"]'),
        'source 1, table_key: not in the entity\'s key: found "urm"; did you mean "urn"? allowed: urn',
    ),
    (
        dynamodb('hashed_numbers = ["urn"]'),
        'source 1, hashed_numbers: found ["urn"]; allowed: attributes of the table\'s key that are hashed '
        "here: there are none",
    ),
    (
        dynamodb('hashed_numbers = "urn"'),
        'source 1, hashed_numbers: found "urn"; allowed: attributes of the table\'s key that are hashed '
        "here: there are none",
    ),
]

FIELDS = record(
    URN,
    {"name": "town", "type": ["null", "string"], "default": None, "from": "place"},
    {"name": "ratio", "type": "double", "default": 0},
    {"name": "blob", "type": "string", "default": "{}", "headwater.json": True},
)


@pytest.mark.parametrize(("toml", "expected"), WRONG_TOML)
def test_a_wrong_entity_toml(tmp_path: Path, toml: str, expected: str) -> None:
    assert refusal(write(tmp_path, toml=toml, avsc=FIELDS)) == expected


def test_a_dynamodb_key_of_three_fields_needs_the_tables_own_key(tmp_path: Path) -> None:
    fields = [{"name": name, "type": "string"} for name in ("one", "two", "three")]
    toml = DYNAMODB.replace('"urn"', '"one", "two", "three"')
    folder = write(tmp_path, toml=toml, avsc=record(*fields))
    assert refusal(folder) == f'source 1: "table_key" is missing; allowed: {OWN_KEY}'


def test_a_dynamodb_table_has_no_key_of_booleans(tmp_path: Path) -> None:
    folder = write(tmp_path, toml=DYNAMODB, avsc=record({"name": "urn", "type": "boolean"}))
    expected = "a text, number or bytes: DynamoDB has no key of booleans"
    assert refusal(folder) == f'source 1, table_key: found "urn"; allowed: {expected}'


def test_two_fields_from_one_column(tmp_path: Path) -> None:
    folder = write(tmp_path, avsc=record(URN, {"name": "town", "type": "string", "from": "urn"}))
    expected = 'v1.avsc, field town, from: found "urn"; allowed: a name that urn does not use'
    assert refusal(folder) == expected


def test_a_name_from_a_source_that_the_entity_does_not_have(tmp_path: Path) -> None:
    folder = write(tmp_path, avsc=record({**URN, "from": {"csv:link": "URN"}}))
    expected = 'found "csv:link"; did you mean "csv:links"? allowed: csv:links, *'
    assert refusal(folder) == f"v1.avsc, field urn, from: not a source of the entity: {expected}"


# What is wrong between entities


def conflict(home: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(home)
    folder = home / "entities"
    assert str(caught.value).startswith(f"{folder}: ")
    return str(caught.value).removeprefix(f"{folder}: ")


def test_two_entities_with_one_feed(tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "two")
    assert conflict(tmp_path) == "feed links: found it in one and two; allowed: one entity for a feed"


def test_two_entities_that_name_one_tables_key_differently(tmp_path: Path) -> None:
    avsc = record(URN, {"name": "town", "type": "string"})
    both = DYNAMODB.replace('"urn"', '"urn", "town"')
    write(tmp_path, "one", both + 'table_key = ["urn"]', avsc)
    write(tmp_path, "two", both + 'table_key = ["urn", "town"]', avsc)
    source, one, two = "dynamodb:links-table", "with key urn (N) in one", "with key urn (N), town (S) in two"
    assert conflict(tmp_path) == (
        f"table links-table: found {source} {one}, {source} {two}; allowed: the same in both"
    )


def test_two_entities_that_type_one_tables_key_differently(tmp_path: Path) -> None:
    write(tmp_path, "one", DYNAMODB)
    write(tmp_path, "two", DYNAMODB, record({"name": "urn", "type": "string"}))
    source, one, two = "dynamodb:links-table", "with key urn (N) in one", "with key urn (S) in two"
    assert conflict(tmp_path) == (
        f"table links-table: found {source} {one}, {source} {two}; allowed: the same in both"
    )


def test_a_number_that_one_entity_hashes_and_another_does_not_is_one_attribute(tmp_path: Path) -> None:
    write(tmp_path, "one", DYNAMODB)
    hashed = {"name": "urn", "type": "string", "headwater.private": "hash"}
    write(tmp_path, "two", DYNAMODB + "hashed_numbers = []", record(hashed))
    source = "dynamodb:links-table"
    assert conflict(tmp_path) == (
        f"table links-table: found {source} with key urn (N) in one, {source} with key urn (S) in two; "
        "allowed: the same in both"
    )
    (tmp_path / "entities" / "two" / "entity.toml").write_text(DYNAMODB + 'hashed_numbers = ["urn"]')
    assert tables(load_catalog(tmp_path)) == {"links-table": (KeyAttribute("urn", "N"),)}


def test_two_tables_with_one_alias(tmp_path: Path) -> None:
    write(tmp_path, "one", DYNAMODB + 'alias = "links"')
    write(tmp_path, "two", DYNAMODB.replace("links-table", "links"))
    assert conflict(tmp_path) == (
        "source dynamodb:links: found table links-table in one, table links in two; allowed: the same in both"
    )


def test_history_is_kept_where_it_is_said(tmp_path: Path) -> None:
    kept = load_entity(write(tmp_path, "kept", f"history = true\n{CSV}"))
    assert (kept.history, load_entity(write(tmp_path, "plain")).history) == (True, False)


def test_no_field_has_the_name_of_a_column_of_the_history(tmp_path: Path) -> None:
    avsc = record(URN, {"name": "valid_to", "type": "int"})
    expected = "valid_from, valid_to, operation, event_id, ended_by, ended_by_event_id"
    found = refusal(write(tmp_path, toml=f"history = true\n{CSV}", avsc=avsc))
    assert found == f'history: found "a field valid_to"; allowed: other names than {expected}'
    assert load_entity(write(tmp_path, "plain", avsc=avsc)).history is False


def test_the_function_of_one_history_is_not_the_view_of_another(tmp_path: Path) -> None:
    write(tmp_path, "link", f"history = true\n{CSV}")
    write(tmp_path, "link_at", "history = true\n" + CSV.replace("links", "others"))
    assert conflict(tmp_path) == (
        "history: found it in link and link_at; allowed: in one of them, as history.link_at is the first "
        "one's function"
    )
