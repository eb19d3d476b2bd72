"""The composition root of `up` and of the demo: AWS, what the entities need in it, handlers and pollers.

The handlers are those of the Lambda functions, built from the same settings.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from consumers.handler import build as build_consumer
from consumers.kinesis import StreamReader
from consumers.reporting.engines import reports_in
from consumers.reporting.refresh.refresher import Refresher
from consumers.warehouse.engines import warehouse_of
from headwater.aws import Aws, connect
from headwater.embedded.aws import EmbeddedAws
from headwater.embedded.state import StateFolder, scratch
from headwater.gaps import keep_gap
from headwater.installation import Installation
from headwater.local.provision import check_deployed, make_flow, make_stores
from headwater.log_identity import claim, other_log
from headwater.output import tell
from headwater.polling.report_poller import ReportFolder, report_pollers
from headwater.polling.runtime import Pace, Poller, Runtime
from headwater.polling.runtime_report import is_asked
from headwater.polling.shard_places import Places
from headwater.polling.stream_poller import StreamPoller, consumer_poller, pump_poller
from headwater.sources.kind import Environment, Running
from headwater.sources.kinds import KINDS
from producers.wiring import wire
from schemas.catalog.loader import load_catalog
from schemas.errors import ConfigurationError
from schemas.settings import VARIABLES, Settings, environment
from schemas.stream import parse_stream

# The embedded AWS shows a change at once and has no limit on requests.
EMBEDDED_PACE = Pace(first_pause=0.1, longest_pause=0.5, settle=0.0)
# Kinesis allows five reads per second of a shard; notifications and streams are delayed.
FOREIGN_PACE = Pace(first_pause=1.0, longest_pause=1.0, settle=2.0)
SHOWN_LAG = 5.0  # seconds that the tables may be behind before `up` reports it


@dataclass(frozen=True, slots=True)
class Local:
    """A provisioned AWS and its runtime, not started yet. `exports`: a client's environment variables."""

    here: Installation
    aws: Aws
    runtime: Runtime
    exports: Mapping[str, str]


@contextmanager
def embedded(
    settings: Settings,
    port: int | None = None,
    state: StateFolder | None = None,
    warehouse: str | None = None,
    *,
    backfill: bool = True,
) -> Iterator[Local]:
    """Run the embedded AWS with tables of its own, both fresh or as `state` holds them; or with tables in
    `warehouse`, which are the user's to keep.

    Raises ConfigurationError before anything is started. Without a state everything is gone when the context
    is left.
    """
    with ExitStack() as stack:
        stack.enter_context(_private_files())
        folder = stack.enter_context(nullcontext(state.folder) if state else scratch())
        lock = state.lock if state else None
        server = stack.enter_context(EmbeddedAws(port, folder, keep=bool(state), lock=lock))
        own = _embedded_settings(settings, server.endpoint, folder, warehouse)
        here, aws = Installation(own, load_catalog(own.home)), connect(server.environment(), own)
        exports = {**server.environment(), **environment(own)}
        make_stores(aws, own, here.catalog)
        make_flow(aws, own, here.catalog, pumped=True)
        consumer = _consumer(here, aws)
        places = Places(folder / "changes.json")
        sources = _sources(stack, here, aws, _child_variables(exports, ("AWS_",)), places, backfill=backfill)
        if warehouse and not _belong_together(here, aws):
            tell(f"warning: {other_log(own.log_bucket)}. Until then `replay` refuses these tables.")
        checks = [server.check, *([state.check] if state else [])]
        pollers = [*_pollers(sources, consumer), _pump(here, aws, folder), *_report_pollers(here)]
        busy = partial(_busy, sources, consumer)
        runtime = Runtime(pollers, folder, EMBEDDED_PACE, check=lambda: _all(checks), busy=busy)
        yield Local(here, aws, runtime, exports)


def _embedded_settings(settings: Settings, endpoint: str, folder: Path, warehouse: str | None) -> Settings:
    """Return the user's settings with the embedded AWS and its tables in place of others.

    Raises ConfigurationError if they name a stream of another AWS.
    """
    if settings.stream_role or parse_stream(settings.stream).arn:
        raise ConfigurationError(
            "HEADWATER_STREAM is an ARN or HEADWATER_STREAM_ROLE is set, but the embedded AWS has a stream "
            "of its own: unset both, or use --no-create for the environment's AWS"
        )
    return replace(
        settings,
        endpoint=endpoint,
        state=folder,
        warehouse=warehouse or f"sqlite:///{(folder / 'warehouse.db').absolute()}",
        warehouse_secret=None,
        warehouse_host=None,
        warehouse_database=None,
    )


