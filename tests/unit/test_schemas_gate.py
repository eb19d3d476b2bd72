"""The gate at loading: what no version may change, each with its own text, and a published version."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.catalog.gate import refusals
from schemas.catalog.loader import load_entity, read_entity
from schemas.catalog.published import publish
from schemas.errors import ConfigurationError
from schemas.evolution.rules import RULES

Avro = dict[str, Any]

TOML = """
key = ["urn"]
[[source]]
csv = "links"
mode = "upsert"
"""
URN: Avro = {"name": "urn", "type": "int"}


def decimal(precision: int, scale: int) -> Avro:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def enum(*symbols: str) -> Avro:
    return {"type": "enum", "name": "State", "symbols": list(symbols)}


def time(unit: str) -> Avro:
    return {"type": "long" if unit == "micros" else "int", "logicalType": f"time-{unit}"}


def f(kind: Any, name: str = "f", **more: Any) -> Avro:
    return {"name": name, "type": kind, **more}


def entity(home: Path, *versions: list[Avro], toml: str = TOML) -> Path:
    """The folder of an entity with these versions' fields, `urn` before them unless a version has its own."""
    folder = home / "link"
    folder.mkdir(exist_ok=True)
    (folder / "entity.toml").write_text(toml)
    for number, fields in enumerate(versions, 1):
        own = any("urn" in (each["name"], *each.get("aliases", [])) for each in fields)
        record = {"type": "record", "name": "Link", "fields": fields if own else [URN, *fields]}
        (folder / f"v{number}.avsc").write_text(json.dumps(record))
    return folder


def refusal(folder: Path) -> str:
    """What the error says after naming the folder."""
    with pytest.raises(ConfigurationError) as caught:
        load_entity(folder)
    named, text = str(caught.value).split(": ", 1)
    assert named == str(folder)
    return text


REFUSED = [
    (None, f("int"), "added without a default"),
    (f("int", default=1), f("int", default=2), "default changed"),
    (f("int", default=1), f("int"), "default changed"),
    (f(["null", "int"]), f("int"), "null forbidden"),
    (f("string", maxLength=5), f("string", maxLength=4), "shorter"),
    (f("string"), f("string", maxLength=1_000), "shorter"),
    (f(decimal(9, 2)), f(decimal(9, 3)), "fewer digits"),
    (f(decimal(9, 2)), f(decimal(9, 1)), "fewer digits"),
    (f(enum("a", "b")), f(enum("a", "c")), "symbol removed"),
    (f(time("micros")), f(time("millis")), "coarser time"),
    (f("long"), f("int"), "kind changed"),
    (f("long"), f("double"), "kind changed"),
    (f("int"), f("string"), "kind changed"),
    (f("long"), f("string", **{"headwater.casts": ["int"]}), "kind changed"),
    (f("long"), f(decimal(20, 2)), "kind changed"),
    (f(enum("a", "bcd")), f("string", maxLength=2), "kind changed"),
]


@pytest.mark.parametrize(("old", "new", "rule"), REFUSED)
def test_a_change_that_is_refused(tmp_path: Path, old: Avro | None, new: Avro, rule: str) -> None:
    folder = entity(tmp_path, [old] if old else [], [new])
    what, remedy = RULES[rule].what, RULES[rule].remedy
    assert refusal(folder) == f"v2.avsc, field f: {rule} since v1.avsc: {what}; allowed: {remedy}"
    assert read_entity(folder).schema.version == 2


def test_a_name_is_never_used_again(tmp_path: Path) -> None:
    folder = entity(tmp_path, [f("int")], [], [f("int", default=1)])
    assert refusal(folder).startswith("v3.avsc, field f: name reused since v2.avsc: ")
    dropped = f("string", **{"headwater.private": "drop"})
    folder = entity(tmp_path, [f("string")], [dropped], [f("string", default="")])
    assert refusal(folder).startswith("v3.avsc, field f: name reused since v2.avsc: ")


def test_a_key_field_of_another_kind_is_a_new_entity(tmp_path: Path) -> None:
    folder = entity(tmp_path, [URN], [{"name": "urn", "type": "string", "headwater.casts": ["int"]}])
    assert refusal(folder) == (
        "v2.avsc, field urn: key changed since v1.avsc: different key fields, or a key field with a "
        "different kind or privacy; a different `from` or `format` is allowed; allowed: a changed key is a "
        "new entity"
    )


def test_a_key_field_made_private_or_less_so_is_a_new_entity(tmp_path: Path) -> None:
    text = {"name": "urn", "type": "string"}
    hashed = {**text, "headwater.private": "hash"}
    for versions in ([text], [hashed]), ([hashed], [text]):
        folder = entity(tmp_path, *versions)
        [found] = refused_rules(folder)
        assert found == "key changed"
        assert refusal(folder).startswith("v2.avsc, field urn: key changed since v1.avsc: ")


