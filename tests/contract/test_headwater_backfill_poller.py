"""The backfills that `up` starts by itself, against a real HTTP AWS."""

from __future__ import annotations

import pytest

from headwater.aws import Aws
from headwater.installation import Installation
from headwater.local.provision import make_flow, make_stores
from headwater.polling.runtime import Found
from headwater.sources.dynamodb.backfill_poller import BackfillPoller, tables_to_fill
from headwater.sources.dynamodb.filling import run_store, start_filling
from headwater.sources.kind import Environment
from producers.dynamodb.backfill import entities_to_fill, run_name
from producers.dynamodb.scan import Table, describe
from producers.runs import run as runs
from producers.runs.run import read_document
from producers.wiring import Wiring, wire
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, TransientError
from schemas.settings import Settings
from schemas.sources.dynamodb import tables

pytest_plugins = ("pollers_world",)


@pytest.fixture
def at(embedded_aws: Aws, settings: Settings, catalog: Catalog) -> Environment:
    make_stores(embedded_aws, settings, catalog)
    make_flow(embedded_aws, settings, catalog, pumped=True)
    here = Installation(settings, catalog)
    return Environment(here, embedded_aws, made(embedded_aws, settings, catalog), {}, None, backfill=True)


def made(aws: Aws, settings: Settings, catalog: Catalog) -> Wiring:
    return wire(settings, aws.client, catalog)


def put(at: Environment, *numbers: int) -> Table:
    (name,) = tables(at.here.catalog)
    for number in numbers:
        at.aws.dynamodb.put_item(TableName=name, Item={"n": {"N": str(number)}, "sk": {"S": "x"}})
    return describe(at.aws.dynamodb, name)


def polled(poller: BackfillPoller) -> int:
    """How many passes did something, until there was nothing left to do."""
    for number in range(100):
        if poller.poll(0) == Found(0, level=True):
            return number
    raise AssertionError("it does not end")


def test_it_waits_for_the_streams_to_be_read_and_fills_a_table_once(
    at: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    table = put(at, 1, 2, 3)
    assert tables_to_fill(at) == [table]
    reading = [False]
    poller = BackfillPoller(at, at.wiring, [table], lambda: reading[0])
    assert poller.poll(0) == Found(0, level=False)
    assert at.wiring.publisher.events == 0
    reading[0] = True
    assert polled(poller) > 1
    assert at.wiring.publisher.events == 3 + 256
    assert "3 rows published" in capsys.readouterr().err
    assert tables_to_fill(at) == []


def test_a_table_that_is_empty_at_the_start_is_never_filled(at: Environment) -> None:
    assert tables_to_fill(at) == []
    put(at, 1)
    assert tables_to_fill(at) == []


def test_what_is_stopped_goes_on_in_the_next_poller(at: Environment) -> None:
    table = put(at, 1, 2, 3)
    first = BackfillPoller(at, at.wiring, [table], lambda: True)
    first.poll(0)
    first.close()
    second = BackfillPoller(at, at.wiring, tables_to_fill(at), lambda: True)
    second.poll(0)
    assert second._filling is not None
    assert second._filling.resumed
    polled(second)
    assert tables_to_fill(at) == []


def test_a_table_that_another_process_fills_is_left_to_it(
    at: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BEAT", 0.0)
    monkeypatch.setattr(runs, "LEASE", 1.0)
    table = put(at, 1, 2, 3)
    other = start_filling(at.aws, at.wiring, at.here.settings, table, tell=lambda _: None)
    poller = BackfillPoller(at, made(at.aws, at.here.settings, at.here.catalog), [table], lambda: True)

    def sleep(_: float) -> None:
        other._run.beat()

    monkeypatch.setattr(runs.claim, "__kwdefaults__", {**(runs.claim.__kwdefaults__ or {}), "sleep": sleep})
    with pytest.raises(TransientError, match="is in progress in another process"):
        poller.poll(0)
    while other.step() is not None:
        pass
    assert polled(poller) == 1  # it sees that the table is filled
    name = run_name(at.here.catalog, table.name, entities_to_fill(at.here.catalog, table.name))
    document = read_document(run_store(at.aws, at.here.settings), name)
    assert document is not None
    assert document.result is not None
    other.close()


def test_a_table_that_cannot_be_filled_names_the_option_that_goes_without(at: Environment) -> None:
    (name,) = tables(at.here.catalog)
    at.aws.dynamodb.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
    with pytest.raises(ConfigurationError, match=r"has no stream.*; or start `headwater up --no-backfill`"):
        tables_to_fill(at)