def _all(checks: Sequence[Callable[[], None]]) -> None:
    for check in checks:
        check()


@contextmanager
def _private_files() -> Iterator[None]:
    """Create files readable by this user alone, since they contain data."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def foreign(settings: Settings, *, create: bool = True, backfill: bool = True) -> Iterator[Local]:
    """Run against the environment's AWS, whose Firehose reads Kinesis itself, and the user's own tables.

    Without `create` everything that a deployment owns must exist. Raises ConfigurationError.
    """
    if settings.warehouse is None and settings.warehouse_secret is None:
        raise ConfigurationError(
            "HEADWATER_WAREHOUSE is not set: with AWS_ENDPOINT_URL or --no-create name where the tables are "
            "kept, such as sqlite:////var/lib/headwater.db"
        )
    with ExitStack() as stack:
        stack.enter_context(_private_files())
        folder = stack.enter_context(scratch())
        own = settings if settings.state else replace(settings, state=folder)
        own.require_state().mkdir(parents=True, exist_ok=True)
        here, aws = Installation(own, load_catalog(own.home)), connect(settings=own)
        exports = {**environment(own), "AWS_DEFAULT_REGION": aws.region}
        if create:
            tell(f"making what is missing at {own.endpoint}: a new delivery stream may take a minute")
            make_stores(aws, own, here.catalog)
            make_flow(aws, own, here.catalog, pumped=False)
        else:
            check_deployed(aws, own, here.catalog)
        consumer = _consumer(here, aws)
        sources = _sources(stack, here, aws, _child_variables(exports), backfill=backfill)
        if not _belong_together(here, aws):
            raise ConfigurationError(other_log(own.log_bucket))
        pollers = [*_pollers(sources, consumer), *_report_pollers(here)]
        busy = partial(_busy, sources, consumer)
        runtime = Runtime(pollers, own.require_state(), FOREIGN_PACE, busy=busy)
        yield Local(here, aws, runtime, exports)


def _belong_together(here: Installation, aws: Aws) -> bool:
    """Return whether the tables belong to this log. Record that they do if neither belongs to another."""
    with here.warehouse() as warehouse:
        return claim(aws, here.settings.log_bucket, warehouse)


def _child_variables(exports: Mapping[str, str], without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the environment of a child process: this one's with `exports` in place of every setting.

    `without`: prefixes of further variables that the child must not see.
    """
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {name: value for name, value in kept.items() if not name.startswith(without)} | dict(exports)


def _sources(
    stack: ExitStack,
    here: Installation,
    aws: Aws,
    variables: Mapping[str, str],
    places: Places | None = None,
    *,
    backfill: bool,
) -> list[Running]:
    """Start every kind of source, in this thread: two threads can't create boto3 clients."""
    # Also checks what the process that reads files would refuse with its first file.
    wiring = wire(here.settings, aws.client, here.catalog)
    environment = Environment(
        here=here, aws=aws, wiring=wiring, variables=variables, places=places, backfill=backfill
    )
    return [stack.enter_context(kind.running(environment)) for kind in KINDS.values()]


def _pollers(sources: Sequence[Running], consumer: Poller) -> list[Poller]:
    return [*(poller for source in sources for poller in source.pollers), consumer]


def _consumer(here: Installation, aws: Aws) -> StreamPoller:
    with here.new_warehouse() as warehouse:
        warehouse.ensure()
    batches = build_consumer(here.settings, aws.client)
    stream = StreamReader(aws.kinesis, here.settings.stream)
    with here.warehouse() as warehouse:
        return consumer_poller(
            stream,
            warehouse,
            lambda lambda_event, _context: batches.handle(lambda_event),
            lambda gap: keep_gap(aws, here.settings, gap),
            batches.save,
        )


def _busy(sources: Sequence[Running], consumer: StreamPoller) -> str:
    """Describe long work in progress, and how far the tables are behind the stream."""
    lag = consumer.lag(time.time())
    behind = f"the tables are {lag:,.0f} s behind the stream" if lag >= SHOWN_LAG else ""
    return "; ".join(filter(None, [*(source.busy() for source in sources), behind]))


def _report_pollers(here: Installation) -> list[Poller]:
    """Create the pollers of reports. A problem with a report file is printed and stops nothing."""
    folder = ReportFolder(here.settings.home, here.catalog)
    reports = folder.reports().values()
    warehouse = warehouse_of(here.settings, here.catalog.entities.values())
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