def refused_rules(folder: Path) -> list[str]:
    return [found.rule.name for found in refusals(read_entity(folder), {})]


DATE, LOCAL = (
    {"type": "int", "logicalType": "date"},
    {"type": "long", "logicalType": "local-timestamp-micros"},
)
MOMENT = {"type": "long", "logicalType": "timestamp-micros"}


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (DATE, "%d/%m/%Y", "%m/%d/%Y"),
        (DATE, "%d/%m/%y", "%y/%m/%d"),
        (DATE, None, "%Y-%d-%m"),
        (DATE, "%Y-%d-%m", None),
        (time("millis"), "%H:%M", "%M:%H"),
        (time("micros"), None, "%M:%H:%S"),
        (LOCAL, "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"),
        (LOCAL, None, "%Y-%d-%m %H:%M:%S"),
        (MOMENT, "epoch-seconds", "epoch-millis"),
        (MOMENT, "%Y%m%d", "epoch-seconds"),
        ("boolean", "Y|N", "N|Y"),
        ("boolean", "N|X", "Y|N"),
        ("boolean", None, "FALSE|TRUE"),
    ],
)
def test_a_key_field_whose_texts_mean_other_values_is_told_as_that(
    tmp_path: Path, kind: Any, old: str | None, new: str | None
) -> None:
    folder = entity(tmp_path, *formats(kind, old, new))
    [change] = load_entity(folder).evolution.changes(1, 2)
    assert (change.field, change.rule) == ("urn", RULES["key text reinterpreted"])


def formats(kind: Any, *given: str | None) -> list[list[Avro]]:
    return [[f(kind, "urn", **({} if each is None else {"format": each}))] for each in given]


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (DATE, "%d/%m/%Y", None),
        (DATE, None, "%d/%m/%Y"),
        (DATE, "%d/%m/%Y", "%d/%m/%y"),
        (DATE, "%Y%m%d", "%Y-%m-%d"),
        (DATE, "%Y-%m-%d", None),
        (time("micros"), "%H:%M", None),
        (LOCAL, None, "%Y-%m-%d %H:%M"),
        (MOMENT, "epoch-seconds", None),
        (MOMENT, None, "%Y-%m-%dT%H:%M:%S%z"),
        ("boolean", "Y|N", "1|0"),
        ("boolean", None, "True|False"),
    ],
)
def test_a_key_field_that_is_written_otherwise_is_the_same_key(
    tmp_path: Path, kind: Any, old: str | None, new: str | None
) -> None:
    folder = entity(tmp_path, *formats(kind, old, new))
    assert refused_rules(folder) == []
    [change] = read_entity(folder).evolution.changes(1, 2)
    assert (change.field, change.rule) == ("urn", RULES["key mapping changed"])


def test_a_key_field_from_another_column_is_for_a_person_to_look_at(tmp_path: Path) -> None:
    renamed = {"name": "link", "type": "int", "aliases": ["urn"], "from": {"csv:links": "URN"}}
    folder = entity(tmp_path, [URN], [renamed], toml=TOML.replace("urn", "link"))
    rules = [change.rule.name for change in load_entity(folder).evolution.changes(1, 2)]
    assert rules == ["field renamed", "key mapping changed"]


@pytest.mark.parametrize("later", [enum("a", "b", "c"), "string"])
def test_a_key_of_symbols_may_have_more(tmp_path: Path, later: Any) -> None:
    folder = entity(tmp_path, [f(enum("a", "b"), "urn")], [f(later, "urn")])
    assert load_entity(folder).schema.version == 2


def test_what_is_read_otherwise_outside_the_key_is_nobodys_concern(tmp_path: Path) -> None:
    versions = [[f("int", "urn"), f(DATE, format=each)] for each in ("%d/%m/%Y", "%m/%d/%Y")]
    [change] = load_entity(entity(tmp_path, *versions)).evolution.changes(1, 2)
    assert change.rule == RULES["mapping changed"]


def test_a_key_field_that_may_be_longer_or_has_a_new_name_is_the_same_key(tmp_path: Path) -> None:
    renamed = {"name": "school", "type": "long", "aliases": ["urn"]}
    folder = entity(tmp_path, [URN], [renamed], toml=TOML.replace("urn", "school"))
    made = load_entity(folder)
    assert [schema.key for schema in made.versions] == [("urn",), ("school",)]
    assert [(column.name, column.field.name) for column in made.columns] == [("urn", "school")]


def test_a_key_field_that_the_source_says_otherwise_is_the_same_key(tmp_path: Path) -> None:
    """Its column has another name, and dates another form: the dates are those that they were."""
    day = {"name": "day", "type": {"type": "int", "logicalType": "date"}, "from": "Day", "format": "%d-%m-%Y"}
    said = {**day, "from": "DAY", "format": "%Y-%m-%d"}
    folder = entity(tmp_path, [day], [said], toml=TOML.replace("urn", "day"))
    assert [schema.key for schema in load_entity(folder).versions] == [("day",), ("day",)]
    changes = load_entity(folder).evolution.changes(1, 2)
    assert [change.rule.name for change in changes] == ["key mapping changed"]


