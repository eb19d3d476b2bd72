"""`headwater reports new`: what it proposes is right, and what it says where it can propose nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest
from consumers_world import entity, field
from reports_world import CATALOG as SHOP

from consumers.reporting.definition.report import read_report
from consumers.reporting.files import read_reports
from headwater.cli import main
from headwater.exit_codes import DONE, REFUSED
from headwater.scaffold.report_proposal import propose
from schemas.catalog.entity import Catalog, Entity
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError
from schemas.payload.codec import SchemaRegistry

ROOT = Path(__file__).parents[2]
SAMPLES = load_catalog()
JOINED = {
    ("school", "subscription"): ("subscription_id",),
    ("platform_usage", "school"): ("urn", "platform", "month"),
    ("platform_usage", "subscription"): ("urn", "platform", "month", "subscription_id"),
    ("class_group", "teacher"): ("school_key", "class_key"),
}
"""Pairs of the samples that share a column of a key, and what then tells a row."""


def catalog(*entities: Entity) -> Catalog:
    return Catalog({each.name: each for each in entities}, SchemaRegistry([each.schema for each in entities]))


def one_source(name: str, *more: Any) -> Entity:
    made = entity(name, *more)
    return replace(made, sources=made.sources[:1])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "schemas" / "entities", tmp_path / "entities")
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", SAMPLES.entities)
def test_what_is_proposed_for_an_entity_is_right_and_has_all_its_columns(name: str) -> None:
    report = read_report("mine", propose([name], SAMPLES), SAMPLES)
    of = SAMPLES.entities[name]
    assert report.key == report.unit == of.key
    assert set(report.columns) == {column.field.name for column in of.columns}


@pytest.mark.parametrize("pair", list(combinations(SAMPLES.entities, 2)))
def test_what_is_proposed_for_a_pair_is_right_or_told_why_there_is_none(pair: tuple[str, str]) -> None:
    for names in permutations(pair):
        if pair not in JOINED:
            with pytest.raises(
                ConfigurationError, match=f"nothing joins it to {names[0]}: no column of a key"
            ):
                propose(names, SAMPLES)
            continue
        report = read_report("mine", propose(names, SAMPLES), SAMPLES)
        assert set(report.key) == set(JOINED[pair])
        assert report.entities == tuple(sorted(pair))


def test_three_are_joined_in_whatever_order_they_are_named() -> None:
    for names in permutations(["platform_usage", "school", "subscription"]):
        report = read_report("mine", propose(names, SAMPLES), SAMPLES)
        assert set(report.key) == {"urn", "platform", "month", "subscription_id"}


def test_a_school_that_a_row_may_not_have_does_not_take_the_row_away() -> None:
    assert "LEFT JOIN staging.school AS sc ON sc.urn = s.urn" in propose(["subscription", "school"], SAMPLES)
    assert "INNER JOIN staging.subscription AS su" in propose(["school", "subscription"], SAMPLES)


def test_rows_of_several_sources_are_told_apart_by_their_source() -> None:
    several = entity("meter", [field("id", "string")], ["id"])
    report = read_report("mine", propose(["meter"], catalog(several)), catalog(several))
    assert report.key == ("source", "id")
    assert read_report("mine", propose(["product"], SHOP), SHOP).key == ("id",)  # readers see one of them


def test_names_that_two_have_and_words_of_t_sql_are_no_trouble() -> None:
    order = one_source("order", [field("id", "string"), field("group", "string")], ["id"])
    line = one_source(
        "line", [field("no", "int"), field("id", "string"), field("group", "string")], ["id", "no"]
    )
    made = propose(["line", "order"], catalog(line, order))
    assert "o.[group] AS order_group" in made
    assert "LEFT JOIN staging.[order] AS o ON o.id = l.id" in made
    assert read_report("mine", made, catalog(line, order)).key == ("id", "no")


def test_columns_of_one_name_and_different_types_join_nothing() -> None:
    one = one_source("one", [field("id", "string")], ["id"])
    other = one_source("other", [field("id", "int")], ["id"])
    with pytest.raises(ConfigurationError, match="--from other: nothing joins it to one"):
        propose(["one", "other"], catalog(one, other))


def test_an_entity_without_a_key_is_refused() -> None:
    fact = entity("fact", [field("id", "string")], [])
    with pytest.raises(
        ConfigurationError, match="--from fact: it has no key, so that its rows can't be told"
    ):
        propose(["fact"], catalog(fact))


def test_the_command_writes_the_file_and_never_over_one(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reports", "new", "mine", "--from", "school"]) == DONE
    file = home / "reports" / "mine.sql"
    assert f"made {file}: one row for each urn" in capsys.readouterr().err
    assert main(["reports", "check", "mine"]) == DONE
    file.write_text("mine")
    assert main(["reports", "new", "mine"]) == REFUSED
    assert "mine.sql: is there already and is never overwritten" in capsys.readouterr().err
    assert file.read_text() == "mine"


def test_without_from_it_is_a_report_to_begin_with(home: Path) -> None:
    assert main(["reports", "new", "mine"]) == DONE
    assert list(read_reports(home, SAMPLES).right) == ["mine"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["My Report"], 'NAME: found "My Report"; allowed: lower snake case'),
        (["school", "--from", "school"], 'table: found "school"; allowed: a name that no entity has'),
        (["mine", "--from", "scool"], 'entity: found "scool"; did you mean "school"?'),
        (["mine", "--from", "school", "school"], "an entity is named twice: name each once"),
        (["mine", "--from", "school", "teacher"], "nothing joins it to school: no column of a key"),
    ],
)
def test_what_can_not_be_proposed_is_told_and_leaves_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["reports", "new", *words]) == REFUSED
    assert said in capsys.readouterr().err
    assert not (home / "reports").exists()


def test_samples_are_nobodys_to_add_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    monkeypatch.delenv("HEADWATER_HOME")
    assert main(["reports", "new", "mine"]) == REFUSED
    assert "--out: name the folder that holds your entities/ and reports/, or set HEADWATER_HOME" in (
        capsys.readouterr().err
    )
    assert main(["reports", "new", "mine", "--out", str(home)]) == DONE
    assert (home / "reports" / "mine.sql").is_file()
