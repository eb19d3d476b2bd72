"""The template of an account's alarms on feeds that bring no file, and the checks of its part of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headwater.deployment.deployment import Deployment
from headwater.deployment.forms import Json, description, logical_id, notified, parameters
from schemas.catalog.entity import Catalog
from schemas.refusals import unknown
from schemas.sources.csv import feeds
from schemas.telemetry.metrics import DETAILS, FUNCTION, NAMESPACE

_HOUR = 3600  # seconds
_FUNCTION = "${Application}-${Environment}-csv-producer"


def feed_problems(deployment: Deployment, catalog: Catalog) -> Iterator[str]:
    """Yield feeds of the file that no entity has."""
    known = sorted(feeds(catalog))
    for number, source in enumerate(deployment.sources, 1):
        for feed in source.feeds:
            if feed not in known:
                yield str(unknown(f"source {number}, feeds: in no entity", feed, known))


def feeds_template(hours: Mapping[str, int]) -> Json:
    """Return the template: an alarm for each feed, by the hours without a file after which it goes off."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Headwater, feeds: the alarms on feeds that bring no file.",
        "Parameters": parameters(("Application", "Environment", "SourceStack", "RunbookUrl")),
        "Resources": {logical_id("NoFile", feed): _alarm(feed, hours[feed]) for feed in sorted(hours)},
    }


def _alarm(feed: str, hours: int) -> Json:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": {"Fn::Sub": f"${{Application}}-${{Environment}}-no-file-{feed}"},
            "AlarmDescription": description(
                f"No file of the feed {feed} was finished for {hours} hours. Ask whoever sends it, and look "
                f"for a file that waits under drop/{feed}/. The tables keep the rows of the last file.",
                "no-file",
            ),
            # A missing hour becomes a 0: otherwise one file in the many data points that CloudWatch reads
            # beyond those it needs would keep the alarm quiet for longer.
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
            "Metrics": [
                {"Id": "result", "Expression": "FILL(files, 0)", "Label": "files", "ReturnData": True},
                {"Id": "files", "MetricStat": _files(feed), "ReturnData": False},
            ],
            "EvaluationPeriods": hours,
            "ComparisonOperator": "LessThanThreshold",
            "Threshold": 1,
            "TreatMissingData": "breaching",
            **notified(),
        },
    }


def _files(feed: str) -> Json:
    dimensions = {FUNCTION: {"Fn::Sub": _FUNCTION}, DETAILS["Files"]: feed}
    metric = {
        "Namespace": NAMESPACE,
        "MetricName": "Files",
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    return {"Metric": metric, "Stat": "Sum", "Period": _HOUR}
