"""The composition root of `up` and of the demo: AWS, what the entities need in it, handlers and pollers.

The handlers are Lambda's own: they build themselves from the environment, once in a process. So there is one
of these in a process, and it changes the process's environment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from consumers.handler import handler as consumer_handler
from consumers.kinesis import StreamReader
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.engines import open_warehouse
from headwater.aws import Aws, connect
from headwater.embedded.aws import EmbeddedAws
from headwater.embedded.state import State, scratch
from headwater.installation import Installation
from headwater.local.csv_process import CsvProcess
from headwater.local.dynamodb_poller import DynamoDbPoller
from headwater.local.provision import find_queue, make_flow, make_stores
from headwater.local.queue_poller import QueuePoller
from headwater.local.report_poller import ReportFolder, report_pollers
from headwater.local.runtime import Pace, Poller, Runtime
from headwater.local.runtime_report import is_asked
from headwater.local.shard_places import Places
from headwater.local.stream_poller import StreamPoller, consumer_poller, pump_poller
from headwater.log_identity import claim, other_log
from headwater.output import tell
from headwater.settings import VARIABLES, Settings, environment
from producers.csv.handler import handler as csv_handler
from producers.dynamodb.handler import handler as dynamodb_handler
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError

# The embedded AWS shows a change at once, and may be asked as often as one likes.
EMBEDDED_PACE = Pace(first_pause=0.1, longest_pause=0.5, settle=0.0)
# Kinesis allows five reads per second of a shard; notifications and streams take their time.
FOREIGN_PACE = Pace(first_pause=1.0, longest_pause=1.0, settle=2.0)
TOLD_LAG = 5.0  # seconds that the tables may be behind before that is said


@dataclass(frozen=True, slots=True)
class Local:
    """A provisioned AWS and its runtime, not started yet. `exports`: what a client needs in its
    environment."""

    here: Installation
    aws: Aws
    runtime: Runtime
    exports: Mapping[str, str]


@contextmanager
def embedded(
    settings: Settings, port: int | None = None, state: State | None = None, warehouse: str | None = None
) -> Iterator[Local]:
    """The embedded AWS and tables that go with it, both fresh or as `state` holds them; or tables in
    `warehouse`, which are the user's to keep.

    Raises ConfigurationError before anything is started. Without a state all is gone when the context is
    left.
    """
    with (
        _private_files(),
        nullcontext(state.folder) if state else scratch() as folder,
        EmbeddedAws(port, folder, keep=bool(state), lock=state.lock if state else None) as server,
        CsvProcess() as csv_process,
    ):
        own = _embedded_settings(settings, server.endpoint, folder, warehouse)
        exports = {**server.environment(), **environment(own)}
        _enter(exports, without="AWS_")
        here, aws = Installation(own, load_catalog(own.home)), connect()
        make_stores(aws, own, here.catalog)
        make_flow(aws, own, here.catalog, pumped=True)
        consumer = _consumer(here, aws)
        pollers = [
            *_sources(here, aws, csv_process, Places(folder / "changes.json")),
            consumer,
            _pump(here, aws, folder),
        ]
        if warehouse and not _belong_together(here, aws):
            tell(f"warning: {other_log(own.log_bucket)}. Until then `replay` refuses these tables.")
        checks = [server.check, *([state.check] if state else [])]
        runtime = Runtime(
            [*pollers, *_report_pollers(here)],
            folder,
            EMBEDDED_PACE,
            check=lambda: _all(checks),
            busy=partial(_busy, csv_process, consumer),
        )
        yield Local(here, aws, runtime, exports)


def _embedded_settings(settings: Settings, endpoint: str, folder: Path, warehouse: str | None) -> Settings:
    """Those of a user, with the AWS and the tables that are brought along."""
    return replace(
        settings,
        endpoint=endpoint,
        state=folder,
        warehouse=warehouse or f"sqlite:///{(folder / 'warehouse.db').absolute()}",
        warehouse_secret=None,
    )


def _all(checks: Sequence[Callable[[], None]]) -> None:
    for check in checks:
        check()


@contextmanager
def _private_files() -> Iterator[None]:
    """Whatever is written holds data: it is for this user alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def foreign(settings: Settings) -> Iterator[Local]:
    """The environment's AWS, whose Firehose reads Kinesis by itself; the tables are the user's to keep."""
    if settings.warehouse is None and settings.warehouse_secret is None:
        raise ConfigurationError(
            "HEADWATER_WAREHOUSE is not set: with AWS_ENDPOINT_URL name where the tables are kept, "
            "such as sqlite:////var/lib/headwater.db"
        )
    with _private_files(), scratch() as folder, CsvProcess() as csv_process:
        own = settings if settings.state else replace(settings, state=folder)
        own.require_state().mkdir(parents=True, exist_ok=True)
        here = Installation(own, load_catalog(own.home))
        aws = connect()
        exports = {**environment(own), "AWS_DEFAULT_REGION": aws.region}
        _enter(exports)
        tell(f"making what is missing at {own.endpoint}: a new delivery stream may take a minute")
        make_stores(aws, own, here.catalog)
        make_flow(aws, own, here.catalog, pumped=False)
        consumer = _consumer(here, aws)
        pollers = [*_sources(here, aws, csv_process), consumer, *_report_pollers(here)]
        if not _belong_together(here, aws):
            raise ConfigurationError(other_log(own.log_bucket))
        busy = partial(_busy, csv_process, consumer)
        runtime = Runtime(pollers, own.require_state(), FOREIGN_PACE, busy=busy)
        yield Local(here, aws, runtime, exports)


