"""Settings of entity.toml that decide keys and positions: recorded by publish and compared from then on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from schema_homes import Avro, Schemas, entity, f

from schemas.catalog.gate import findings, refusals
from schemas.catalog.loader import load_entity, read_entity
from schemas.catalog.published import publish, read_published
from schemas.errors import ConfigurationError
from schemas.evolution.rules import SETTING_RULES
from schemas.sources.kinds import KINDS

FEED = 'key = ["urn"]\n[[source]]\ncsv = "things"\nmode = "{mode}"\n'
UPSERT, SNAPSHOT = FEED.replace("{mode}", "upsert"), FEED.replace("{mode}", "snapshot")
TABLE = 'key = ["urn"]\n[[source]]\ndynamodb = "things"\n'
OTHER = '[[source]]\ncsv = "others"\nmode = "upsert"\n'
DATED = UPSERT + 'effective = "a_%Y%m%d.csv"\n'


def rules(folder: Path) -> list[str]:
    return [each.rule.name for each in findings(read_entity(folder), read_published(folder))]


def published(home: Path, toml: str, *fields: Avro) -> Path:
    folder = entity(home, "thing", [*fields], toml=toml)
    publish(folder, load_entity(folder))
    assert rules(folder) == []
    return folder


@pytest.mark.parametrize(
    ("before", "now", "rule"),
    [
        (UPSERT, DATED, "order of files changed"),
        (DATED, UPSERT, "order of files changed"),
        (SNAPSHOT, SNAPSHOT + 'effective = "%Y-%m-%d.csv"\n', "order of files changed"),
        (DATED, UPSERT + 'effective = "a_%Y%d%m.csv"\n', "order of files changed"),
        (DATED, UPSERT + 'effective = "b-%Y-%m-%d.csv"\n', "date pattern changed"),
        (UPSERT, UPSERT.replace("things", "thing"), "source renamed"),
        (TABLE, TABLE.replace("things", "thing"), "source renamed"),
        (TABLE, TABLE + 'alias = "other"\n', "source renamed"),
        (UPSERT + OTHER, UPSERT, "source removed"),
        (TABLE, UPSERT, "source removed"),
        (UPSERT, SNAPSHOT, "mode changed"),
        (SNAPSHOT, UPSERT, "mode changed"),
        (UPSERT, UPSERT + 'encoding = "cp1252"\n', "parsing changed"),
        (UPSERT, UPSERT + 'delimiter = ";"\n', "parsing changed"),
        (UPSERT, UPSERT + 'header = ["urn"]\n', "parsing changed"),
        (UPSERT, UPSERT + "trim = true\n", "parsing changed"),
        (TABLE, TABLE + 'where = { kind = "A" }\n', "selection changed"),
        (
            TABLE + 'alias = "things"\n',
            TABLE.replace("things", "new") + 'alias = "things"\n',
            "table changed",
        ),
    ],
)
def test_a_setting_that_changes(tmp_path: Path, before: str, now: str, rule: str) -> None:
    folder = published(tmp_path, before)
    entity(tmp_path, "thing", [], toml=now)
    assert rules(folder) == [rule]
    if SETTING_RULES[rule].category.word == "refused":
        with pytest.raises(ConfigurationError, match=rule):
            load_entity(folder)
        with pytest.raises(ConfigurationError, match=rule):
            publish(folder, read_entity(folder))
    else:
        publish(folder, load_entity(folder))
        assert rules(folder) == []


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (UPSERT, UPSERT + "min_rows = 5\nreject_limit = 0.5\n"),
        (UPSERT, 'unknown = "ignore"\nhistory = true\n' + UPSERT),
        (UPSERT, UPSERT + 'encoding = "UTF8"\ntrim = false\nheader = true\n'),
        (UPSERT, UPSERT + OTHER),
        (UPSERT + OTHER, 'prefer = ["csv:others", "csv:things"]\n' + UPSERT + OTHER),
        (UPSERT + OTHER, UPSERT.replace("things", "others") + OTHER.replace("others", "things")),
        (TABLE, TABLE + 'alias = "things"\ntable_key = ["urn"]\n'),
    ],
)
def test_a_setting_that_decides_neither_key_nor_position_is_free(
    tmp_path: Path, before: str, now: str
) -> None:
    folder = published(tmp_path, before)
    entity(tmp_path, "thing", [], toml=now)
    assert rules(folder) == []


@pytest.mark.parametrize(("mode", "rule"), [(UPSERT, "key texts changed"), (SNAPSHOT, "parsing changed")])
def test_trim_decides_a_key_of_text_unless_a_sweep_removes_the_former_keys(
    tmp_path: Path, mode: str, rule: str
) -> None:
    toml = mode.replace('"urn"', '"urn", "code"')
    folder = published(tmp_path, toml, f("string", "code"))
    entity(tmp_path, "thing", [f("string", "code")], toml=toml + "trim = true\n")
    assert rules(folder) == [rule]


def test_every_rule_about_a_setting_is_used_and_every_setting_explained() -> None:
    settings = [setting for kind in KINDS.values() for setting in kind.settings]
    assert {rule for setting in settings for rule in setting.rules} == {*SETTING_RULES}
    assert [setting.name for setting in settings if not setting.why] == []


def test_a_source_that_comes_back_is_compared_with_what_it_was(tmp_path: Path) -> None:
    folder = published(tmp_path, UPSERT + OTHER)
    entity(tmp_path, "thing", [], toml=UPSERT)
    publish(folder, load_entity(folder))
    entity(tmp_path, "thing", [], toml=UPSERT + OTHER + 'effective = "%Y%m%d.csv"\n')
    assert rules(folder) == ["order of files changed"]
    entity(tmp_path, "thing", [], toml=UPSERT + OTHER)
    assert rules(folder) == []


def test_one_published_before_settings_were_recorded_loads_and_is_recorded_by_the_next_publish(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published(tmp_path, UPSERT)
    versions = {name: text for name, text in read_published(folder).items() if name.endswith(".avsc")}
    (folder / "published.json").write_text(json.dumps(versions))
    entity(tmp_path, "thing", [], toml=DATED)
    assert not list(refusals(load_entity(folder), read_published(folder)))
    assert rules(folder) == []
    told = Schemas(tmp_path, capsys).run("check").err
    assert "thing: published before settings of sources were recorded" in told
    publish(folder, load_entity(folder))
    assert "before settings" not in Schemas(tmp_path, capsys).run("check").err
    assert rules(folder) == []
    entity(tmp_path, "thing", [], toml=UPSERT)
    assert rules(folder) == ["order of files changed"]


def test_a_refusal_names_the_setting_what_is_published_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published(tmp_path, UPSERT)
    entity(tmp_path, "thing", [], toml=DATED)
    schemas = Schemas(tmp_path, capsys)
    [found] = schemas.found()
    assert (found["from"], found["to"], found["field"]) == (
        *("published", "entity.toml"),
        "csv:things, effective",
    )
    assert schemas.run("check").code == 2
    assert schemas.run("publish").code == 2
    with pytest.raises(ConfigurationError) as caught:
        load_entity(tmp_path / "entities" / "thing")
    assert 'entity.toml, csv:things, effective: order of files changed: is published as "null"' in str(
        caught.value
    )
    assert "restore what is published" in str(caught.value)
