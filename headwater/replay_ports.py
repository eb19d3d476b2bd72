"""The ports of replay, wired for one installation."""

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
    """Return the ports to the tables, log and stream of an installation. Progress goes to stderr."""
    return Ports(
        warehouse,
        S3Log(aws.s3, here.settings.log_bucket),
        StreamReader(aws.kinesis, here.settings.stream),
        here.catalog.registry,
        report=_reporter(),
    )


def progress_line(progress: Progress) -> str:
    """Return the progress of one stage as text: done, rate and time left."""
    about = " about" if progress.unit == "row" else ""
    events = f", {counted(progress.events, 'event')}" if progress.unit == "object" else ""
    total = "" if progress.total is None else f" of{about} {progress.total:,}"
    left = "" if progress.seconds_left is None else f", {progress.seconds_left:.0f} s left"
    done = f"{progress.done:,}{total} {progress.unit}s"
    return f"{progress.stage}: {done}{events}, {progress.rate:,.0f}/s{left}"


def _reporter() -> Callable[[Progress], None]:
    """Return a callback that prints the progress at most once a second; a shorter run prints nothing."""
    reported_at = 0.0

    def report(progress: Progress) -> None:
        nonlocal reported_at
        if progress.seconds < reported_at:  # the clock starts at 0 again with each stage
            reported_at = 0.0
        if progress.seconds >= reported_at + _REPORT_SECONDS:
            tell(progress_line(progress))
            reported_at = progress.seconds

    return report