def test_a_key_that_an_older_version_has_not_got(tmp_path: Path) -> None:
    folder = entity(
        tmp_path, [f("int")], [f("int"), f("int", "g", default=0)], toml=TOML.replace('"urn"', '"urn", "g"')
    )
    assert "key: not a field of v1.avsc: found" in refusal_of_file(folder)


def refusal_of_file(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_entity(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("urn", "allowed"),
    [
        ({"name": "urn", "type": ["null", "int"]}, "no field that may be null"),
        (
            {"name": "urn", "type": "string", "headwater.private": "mask"},
            "no masked field: two rows would have one key",
        ),
    ],
)
def test_a_key_field_of_the_newest_version_that_is_none(tmp_path: Path, urn: Avro, allowed: str) -> None:
    folder = entity(tmp_path, [URN if "null" in urn["type"] else {**URN, "type": "string"}], [urn])
    assert refusal_of_file(folder).endswith(f'entity.toml: key: found "urn"; allowed: {allowed}')


# Aliases


def test_an_alias_that_no_older_version_has(tmp_path: Path) -> None:
    folder = entity(tmp_path, [f("int")], [f("int", "g", aliases=["h"])])
    where = "v2.avsc, field g, aliases: not a name of an older version"
    assert refusal(folder) == f'{where}: found "h"; allowed: f, urn'


def test_an_alias_that_clashes(tmp_path: Path) -> None:
    folder = entity(tmp_path, [f("int")], [f("int"), f("int", "g", aliases=["f"])])
    allowed = "a name that is not a field of this version"
    assert refusal(folder) == f'v2.avsc, field g, aliases: found "f"; allowed: {allowed}'
    folder = entity(tmp_path, [f("int"), f("int", "h")], [f("int", "g", aliases=["f", "h"])])
    assert "allowed: names of one field: the version before has several of them" in refusal(folder)


def test_a_name_that_changes_twice_is_one_column(tmp_path: Path) -> None:
    folder = entity(
        tmp_path, [f("int")], [f("int", "g", aliases=["f"])], [f("long", "h", aliases=["f", "g"])]
    )
    [_, column] = load_entity(folder).columns
    assert (column.name, column.field.name, column.field.kind) == ("f", "h", "long")


# Versions


def test_two_versions_with_one_content(tmp_path: Path) -> None:
    folder = entity(tmp_path, [f("int")], [f("int", doc="a better word")])
    assert refusal(folder) == (
        "v2.avsc: equals v1.avsc; allowed: a version that differs in more than documentation"
    )


def test_a_published_version_never_changes(tmp_path: Path) -> None:
    folder = entity(tmp_path, [f("int")])
    publish(folder, load_entity(folder))
    was = load_entity(folder).schema.fingerprint.hex()
    entity(tmp_path, [f("long")])
    now = read_entity(folder).schema.fingerprint.hex()
    assert refusal(folder) == (
        f"v1.avsc: is published as {was} and was changed: its fingerprint is {now}; allowed: the file and "
        "the entity's key as they were published: a change is a new version, v2.avsc"
    )
    with pytest.raises(ConfigurationError, match="is published"):
        publish(folder, read_entity(folder))


def test_a_published_version_is_never_taken_away(tmp_path: Path) -> None:
    folder = entity(tmp_path, [f("int")], [f("long")])
    publish(folder, load_entity(folder))
    (folder / "v2.avsc").unlink()
    assert "v2.avsc: is published as" in refusal(folder)
    assert "and is missing" in refusal(folder)
    assert refusal(folder).endswith("a change is a new version, v3.avsc")


def test_documentation_of_a_published_version_may_change(tmp_path: Path) -> None:
    folder = entity(tmp_path, [f("int")])
    publish(folder, load_entity(folder))
    entity(tmp_path, [f("int", doc="a better word")])
    assert load_entity(folder).schema.version == 1


@pytest.mark.parametrize(
    "text", ["[", "[]", '{"v1.avsc": 5}', '{"v1.avsc": "00", "v1.avsc": "01"}', "[" * 100_000, "\ufffe"]
)
def test_a_list_of_published_versions_that_is_none(tmp_path: Path, text: str) -> None:
    folder = entity(tmp_path, [f("int")])
    (folder / "published.json").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_entity(folder)
    assert str(caught.value).startswith(f"{folder / 'published.json'}: ")


def test_every_rule_tells_what_and_what_to_do() -> None:
    assert all(rule.what and rule.remedy for rule in RULES.values())
    assert len({rule.what for rule in RULES.values()}) == len(RULES)