def _belong_together(here: Installation, aws: Aws) -> bool:
    """Whether the tables are those of this log; recorded where neither says."""
    with here.warehouse() as warehouse:
        return claim(aws, here.settings.log_bucket, warehouse)


def _enter(exports: Mapping[str, str], without: str | None = None) -> None:
    """This process's environment, for boto3 and the handlers. `without`: what else begins so is removed."""
    for name in list(os.environ):
        if name in VARIABLES or (without and name.startswith(without)):
            del os.environ[name]
    os.environ.update(exports)


def _sources(
    here: Installation, aws: Aws, take_files: CsvProcess, places: Places | None = None
) -> list[Poller]:
    """Every handler builds itself here, on a batch of nothing: two threads can't make boto3 clients.

    The CSV handler, too: what it refuses ends `up` before anything is started.
    """
    for handler in (dynamodb_handler, csv_handler):
        handler({"Records": []}, None)
    url, arn = find_queue(aws, here.settings)
    return [
        DynamoDbPoller(aws.dynamodbstreams, list(here.catalog.tables()), dynamodb_handler, places),
        QueuePoller(aws.sqs, url, arn, take_files),
    ]


def _consumer(here: Installation, aws: Aws) -> StreamPoller:
    """Its handler builds itself here, as those of the sources do."""
    consumer_handler({"Records": []}, None)
    with here.warehouse() as warehouse:
        return consumer_poller(StreamReader(aws.kinesis, here.settings.stream), warehouse, consumer_handler)


def _busy(csv_process: CsvProcess, consumer: StreamPoller) -> str:
    """How far the file is that is being published, and how far the tables are behind the stream."""
    reading, lag = csv_process.reading, consumer.lag(time.time())
    behind = f"the tables are {lag:,.0f} s behind the stream" if lag >= TOLD_LAG else ""
    return "; ".join(filter(None, [str(reading or ""), behind]))


def _report_pollers(here: Installation) -> list[Poller]:
    """What is wrong with a file is told, and stops nothing."""
    folder = ReportFolder(here.settings.home, here.catalog)
    reports = folder.reports().values()
    warehouse = open_warehouse(here.settings.require_warehouse(), here.catalog.entities.values())
    engine = reports_in(warehouse)
    return [*report_pollers(Refresher(engine), reports, engine.at_once, folder=folder)]


def _pump(here: Installation, aws: Aws, folder: Path) -> Poller:
    return pump_poller(
        StreamReader(aws.kinesis, here.settings.stream),
        aws.firehose,
        here.settings.delivery_stream,
        Places(folder / "pumped.json"),
        lambda: is_asked(folder),
    )
