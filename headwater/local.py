"""The composition root of `up` and of the demo: AWS, what the entities need in it, handlers and pollers.

The handlers are Lambda's own: they build themselves from the environment, once in a process. So there is one
of these in a process, and it changes the process's environment.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from consumers.handler import handler as consumer_handler
from consumers.kinesis import StreamReader
from consumers.reporting.engines import reports_in
from consumers.reporting.files import problems, read_reports
from consumers.reporting.refresher import Refresher
from consumers.warehouse.engines import open_warehouse
from headwater.aws import Aws, connect
from headwater.dynamodb_poller import DynamoDbPoller
from headwater.embedded import EmbeddedAws
from headwater.installation import Installation
from headwater.output import tell
from headwater.provision import find_queue, make_flow, make_stores
from headwater.queue_poller import QueuePoller
from headwater.report_poller import report_pollers
from headwater.runtime import Pace, Poller, Runtime
from headwater.settings import VARIABLES, Settings, environment
from headwater.state import State
from headwater.stream_poller import StreamPoller, consumer_poller, pump_poller
from producers.csv.handler import handler as csv_handler
from producers.dynamodb.handler import handler as dynamodb_handler
from schemas.errors import ConfigurationError
from schemas.loader import load_catalog

# The embedded AWS shows a change at once, and may be asked as often as one likes.
EMBEDDED_PACE = Pace(first_pause=0.1, longest_pause=0.5, settle=0.0)
# Kinesis allows five reads per second of a shard; notifications and streams take their time.
FOREIGN_PACE = Pace(first_pause=1.0, longest_pause=1.0, settle=2.0)


@dataclass(frozen=True, slots=True)
class Local:
    """A provisioned AWS and its runtime, not started yet. `exports`: what a client needs in its environment.

    `database` is the warehouse's file, if it goes with the embedded AWS.
    """

    here: Installation
    aws: Aws
    runtime: Runtime
    exports: Mapping[str, str]
    database: Path | None = None


@contextmanager
def embedded(
    settings: Settings, port: int | None = None, state: State | None = None, warehouse: str | None = None
) -> Iterator[Local]:
    """The embedded AWS and tables that go with it, both fresh or as a clean stop left them; or tables in
    `warehouse`, which are the user's to keep.

    Raises ConfigurationError before anything is started. All is gone when the context is left.
    """
    with (
        tempfile.TemporaryDirectory(prefix="headwater-", ignore_cleanup_errors=True) as folder,
        EmbeddedAws(port) as server,
    ):
        database = None if warehouse else Path(folder) / "warehouse.db"
        own = replace(
            settings,
            endpoint=server.endpoint,
            state=Path(folder),
            warehouse=warehouse or f"sqlite:///{database}",
            warehouse_secret=None,
        )
        exports = {**server.environment(), **environment(own)}
        _enter(exports, without="AWS_")
        here, aws = Installation(own, load_catalog(own.home)), connect()
        _fill(here, aws, database, state if state and state.saved_at else None)
        pollers = [*_pollers(here, aws), _pump(here, aws), *_report_pollers(here)]
        runtime = Runtime(pollers, Path(folder), EMBEDDED_PACE, check=server.check)
        yield Local(here, aws, runtime, exports, database)


def _fill(here: Installation, aws: Aws, database: Path | None, saved: State | None) -> None:
    """Makes everything, and puts what was saved in its place before anybody watches for changes."""
    make_stores(aws, here.settings, here.catalog)
    if saved and database:
        saved.restore_warehouse(database)
        saved.restore_stores(aws)
    make_flow(aws, here.settings, here.catalog, pumped=True)
    if saved:
        saved.restore_waiting(aws)


@contextmanager
def foreign(settings: Settings) -> Iterator[Local]:
    """The environment's AWS, whose Firehose reads Kinesis by itself; the tables are the user's to keep."""
    if settings.warehouse is None and settings.warehouse_secret is None:
        raise ConfigurationError(
            "HEADWATER_WAREHOUSE is not set: with AWS_ENDPOINT_URL name where the tables are kept, "
            "such as sqlite:////var/lib/headwater.db"
        )
    with tempfile.TemporaryDirectory(prefix="headwater-", ignore_cleanup_errors=True) as folder:
        own = settings if settings.state else replace(settings, state=Path(folder))
        own.require_state().mkdir(parents=True, exist_ok=True)
        here = Installation(own, load_catalog(own.home))
        aws = connect()
        exports = {**environment(own), "AWS_DEFAULT_REGION": aws.region}
        _enter(exports)
        tell(f"making what is missing at {own.endpoint}: a new delivery stream may take a minute")
        make_stores(aws, own, here.catalog)
        make_flow(aws, own, here.catalog, pumped=False)
        pollers = [*_pollers(here, aws), *_report_pollers(here)]
        runtime = Runtime(pollers, own.require_state(), FOREIGN_PACE)
        yield Local(here, aws, runtime, exports)


def _enter(exports: Mapping[str, str], without: str | None = None) -> None:
    """This process's environment, for boto3 and the handlers. `without`: what else begins so is removed."""
    for name in list(os.environ):
        if name in VARIABLES or (without and name.startswith(without)):
            del os.environ[name]
    os.environ.update(exports)


def _pollers(here: Installation, aws: Aws) -> list[Poller]:
    """Every handler builds itself here, on a batch of nothing: two threads can't make boto3 clients."""
    for handler in (dynamodb_handler, csv_handler, consumer_handler):
        handler({"Records": []}, None)
    url, arn = find_queue(aws, here.settings)
    stream = StreamReader(aws.kinesis, here.settings.stream)
    with here.warehouse() as warehouse:
        consumer = consumer_poller(stream, warehouse, consumer_handler)
    return [
        DynamoDbPoller(aws.dynamodbstreams, list(here.catalog.tables()), dynamodb_handler),
        QueuePoller(aws.sqs, url, arn, csv_handler),
        consumer,
    ]


def _report_pollers(here: Installation) -> list[Poller]:
    """None where no file makes a report: what is wrong with a file is told, and stops nothing."""
    reports = read_reports(here.settings.home, here.catalog)
    for problem in problems(reports):
        tell(problem)
    if not reports.right:
        return []
    warehouse = open_warehouse(here.settings.require_warehouse(), here.catalog.entities.values())
    engine = reports_in(warehouse)
    return [*report_pollers(Refresher(engine), reports.right.values(), engine.at_once)]


def _pump(here: Installation, aws: Aws) -> StreamPoller:
    return pump_poller(
        StreamReader(aws.kinesis, here.settings.stream), aws.firehose, here.settings.delivery_stream
    )
