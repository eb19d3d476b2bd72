"""Waiting for files that are uploaded, and whose notifications may still be on their way."""

from __future__ import annotations

from headwater.aws import Aws
from headwater.installation import Installation
from headwater.output import counted
from headwater.polling.runtime_report import RuntimeReport, Wait, read_report
from headwater.sources.csv.poller import QueuePoller
from headwater.sources.csv.provision import WATCHED_PREFIXES
from schemas.s3_objects import StoredObject, list_objects
from schemas.sources.csv import feeds


def await_files(here: Installation, aws: Aws, waiting: Wait) -> None:
    """Wait until the files that are there now have been published."""
    # A file is moved out of drop/ when it is published. The runtime alone would not do: it does not know of a
    # file whose notification has not arrived yet.
    files = _waiting_files(here, aws)
    while files := files & _waiting_files(here, aws):
        waiting.pause(unpublished(len(files), min(files).key, read_report(here.settings.require_state())))


def unpublished(files: int, first: str, report: RuntimeReport) -> str:
    """Describe the files that are not published yet: the progress of one, or the problem that delays them."""
    if report.busy:
        return report.busy
    reasons = [poller.retrying for poller in report.pollers if poller.name == QueuePoller.name]
    why = f" ({reasons[0]})" if reasons and reasons[0] else ""
    return f"{counted(files, 'file')}, such as {first}, to be published{why}"


def _waiting_files(here: Installation, aws: Aws) -> set[StoredObject]:
    return {
        item
        for feed in feeds(here.catalog)
        for prefix in WATCHED_PREFIXES
        for item in list_objects(aws.s3, here.settings.source_bucket, f"{prefix}{feed}/")
        if not item.key.endswith("/")
    }
