"""`headwater capacity`: its figures follow the code and the templates, and bad input is refused."""

import json
import re
import shlex
import xml.etree.ElementTree as ET
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from dynamodb_world import ORDER, event

from headwater.capacity.assumptions import Assumptions, described
from headwater.capacity.flow import through
from headwater.capacity.routing import fullest_share
from headwater.cli import main
from headwater.deployment.tables import tables_template
from headwater.exit_codes import DONE, REFUSED
from headwater.prices import UNITS
from producers.kinesis import InMemoryStream
from producers.publisher import Publisher
from producers.schema_log import InMemorySchemaLog
from schemas.event import BUCKETS, encode_event, partition_key
from schemas.log.kpl import parse_aggregate

ROOT = Path(__file__).resolve().parents[2]
LOAD = ("--events-per-second", "1000", "--bytes", "600")


def capacity(*words: str) -> int:
    return main(["capacity", *words])


def document(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert capacity(*words, "--json") == DONE
    return json.loads(capsys.readouterr().out)


class Loader(yaml.SafeLoader):
    """Reads tags of CloudFormation as their plain arguments."""


Loader.add_multi_constructor("!", lambda loader, _tag, node: getattr(node, "value", None))


def template(name: str) -> Any:
    return yaml.load((ROOT / "cfn" / f"{name}.yaml").read_text(), Loader)


# --- What the model has of the code -------------------------------------------------------------------------


def test_figures_of_templates_are_those_of_the_templates() -> None:
    given = Assumptions()
    stream, consumers = template("stream"), template("consumers")
    hints = stream["Resources"]["Delivery"]["Properties"]["ExtendedS3DestinationConfiguration"][
        "BufferingHints"
    ]
    assert given.shards == stream["Parameters"]["ShardCount"]["MaxValue"]
    assert given.retention_hours == stream["Parameters"]["RetentionHours"]["Default"]
    assert given.delivery_bytes == hints["SizeInMBs"] * 1024**2
    assert given.delivery_seconds == hints["IntervalInSeconds"]
    assert given.batch_records == consumers["Parameters"]["BatchSize"]["Default"]
    assert given.consumer_memory == consumers["Parameters"]["ConsumerMemory"]["Default"] / 1_000
    assert given.producer_memory == template("producers")["Parameters"]["DynamoDbMemory"]["Default"] / 1_000


def test_figures_of_the_mappings_of_tables_are_those_that_are_rendered() -> None:
    rendered = json.dumps(tables_template(["orders"], create=False))
    assert f'"BatchSize": {Assumptions().source_batch}' in rendered
    assert f'"MaximumBatchingWindowInSeconds": {Assumptions().source_window}' in rendered


@pytest.mark.parametrize("shards", [1, 3, 16, 50])
def test_events_per_record_are_those_of_the_publisher(shards: int) -> None:
    """One call of a producer with 1,000 events of one entity, as the mapping of a table hands them over."""
    stream = InMemoryStream(shards)
    publisher = Publisher(stream, InMemorySchemaLog(), sleep=lambda _: None)
    for number in range(1_000):
        publisher.add(event(number), ORDER.schema)
    publisher.flush()
    (call,) = stream.calls
    size = len(encode_event(event(1)))
    flow = through(1_000, size, shards, Assumptions())
    fullest = max(len(parse_aggregate(entry.payload)) for entry in call)
    assert len(call) <= shards
    assert flow.call_events == 1_000
    assert flow.record_events == pytest.approx(fullest, rel=0.35)


def test_buckets_are_placed_where_kinesis_routes_them() -> None:
    stream = InMemoryStream(7)
    starts = [shard.start for shard in stream.shards()]
    assert starts[1] - starts[0] == pytest.approx(2**128 / 7)
    keys = [partition_key("entity1", bucket) for bucket in range(BUCKETS)]
    assert len(set(keys)) == BUCKETS
    assert fullest_share(1, 1) == 1
    assert fullest_share(7, 1) >= 1 / 7


# --- The command --------------------------------------------------------------------------------------------


def test_a_rate_has_its_limits_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    (rate,) = document(capsys, *LOAD)["rates"]
    met = [limit["met_at_events_per_second"] for limit in rate["limits"]]
    assert rate["shards"] == 1
    assert met == sorted(met, key=lambda rate: rate or float("inf"))
    assert all(limit["remedy"] for limit in rate["limits"])


def test_rates_from_ten_to_a_million_give_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    rates = ["10", "100", "1000", "10000", "100000", "1000000"]
    assert capacity("--events-per-second", *rates, "--bytes", "600") == DONE
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(rates) + 3
    assert "none suffices" in lines[7], "one entity has 256 buckets"
    assert lines[-2].startswith("The first limit at this size of event: storage of the warehouse")


def test_a_replaced_figure_counts_and_every_figure_is_explained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "figures.toml"
    file.write_text("shard_write_bytes = 2_000\nentities = 2\n")
    found = document(capsys, *LOAD, "--assumptions", str(file), "--assume", "entities=5")
    assert found["rates"][0]["shards"] > 300
    assert found["assumptions"]["entities"] == 5
    assert capacity(*LOAD, "--explain") == DONE
    shown = capsys.readouterr().out
    for figure in described(Assumptions()):
        assert figure.name in shown
        assert figure.origin


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ("--events-per-second", "0", "--bytes", "600"),
            "--events-per-second: found 0.0; allowed: a number above 0",
        ),
        (("--events-per-second=-5", "--bytes", "600"), "found -5.0"),
        (("--events-per-second", "nan", "--bytes", "600"), "--events-per-second: found"),
        (("--events-per-second", "inf", "--bytes", "600"), "--events-per-second: found"),
        (("--events-per-second", "10", "0", "--bytes", "600"), "found 0.0"),
        (("--events-per-second", "10", "--bytes", "0"), "--bytes: found 0; allowed: 18 to 1,000,000"),
        (("--events-per-second", "10", "--bytes=-1"), "--bytes: found -1"),
        (("--events-per-second", "10", "--bytes", "1000001"), "--bytes: found 1000001"),
        ((*LOAD, "--hours-off", "1.5"), "--hours-off: found 1.5; allowed: a share, 0 to 1"),
        ((*LOAD, "--assume", "entity=5"), 'did you mean "entities"?'),
        ((*LOAD, "--assume", "entities"), "allowed: NAME=NUMBER"),
        ((*LOAD, "--assume", "entities=many"), "allowed: NAME=NUMBER"),
        ((*LOAD, "--assume", "entities=1.5"), "allowed: a whole number"),
        ((*LOAD, "--assume", "history=2"), "allowed: a share, at most 1"),
        ((*LOAD, "--assume", "shards=0"), "allowed: a number above 0"),
        ((*LOAD, "--assume", "byte_seconds=-1"), "allowed: 0 or more"),
        ((*LOAD, "--assumptions", "none.toml"), "none.toml: "),
        ((*LOAD, "--prices", "none.toml"), "none.toml: "),
    ],
)
def test_bad_input_is_refused(
    words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capacity(*words) == REFUSED
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("--bytes", "600"), ("--events-per-second", "10"), (*LOAD, "--bytes", "x")]
)
def test_a_missing_or_unreadable_number_is_a_usage_error(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as error:
        capacity(*words)
    assert error.value.code == REFUSED


def test_a_picture_is_well_formed_and_has_every_limit(tmp_path: Path) -> None:
    file = tmp_path / "limits.svg"
    assert capacity(*LOAD, "--plot", str(file)) == DONE
    texts = [element.text for element in ET.parse(file).iter("{http://www.w3.org/2000/svg}text")]
    assert {"storage of the warehouse", "bytes written to a shard", "1k", "100M"} <= set(texts)
    assert capacity(*LOAD, "--plot", str(tmp_path / "none" / "limits.svg")) == REFUSED


# --- Prices -------------------------------------------------------------------------------------------------


def test_the_cost_of_a_month_is_quantity_times_price(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "GBP"\n[prices]\nshard-hour = 2\nwarehouse-hour = 1.5\ns3-gb-month = 0\n')
    words = (*LOAD, "--prices", str(prices), "--hours-off", "0.5")
    found = document(capsys, *words)
    costs = {item["key"]: (item["quantity"], item["cost"]) for item in found["rates"][0]["month"]}
    assert found["currency"] == "GBP"
    assert costs["shard-hour"] == (730, 1460)
    assert costs["warehouse-hour"] == (365, 547.5)
    assert costs["s3-gb-month"][1] == 0
    assert capacity(*words) == DONE
    assert "together 2,007.50 GBP" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", '"currency" is missing'),
        ('currency = "GBP"', '"prices" is missing'),
        ('currency = "GBP"\nvat = 1\n[prices]\nshard-hour = 1', 'found "vat"'),
        ('currency = "GBP"\n[prices]\nshard-hours = 1', 'did you mean "shard-hour"?'),
        (
            'currency = "GBP"\n[prices]\nshard-hour = -1',
            "shard-hour: found -1; allowed: a price of 0 to 1,000,000,000",
        ),
        ('currency = "GBP"\n[prices]\nshard-hour = true', "shard-hour: found true"),
        ('currency = "GBP"\n[prices]\nshard-hour = "1"', 'shard-hour: found "1"'),
        ('currency = "GBP"\n[prices]\nshard-hour = nan', "shard-hour: found NaN"),
        ("currency = GBP", "not TOML"),
    ],
)
def test_a_bad_price_file_is_refused_with_its_name(
    text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(text)
    assert capacity(*LOAD, "--prices", str(file)) == REFUSED
    shown = capsys.readouterr().err
    assert str(file) in shown
    assert reason in shown


def test_every_price_has_a_unit() -> None:
    assert all(text for text in UNITS.values())
    assert len(list(islice(UNITS, 20))) == len(UNITS)


# --- The documents ------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "cost.md").read_text()
SHOWN = re.findall(r"```console\n\$ headwater (.+)\n((?:.*\n)*?)```", PAGE)


@pytest.mark.parametrize(("command", "printed"), SHOWN)
def test_the_page_shows_what_the_command_prints(
    command: str,
    printed: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the page's own files."""
    monkeypatch.chdir(tmp_path)
    figures, prices = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "figures.toml").write_text(figures)
    (tmp_path / "prices.toml").write_text(prices)
    assert main(shlex.split(command)) == DONE
    assert capsys.readouterr().out == printed


def test_the_page_has_every_price_and_its_figures_are_accepted(tmp_path: Path) -> None:
    assert SHOWN
    assert all(f"| `{key}` | {unit} |" in PAGE for key, unit in UNITS.items())
    file = tmp_path / "figures.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])
    assert capacity(*LOAD, "--assumptions", str(file)) == DONE
