"""`headwater schemas check`, show, diff, history, publish and rules, as a CI and a person call them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from schema_homes import URN, Avro, Schemas, entity, f, optional, write

from consumers.warehouse.engines import open_warehouse
from schemas.conversions import casts_as_markdown
from schemas.errors import ConfigurationError
from schemas.loader import load_entity, read_entity
from schemas.rules import FILE_RULES, RULES, rules_as_markdown

HIDDEN = f("string", **{"headwater.private": "hash"})
ADDED, WIDENED, REBUILT = [f("int"), optional("g")], [f("long")], [f("double")]


@pytest.fixture
def schemas(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Schemas:
    for variable in ("HEADWATER_WAREHOUSE", "HEADWATER_WAREHOUSE_SECRET", "HEADWATER_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return Schemas(tmp_path, capsys)


def pairs(found: list[Avro]) -> list[tuple[Any, ...]]:
    return [(each["from"], each["to"], each["field"], each["rule"]) for each in found]


# Categories and exit codes


@pytest.mark.parametrize(
    ("newer", "category", "code"),
    [
        (ADDED, "additive", 0),
        (WIDENED, "widening", 0),
        (REBUILT, "rebuild", 3),
        ([f("boolean")], "refused", 2),
    ],
)
def test_the_worst_category_is_the_exit_code(
    schemas: Schemas, newer: list[Avro], category: str, code: int
) -> None:
    entity(schemas.home, "link", [f("int")], newer)
    assert schemas.run("check").code == code
    assert schemas.json("check")["category"] == category


def test_a_row_names_entity_versions_field_rule_category_and_remedy(schemas: Schemas) -> None:
    entity(schemas.home, "link", [f("int")], REBUILT)
    command = "run `headwater replay rebuild link` with the new version before its consumers and producers"
    assert schemas.found() == [
        {
            "entity": "link",
            "from": "v1",
            "to": "v2",
            "field": "f",
            "rule": "exact number",
            "category": "rebuild",
            "what": RULES["exact number"].what,
            "remedy": command,
        }
    ]
    [line] = schemas.run("check").lines
    assert [*filter(None, map(str.strip, line))] == [
        *("link", "v1", "v2", "f", "exact number", "rebuild"),
        command,
    ]


def test_one_version_has_nothing_to_compare(schemas: Schemas) -> None:
    entity(schemas.home, "link", [f("int")])
    done = schemas.run("check")
    assert (done.code, done.out) == (0, "")
    assert "1 entity: nothing changes" in done.err
    assert schemas.json("check") == {"category": None, "warehouse": False, "findings": []}


def test_the_sample_entities_pass(schemas: Schemas) -> None:
    assert schemas.run("check", home=False).code == 0


# Which versions


def test_every_draft_is_compared_with_all_older_versions(schemas: Schemas) -> None:
    entity(schemas.home, "link", [f("int")], [f("int"), optional("g")], [f("long"), optional("g")])
    assert sorted(pairs(schemas.found())) == [
        ("v1", "v2", "g", "field added"),
        ("v1", "v3", "f", "int to long"),
        ("v1", "v3", "g", "field added"),
        ("v2", "v3", "f", "int to long"),
    ]


def test_for_people_a_change_since_several_versions_is_one_line(schemas: Schemas) -> None:
    entity(schemas.home, "link", [f("int")], [f("long")], [f("long"), optional("g")])
    lines = [[*filter(None, map(str.strip, line))][:5] for line in schemas.run("check").lines]
    assert ["link", "v1 to v2", "v3", "g", "field added"] in lines
    assert "2 widening" in schemas.run("check").err


def test_what_a_published_version_changed_is_not_said_again(schemas: Schemas) -> None:
    folder = entity(schemas.home, "link", [f("int")], REBUILT)
    assert schemas.run("publish").code == 0
    assert schemas.found() == []
    write(folder, 3, [{"name": "urn", "type": "int"}, *REBUILT, optional("g")])
    assert pairs(schemas.found()) == [("v1", "v3", "g", "field added"), ("v2", "v3", "g", "field added")]
    assert schemas.run("check").code == 0
    assert schemas.run("check", "--all").code == 3


# Everything that is wrong, at once


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
        (clash, 'v2.avsc, field g, aliases: found "f"; allowed: a name that is no field of this version'),
        (odd('"type": ' + "[" * 900 + "]" * 900), "v1.avsc: holds a number too long, or nests too deep"),
        (
            odd('"type": "int", "from": "\\ud800"'),
            "v1.avsc: holds half a character, such as \\ud800; allowed",
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
            "v2.avsc: says what v1.avsc says; allowed: a version that differs in more than documentation",
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
        "the entity's key as they were: a change is a new version, v2.avsc"
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
        "whoever answers for privacy has agreed: values so far become NULL"
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
    assert "after whoever answers for privacy has agreed: values so far become NULL" in done.out


def test_a_field_that_was_dropped_is_never_hidden_less(schemas: Schemas) -> None:
    dropped_no_more(schemas.home)
    found = [(each["rule"], each["remedy"]) for each in schemas.found() if each["category"] == "refused"]
    assert ("name used again", "take a new name") in found
    assert schemas.run("check").code == 2


def test_a_name_that_is_no_entity_tells_the_nearest(schemas: Schemas) -> None:
    entity(schemas.home, "link", [])
    done = schemas.run("check", "lnk")
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        'headwater: entity: found "lnk"; did you mean "link"? allowed: link',
    )


# The warehouse


def warehouse_of(schemas: Schemas, folder: Path) -> str:
    url = f"sqlite:///{schemas.home / 'warehouse.db'}"
    warehouse = open_warehouse(url, [load_entity(folder)])
    warehouse.ensure()
    warehouse.close()
    return url


def test_without_a_warehouse_that_is_said(schemas: Schemas) -> None:
    entity(schemas.home, "link", [])
    text = "no warehouse was asked: neither --warehouse nor HEADWATER_WAREHOUSE names one"
    assert text in schemas.run("check").err


def test_the_newest_version_is_compared_with_the_live_table(schemas: Schemas) -> None:
    folder = entity(schemas.home, "link", [f("int")])
    url = warehouse_of(schemas, folder)
    assert schemas.found("--warehouse", url) == []
    entity(schemas.home, "link", [f("int")], REBUILT)
    assert schemas.run("publish").code == 0
    assert schemas.run("check").code == 0
    found = schemas.json("check", "--warehouse", url)
    assert (found["warehouse"], found["category"]) == (True, "rebuild")
    assert pairs(found["findings"]) == [("table r1 (v1)", "v2", "f", "exact number")]
    assert schemas.run("check", "--warehouse", url).code == 3


def test_a_table_of_a_version_that_is_not_here_is_refused(schemas: Schemas) -> None:
    folder = entity(schemas.home, "link", [f("int")])
    url = warehouse_of(schemas, folder)
    made = read_entity(folder).schema.fingerprint.hex()
    entity(schemas.home, "link", [f("long")])
    [found] = schemas.found("--warehouse", url)
    assert (found["rule"], found["category"]) == ("table of another version", "refused")
    assert (
        f"was made by version 1 with fingerprint {made}, which is none of these versions" in found["remedy"]
    )


def test_an_entity_that_the_warehouse_has_not_got_is_no_finding(schemas: Schemas) -> None:
    url = warehouse_of(schemas, entity(schemas.home, "link", [f("int")]))
    entity(schemas.home, "other", [f("int")])
    assert schemas.found("--warehouse", url) == []


def test_a_warehouse_that_is_not_there_hides_no_finding(schemas: Schemas) -> None:
    entity(schemas.home, "link", [f("int")], REBUILT)
    done = schemas.run("check", "--warehouse", f"sqlite:///{schemas.home / 'nowhere.db'}")
    assert done.code == 2
    assert "exact number" in done.out
    assert "there is no warehouse at" in done.err
    assert not (schemas.home / "nowhere.db").exists()


def test_an_empty_database_is_told_as_what_it_is(schemas: Schemas) -> None:
    entity(schemas.home, "link", [f("int")])
    (schemas.home / "empty.db").touch()
    done = schemas.run("check", "--warehouse", f"sqlite:///{schemas.home / 'empty.db'}")
    assert done.code == 2
    assert "bug" not in done.err


# show, diff, history, publish


def evolved(home: Path) -> Path:
    gone = f("string", "secret", **{"from": "Secret", "headwater.private": "drop"})
    return entity(
        home,
        "link",
        [f("int"), f("string", "old", maxLength=9), f("string", "secret", **{"from": "Secret"})],
        [
            f("long", "g", aliases=["f"], default=5, **{"from": "G"}),
            HIDDEN | {"name": "mail"} | {"default": ""},
            gone,
        ],
    )


def test_show_tells_columns_and_what_is_private_retired_or_dropped(schemas: Schemas) -> None:
    evolved(schemas.home)
    shown = schemas.json("show", "link")
    assert (shown["entity"], shown["version"], shown["key"]) == ("link", 2, ["urn"])
    fields = {each["field"]: each for each in shown["fields"]}
    assert list(fields) == ["urn", "g", "mail", "secret", "old"]
    assert fields["g"] | {"default": "5"} == {
        "field": "g",
        "type": "long",
        "null": False,
        "default": "5",
        "column": "f",
        "private": "",
        "from": "G",
        "state": "",
    }
    assert (fields["mail"]["private"], fields["secret"]["private"]) == ("hash", "drop")
    assert (fields["old"]["state"], fields["old"]["type"], fields["old"]["null"]) == (
        "retired",
        "string(9)",
        True,
    )
    assert fields["secret"]["state"] == "dropped"
    assert schemas.run("show", "link").out.startswith("link v2, key urn\nfield ")


def test_show_of_an_older_version_is_as_it_was_then(schemas: Schemas) -> None:
    evolved(schemas.home)
    fields = schemas.json("show", "link", "--version", "1")["fields"]
    assert [(each["field"], each["column"]) for each in fields] == [
        *[("urn", "urn"), ("f", "f"), ("old", "old"), ("secret", "secret")]
    ]
    done = schemas.run("show", "link", "--version", "3")
    assert (done.code, done.err) == (2, "headwater: entity link: found version 3; allowed: 1 to 2\n")


def test_diff_tells_both_sides_and_the_cost(schemas: Schemas) -> None:
    evolved(schemas.home)
    rows = {(each["field"], each["rule"]): each for each in schemas.json("diff", "link", "1", "2")}
    assert rows["g", "int to long"]["before"] == "f int"
    assert rows["g", "int to long"]["after"] == "g long"
    assert rows["g", "int to long"]["category"] == "widening"
    assert (rows["old", "field retired"]["after"], rows["mail", "field added"]["before"]) == (None, None)
    assert ("secret", "made private") in rows
    done = schemas.run("diff", "link", "2", "1")
    assert (done.code, done.err) == (2, "headwater: found versions 2 and 1; allowed: the older one first\n")


def test_history_tells_what_is_published_and_what_changed(schemas: Schemas) -> None:
    folder = entity(schemas.home, "link", [f("int")])
    schemas.run("publish")
    entity(schemas.home, "link", [f("int")], [f("long"), optional("g"), optional("h")])
    first, second = schemas.json("history", "link")
    assert (first["state"], first["changes"]) == ("published", [])
    assert first["fingerprint"] == read_entity(folder).versions[0].fingerprint.hex()
    assert second["state"] == "draft"
    assert second["changes"] == [
        {"category": "widening", "rule": "int to long", "fields": ["f"]},
        {"category": "additive", "rule": "field added", "fields": ["g", "h"]},
    ]
    entity(schemas.home, "link", [f("boolean")])
    assert schemas.json("history", "link")[0]["state"] == "changed"
    assert "field added (g, h): additive" in schemas.run("history", "link").out


def test_publish_records_every_version_and_repeating_changes_nothing(schemas: Schemas) -> None:
    folder = entity(schemas.home, "link", [f("int")], WIDENED)
    assert schemas.run("publish").out == "link: v1.avsc, v2.avsc\n"
    recorded = (folder / "published.json").read_text()
    assert list(json.loads(recorded)) == ["v1.avsc", "v2.avsc"]
    assert schemas.run("publish", "link").out == "link: nothing new\n"
    assert (folder / "published.json").read_text() == recorded
    assert sorted(path.name for path in folder.iterdir()) == [
        *["entity.toml", "published.json", "v1.avsc", "v2.avsc"]
    ]


def test_publish_takes_all_entities_or_none(schemas: Schemas) -> None:
    good = entity(schemas.home, "aaa", [f("int")])
    entity(schemas.home, "link", [f("int")], [f("boolean")])
    done = schemas.run("publish")
    assert (done.code, done.err.splitlines()[-1]) == (2, "nothing was published: these are refused")
    assert "kind changed" in done.out
    assert not (good / "published.json").exists()
    assert schemas.run("publish", "aaa").code == 0


def test_a_rebuild_that_is_needed_is_no_obstacle_to_publish(schemas: Schemas) -> None:
    entity(schemas.home, "link", [f("int")], REBUILT)
    assert schemas.run("publish").code == 0


def test_the_sample_entities_are_published(schemas: Schemas) -> None:
    for entity_name in ("school", "platform_usage", "teacher", "class_group", "subscription"):
        lines = json.loads(schemas.run("history", entity_name, "--json", home=False).out)
        assert {line["state"] for line in lines} == {"published"}


# rules and the documents


def test_rules_prints_every_rule_the_cheapest_first(schemas: Schemas) -> None:
    lines = schemas.run("rules", home=False).out.splitlines()
    assert lines == rules_as_markdown().splitlines()
    assert {line.split(" | ")[0].removeprefix("| ") for line in lines[2:]} == {*RULES, *FILE_RULES}
    assert all(line.count("|") == 5 for line in lines)
    assert schemas.run("rules", "--casts", home=False).out == casts_as_markdown() + "\n"


@pytest.mark.parametrize(("option", "mark"), [((), "rules"), (("--casts",), "casts")])
def test_the_document_has_the_table_that_the_code_prints(
    schemas: Schemas, option: tuple[str, ...], mark: str
) -> None:
    document = (Path(__file__).parents[2] / "docs" / "evolution.md").read_text()
    _, _, after = document.partition(f"<!-- {mark}: written by `headwater schemas rules")
    table = after.partition("-->\n")[2].partition(f"<!-- end of {mark} -->")[0]
    assert table == schemas.run("rules", *option, home=False).out
