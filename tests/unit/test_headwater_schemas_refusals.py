"""What `headwater schemas check` refuses, each in its own words, and everything at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from schema_homes import (
    ADDED,
    HIDDEN,
    REBUILT,
    URN,
    Schemas,
    entity,
    f,
    optional,
    pairs,
    warehouse_of,
    write,
)

from schemas.catalog.loader import load_entity, read_entity
from schemas.errors import ConfigurationError

pytest_plugins = ("schemas_home",)


def broken_home(home: Path) -> None:
    entity(home, "aaa", [f("int")], [f("boolean"), f("int", "g")])
    damaged = entity(home, "bbb", [f("int")])
    (damaged / "v1.avsc").write_text("{")
    entity(home, "ccc", [f("int")], [f("int", doc="a better word")], [f("int", "h", aliases=["i"])])
    entity(home, "ddd", [f("int")], ADDED)


def test_all_problems_of_all_entities_are_told(schemas: Schemas) -> None:
    broken_home(schemas.home)
    found = [(each["entity"], each["rule"]) for each in schemas.found()]
    assert schemas.run("check").code == 2
    assert {
        ("aaa", "kind changed"),
        ("aaa", "added without a default"),
        ("bbb", "malformed"),
        ("ccc", "equal versions"),
        ("ccc", "unknown alias"),
        ("ddd", "field added"),
    } <= set(found)
    assert schemas.run("check", "ddd").code == 0


def test_two_entities_of_one_feed_are_refused(schemas: Schemas) -> None:
    entity(schemas.home, "link", [])
    entity(schemas.home, "other", [], toml='key = ["urn"]\n[[source]]\ncsv = "link"\nmode = "upsert"\n')
    assert "feed link: found it in link and other; allowed: one entity for a feed" in refusal(schemas)


def refusal(schemas: Schemas) -> str:
    """The only one, and that people are told it too."""
    [found] = [each for each in schemas.found() if each["category"] == "refused"]
    done = schemas.run("check")
    assert done.code == 2
    assert found["remedy"] in done.out
    return str(found["remedy"])


def gap(home: Path) -> None:
    folder = entity(home, "link", [f("int")])
    write(folder, 3, [f("int")])


def clash(home: Path) -> None:
    entity(home, "link", [f("int")], [f("int"), f("int", "g", aliases=["f"])])


def first_version_gone(home: Path) -> None:
    folder = entity(home, "link", [f("int")], [f("long")])
    (folder / "v1.avsc").unlink()


def clash_of_two(home: Path) -> None:
    entity(home, "link", [f("int"), f("int", "g")], [f("int", "h", aliases=["f", "g"])])


def clash_with_itself(home: Path) -> None:
    entity(home, "link", [f("int")], [f("int", aliases=["f"])])


def default_of_another_branch(home: Path) -> None:
    entity(home, "link", [f("int")], [f("int"), f(["null", "int"], "g", default=5)])


def default_of_a_symbol_that_is_none(home: Path) -> None:
    state = {"type": "enum", "name": "State", "symbols": ["open", "closed"]}
    entity(home, "link", [f("int")], [f("int"), f(state, "g", default="opne")])


def dropped_no_more(home: Path) -> None:
    entity(
        home, "link", [f("string", **{"headwater.private": "drop"}), optional("g")], [HIDDEN, optional("g")]
    )


def odd(text: str) -> Any:
    """A first version whose second field has these properties."""

    def make(home: Path) -> None:
        fields = f'{{"name": "urn", "type": "int"}}, {{"name": "f", {text}}}'
        record = f'{{"type": "record", "name": "Row", "fields": [{fields}]}}'
        (entity(home, "link", []) / "v1.avsc").write_text(record)

    return make


def everything_dropped(home: Path) -> None:
    write(entity(home, "link", []), 1, [URN | {"headwater.private": "drop"}])


def default_of_another_type(home: Path) -> None:
    entity(home, "link", [f("int")], [f("int"), f("int", "g", default="none")])


def key_made_nullable(home: Path) -> None:
    write(entity(home, "link", [], []), 2, [{"name": "urn", "type": ["null", "int"], "default": None}])


def malformed(home: Path) -> None:
    (entity(home, "link", []) / "v1.avsc").write_text('{"type": "record",}')


def equal(home: Path) -> None:
    entity(home, "link", [f("int")], [f("int", doc="a better word")])


def unknown_alias(home: Path) -> None:
    entity(home, "link", [f("int")], [f("int"), f("int", "g", aliases=["k"], default=1)])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (malformed, "v1.avsc: not JSON: "),
        (gap, "schema: v2.avsc is missing; found v1.avsc, v3.avsc; allowed: v1.avsc, v2.avsc and so on"),
        (
            first_version_gone,
            "schema: v1.avsc is missing; found v2.avsc; allowed: v1.avsc, v2.avsc and so on",
        ),
        (clash, 'v2.avsc, field g, aliases: found "f"; allowed: a name that is not a field of this version'),
        (odd('"type": ' + "[" * 900 + "]" * 900), "v1.avsc: has a number too long, or nesting too deep"),
        (
            odd('"type": "int", "from": "\\ud800"'),
            "v1.avsc: contains half a character, such as \\ud800; allowed",
        ),
        (
            odd('"type": "string", "headwater.private": ["hash"]'),
            'v1.avsc: field f, headwater.private: found ["hash"]; allowed: mask, hash, drop',
        ),
        (
            everything_dropped,
            'link: v1.avsc, fields: found ["urn"]; allowed: at least one that is not dropped',
        ),
        (
            clash_of_two,
            'v2.avsc, field h, aliases: found ["f", "g"]; allowed: names of one field: the version before '
            "has several of them",
        ),
        (
            clash_with_itself,
            'v2.avsc: field f, aliases: found ["f"]; allowed: a list of older names of this field, each once',
        ),
        (
            default_of_another_branch,
            "v2.avsc: field g, default: found 5; allowed: null: a default is of the union's first type",
        ),
        (
            default_of_a_symbol_that_is_none,
            'v2.avsc: field g, default: found "opne"; allowed: a value of enum, as Avro writes defaults',
        ),
        (
            default_of_another_type,
            'v2.avsc: field g, default: found "none"; allowed: a value of int, as Avro',
        ),
        (key_made_nullable, 'entity.toml: key: found "urn"; allowed: no field that may be null'),
        (
            equal,
            "v2.avsc: equals v1.avsc; allowed: a version that differs in more than documentation",
        ),
        (
            unknown_alias,
            'v2.avsc, field g, aliases: not a name of an older version: found "k"; allowed: f, urn',
        ),
    ],
)
def test_bad_input_is_told_in_its_own_words(schemas: Schemas, make: Any, text: str) -> None:
    make(schemas.home)
    assert text in refusal(schemas)


def test_an_edited_published_version_is_refused(schemas: Schemas) -> None:
    folder = entity(schemas.home, "link", [f("int")])
    assert schemas.run("publish").code == 0
    was = read_entity(folder).schema.fingerprint.hex()
    entity(schemas.home, "link", [f("long")])
    now = read_entity(folder).schema.fingerprint.hex()
    assert refusal(schemas) == (
        f"v1.avsc: is published as {was} and was changed: its fingerprint is {now}; allowed: the file and "
        "the entity's key as they were published: a change is a new version, v2.avsc"
    )
    assert schemas.run("publish").code == 2


@pytest.mark.parametrize("file", ["entity.toml", "v1.avsc", "published.json"])
def test_a_file_that_cannot_be_read_is_told_and_hides_no_other_entity(schemas: Schemas, file: str) -> None:
    folder = entity(schemas.home, "link", [f("int")])
    entity(schemas.home, "other", [f("int")], REBUILT)
    (folder / file).unlink(missing_ok=True)
    (folder / file).mkdir()
    assert refusal(schemas) == f"{folder / file}: cannot be read: Is a directory"
    assert ("other", "exact number") in [(each["entity"], each["rule"]) for each in schemas.found()]
    assert schemas.run("publish").code == 2
    assert (
        schemas.run("history", "link").err == f"headwater: {folder / file}: cannot be read: Is a directory\n"
    )


def test_what_was_published_against_a_rule_is_refused_all_the_same(schemas: Schemas) -> None:
    folder = entity(schemas.home, "link", [f("int")], [f("boolean")])
    told = {f"v{each.version}.avsc": each.fingerprint.hex() for each in read_entity(folder).versions}
    (folder / "published.json").write_text(json.dumps(told))
    assert pairs(schemas.found()) == [("v1", "v2", "f", "kind changed")]
    with pytest.raises(ConfigurationError, match=r"kind changed since v1"):
        load_entity(folder)


@pytest.mark.parametrize("mark", ["entity.toml", "v1.avsc"])
def test_a_byte_order_mark_is_no_part_of_a_file(schemas: Schemas, mark: str) -> None:
    folder = entity(schemas.home, "link", [f("int")])
    was = read_entity(folder).schema.fingerprint
    (folder / mark).write_text("\ufeff" + (folder / mark).read_text(), encoding="utf-8")
    assert schemas.run("check").code == 0
    assert read_entity(folder).schema.fingerprint == was


@pytest.mark.parametrize("home", ["nowhere", "empty"])
def test_a_home_without_entities_is_told(schemas: Schemas, home: str) -> None:
    (schemas.home / "empty" / "entities").mkdir(parents=True)
    for command in ("check", "publish"):
        done = schemas.run(command, "--home", schemas.home / home, home=False)
        assert done.code == 2
        assert done.err.startswith(f"headwater: {schemas.home / home / 'entities'}: ")


def test_a_damaged_list_of_published_versions_hides_nothing_else(schemas: Schemas) -> None:
    folder = entity(schemas.home, "link", [f("int")], REBUILT)
    (folder / "published.json").write_text("[")
    found = schemas.found()
    assert [each["rule"] for each in found] == ["exact number", "malformed"]
    assert "published.json: not JSON" in found[1]["remedy"]


def test_privacy_lowered_is_a_rebuild_with_its_warning(schemas: Schemas) -> None:
    entity(schemas.home, "link", [HIDDEN], [f("string")])
    done = schemas.run("check")
    assert done.code == 3
    assert "made less private" in done.out
    assert (
        "run `headwater replay rebuild link` with the new version before its consumers and producers, after "
        "the person responsible for privacy has agreed: existing values become NULL"
    ) in done.out


def test_privacy_lowered_is_told_of_the_live_table_too_until_it_is_rebuilt(schemas: Schemas) -> None:
    folder = entity(schemas.home, "link", [HIDDEN])
    url = warehouse_of(schemas, folder)
    entity(schemas.home, "link", [HIDDEN], [HIDDEN | {"headwater.private": "mask"}])
    assert schemas.run("publish").code == 0
    done = schemas.run("check", "--warehouse", url)
    assert done.code == 3
    [found] = schemas.found("--warehouse", url)
    assert (found["from"], found["rule"], found["category"]) == (
        "table r1 (v1)",
        "made less private",
        "rebuild",
    )
    assert "after the person responsible for privacy has agreed: existing values become NULL" in done.out


def test_a_field_that_was_dropped_is_never_hidden_less(schemas: Schemas) -> None:
    dropped_no_more(schemas.home)
    found = [(each["rule"], each["remedy"]) for each in schemas.found() if each["category"] == "refused"]
    assert ("name reused", "use a new name") in found
    assert schemas.run("check").code == 2


def test_a_name_that_is_no_entity_tells_the_nearest(schemas: Schemas) -> None:
    entity(schemas.home, "link", [])
    done = schemas.run("check", "lnk")
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        'headwater: entity: found "lnk"; did you mean "link"? allowed: link',
    )
