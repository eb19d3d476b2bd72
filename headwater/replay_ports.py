"""What replay talks to, put together for one installation."""

from __future__ import annotations

from collections.abc import Callable

from consumers.kinesis import StreamReader
from consumers.warehouse.port import Warehouse
from headwater.aws import Aws
from headwater.installation import Installation
from headwater.output import counted, tell
from replay.log.reader import S3Log
from replay.ports import Ports
from replay.progress import Progress

_REPORT_SECONDS = 1.0


def replay_ports(here: Installation, aws: Aws, warehouse: Warehouse) -> Ports:
    """The tables, the log and the stream of an installation; progress goes to stderr."""
    return Ports(
        warehouse,
        S3Log(aws.s3, here.settings.log_bucket),
        StreamReader(aws.kinesis, here.settings.stream),
        here.catalog.registry,
        report=_reporter(),
    )


def progress_line(progress: Progress) -> str:
    """Done, rate and time left of one stage."""
    about = " about" if progress.unit == "row" else ""
    events = f", {counted(progress.events, 'event')}" if progress.unit == "object" else ""
    total = "" if progress.total is None else f" of{about} {progress.total:,}"
    left = "" if progress.seconds_left is None else f", {progress.seconds_left:.0f} s left"
    done = f"{progress.done:,}{total} {progress.unit}s"
    return f"{progress.stage}: {done}{events}, {progress.rate:,.0f}/s{left}"


def _reporter() -> Callable[[Progress], None]:
    """Tells how far a run is, once a second: a short run says nothing."""
    told = 0.0

    def report(progress: Progress) -> None:
        nonlocal told
        if progress.seconds < told:  # another stage has begun
            told = 0.0
        if progress.seconds >= told + _REPORT_SECONDS:
            tell(progress_line(progress))
            told = progress.seconds

    return report
