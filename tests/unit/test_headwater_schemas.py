"""`headwater schemas check`, show, diff, history, publish and rules, as a CI and a person call them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from schema_homes import (
    ADDED,
    HIDDEN,
    REBUILT,
    WIDENED,
    Avro,
    Schemas,
    entity,
    f,
    optional,
    pairs,
    warehouse_of,
    write,
)

from schemas.catalog.loader import read_entity
from schemas.catalog.source_settings import settings_as_markdown
from schemas.evolution.rules import FILE_RULES, RULES, SETTING_RULES, rules_as_markdown
from schemas.payload.conversions import casts_as_markdown

pytest_plugins = ("schemas_home",)


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


# The warehouse


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
        f"was created by version 1 with fingerprint {made}, which is none of these versions"
        in found["remedy"]
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
    assert schemas.run("publish").out == "link: v1.avsc, v2.avsc, csv:link\n"
    recorded = (folder / "published.json").read_text()
    assert list(json.loads(recorded))[:3] == ["v1.avsc", "v2.avsc", "csv:link"]
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
    assert {line.split(" | ")[0].removeprefix("| ") for line in lines[2:]} == {
        *RULES,
        *SETTING_RULES,
        *FILE_RULES,
    }
    assert all(line.count("|") == 5 for line in lines)
    assert schemas.run("rules", "--casts", home=False).out == casts_as_markdown() + "\n"
    assert schemas.run("rules", "--settings", home=False).out == settings_as_markdown() + "\n"


@pytest.mark.parametrize(
    ("option", "mark"), [((), "rules"), (("--casts",), "casts"), (("--settings",), "settings")]
)
def test_the_document_has_the_table_that_the_code_prints(
    schemas: Schemas, option: tuple[str, ...], mark: str
) -> None:
    document = (Path(__file__).parents[2] / "docs" / "evolution.md").read_text()
    _, _, after = document.partition(f"<!-- {mark}: written by `headwater schemas rules")
    table = after.partition("-->\n")[2].partition(f"<!-- end of {mark} -->")[0]
    assert table == schemas.run("rules", *option, home=False).out
