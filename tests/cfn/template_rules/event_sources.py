"""Event source mappings that never discard, and schedules that never pile up."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cfn_templates import Json, World, differences, normal

# Every property has to be stated, since some defaults discard; what is not here discards or reorders as well,
# such as FilterCriteria, DestinationConfig and TumblingWindowInSeconds:
# https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
# https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html
NEVER_DISCARDS: Json = {
    "StartingPosition": "TRIM_HORIZON",
    "MaximumBatchingWindowInSeconds": 1,
    "ParallelizationFactor": 1,
    "BisectBatchOnFunctionError": False,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}
KINESIS = NEVER_DISCARDS | {
    "FunctionName": "${Consumer.Arn}",
    "EventSourceArn": "${StreamStack:StreamArn}",
    "BatchSize": "${BatchSize}",
}
DYNAMODB = NEVER_DISCARDS | {
    "FunctionName": "${ProducersStack:DynamoDbProducerArn}",
    "EventSourceArn": re.compile(r"\$\{(Stream\w+|Table\w+\.StreamArn)\}"),
    "BatchSize": 1000,
}
SQS = {
    "FunctionName": "${CsvProducer.Arn}",
    "EventSourceArn": "${SourceStack:QueueArn}",
    "BatchSize": 1,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "ScalingConfig": {"MaximumConcurrency": "${FileConcurrency}"},
    "Enabled": True,
}
MAPPINGS = {"producers": SQS, "consumers": KINESIS, "tables": DYNAMODB, "tables-created": DYNAMODB}
NUMBERS = {"producers": 1, "consumers": 1, "tables": 2, "tables-created": 2}
"""How many mappings a template has; the rendered ones have one for each table."""


def mappings(world: World) -> Iterator[str]:
    """Mappings that could discard or reorder records, and sources without a mapping."""
    for template in world.values():
        found = [*template.of_type("AWS::Lambda::EventSourceMapping")]
        if len(found) != NUMBERS.get(template.name, 0):
            yield f"{template.name}: {len(found)} event source mappings"
        policies = sorted(id_ for id_, _ in template.of_type("AWS::IAM::ManagedPolicy"))
        for logical_id, properties in found:
            # Lambda refuses a mapping whose function cannot read the stream yet.
            if "tables" in template.name and template.resources[logical_id].get("DependsOn") != policies:
                yield f"{template.name}.{logical_id}: does not depend on {policies}"
            # Without Enabled: a new mapping is on, and an update must not wake what sleeps.
            expected = MAPPINGS.get(template.name, {})
            yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)


SCHEDULED = {
    "consumers": {"Refresher": "1 minute", "Metrics": "1 minute"},
    "schedule": {"Scheduler": "5 minutes"},
}
"""By template and function: the time between two calls."""


def schedules(world: World) -> Iterator[str]:
    """Schedules that are off, and calls that would wait in line behind a slow one."""
    for template in world.values():
        scheduled = SCHEDULED.get(template.name, {})
        for type_, expected in (
            (
                "AWS::Scheduler::Schedule",
                {f"{name}Schedule": _schedule(name, rate) for name, rate in scheduled.items()},
            ),
            ("AWS::Lambda::EventInvokeConfig", {f"{name}Calls": _calls(name) for name in scheduled}),
        ):
            found = {id_: normal(properties) for id_, properties in template.of_type(type_)}
            yield from differences(template.name, found, expected)


def _schedule(function: str, rate: str) -> Json:
    # The scheduler turns the others off and on, so that their templates state no State; nothing turns it off.
    state = {"State": "ENABLED"} if function == "Scheduler" else {}
    return state | {
        "Name": f"${{Application}}-${{Environment}}-{function.lower()}",
        "Description": re.compile(".+"),
        "ScheduleExpression": f"rate({rate})",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": f"${{{function}.Arn}}",
            "RoleArn": f"${{{function}ScheduleRole.Arn}}",
            "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0},
        },
    }


def _calls(function: str) -> Json:
    return {
        "FunctionName": f"${{{function}}}",
        "Qualifier": "$LATEST",
        "MaximumEventAgeInSeconds": 60,
        "MaximumRetryAttempts": 0,
    }


RULES = (mappings, schedules)
