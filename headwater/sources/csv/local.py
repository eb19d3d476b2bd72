"""Feeds of CSV files in the local runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headwater.aws import Aws, repeat_while_busy
from headwater.deployed import Deployed
from headwater.output import listed
from headwater.sources.csv.dropping import drop_file
from headwater.sources.csv.poller import QueuePoller
from headwater.sources.csv.process import CsvProcess
from headwater.sources.csv.provision import check_queue, find_queue, make_queue, watch
from headwater.sources.csv.waiting import await_files
from headwater.sources.kind import Environment, LocalKind, Running
from producers.csv.redrive import CORRECT_IT, has_redrive
from producers.csv.redrive import build as build_redriver
from schemas.catalog.entity import Catalog
from schemas.settings import Settings
from schemas.sources.csv import KIND as SOURCE
from schemas.sources.csv import feeds


def _make_flow(aws: Aws, settings: Settings, _catalog: Catalog) -> None:
    repeat_while_busy(watch, aws, settings.source_bucket, repeat_while_busy(make_queue, aws, settings))


def _check(found: Deployed, aws: Aws, settings: Settings, _catalog: Catalog) -> None:
    check_queue(found, aws, settings)


@contextmanager
def _running(at: Environment) -> Iterator[Running]:
    url, arn = find_queue(at.aws, at.here.settings)
    with CsvProcess(at.variables) as process:
        yield Running([QueuePoller(at.aws.sqs, url, arn, process)], lambda: str(process.reading or ""))


def _invitation(catalog: Catalog) -> str:
    return f"drop files of the feeds {listed(feeds(catalog))}: headwater drop FILE --entity E"


KIND = LocalKind(
    name=SOURCE.name,
    make_flow=_make_flow,
    check=_check,
    running=_running,
    redriver=build_redriver,
    has_redrive=has_redrive,
    instead_of_redrive=f"files left as they are: {CORRECT_IT}",
    await_taken=await_files,
    invitation=_invitation,
    drop=drop_file,
)
