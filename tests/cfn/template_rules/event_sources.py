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
            shown = {"Enabled": True} | properties
            expected = {"Enabled": True} | MAPPINGS.get(template.name, {})
            yield from differences(f"{template.name}.{logical_id}", normal(shown), expected)


SCHEDULED = ("Refresher", "Metrics")


def schedules(world: World) -> Iterator[str]:
    """Schedules that are off, and calls that would wait in line behind a slow one."""
    template = world["consumers"]
    found = {
        logical_id: normal(properties)
        for logical_id, properties in template.of_type("AWS::Scheduler::Schedule")
    }
    expected = {f"{function}Schedule": _schedule(function) for function in SCHEDULED}
    yield from differences("consumers", found, expected)
    calls = {
        logical_id: normal(properties)
        for logical_id, properties in template.of_type("AWS::Lambda::EventInvokeConfig")
    }
    yield from differences(
        "consumers", calls, {f"{function}Calls": _calls(function) for function in SCHEDULED}
    )


def _schedule(function: str) -> Json:
    return {
        "Name": f"${{Application}}-${{Environment}}-{function.lower()}",
        "Description": re.compile(".+"),
        "ScheduleExpression": "rate(1 minute)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
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
