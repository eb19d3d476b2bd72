"""Texts in the templates: no account, region, partition, secret or public network is written into one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cfn_templates import World

SERVICES = {
    *("cloudwatch", "ec2", "ecs-tasks", "firehose", "lambda", "logging.s3", "monitoring.rds", "s3"),
    *("scheduler", "vpc-flow-logs"),
}
"""Service principals, whose names are the same in every partition."""
FORBIDDEN = {
    "an account id": re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])"),
    "a region": re.compile(r"\b(?:us|eu|ap|ca|sa|me|af|il|mx|cn)(?:-gov|-iso[a-z]?)?-[a-z]+-[0-9]\b"),
    "a partition": re.compile(r"\barn:aws(?:-[a-z-]+)?:"),
    "a network": re.compile(r"\b0\.0\.0\.0/0|::/0"),
    "an access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a URL with a password": re.compile(r"://[^/\s:]+:[^/\s@]+@"),
    "a dynamic reference": re.compile(r"\{\{resolve:"),
}


def literals(world: World) -> Iterator[str]:
    """Texts that work in one account, region or partition only, or that give a secret away."""
    for template in world.values():
        for path, text in _texts(template.body["Resources"] | {"Outputs": template.outputs}, template.name):
            if ".Metadata." in path or ("tables" in template.name and "arn:aws:kms" in text):
                continue
            for what, pattern in FORBIDDEN.items():
                if pattern.search(text):
                    yield f"{path}: {text!r} has {what}"
            match = re.fullmatch(r"(.+)\.amazonaws\.com(\.cn)?", text)
            if match and (
                match[1] not in SERVICES or not path.endswith((".Service", ".iam:PassedToService"))
            ):
                yield f"{path}: {text!r} is no service principal"


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, path)
    elif isinstance(value, str):
        yield path, value


def sections(world: World) -> Iterator[str]:
    """Sections that no rule reads, such as transforms."""
    known = {
        "AWSTemplateFormatVersion",
        "Description",
        "Parameters",
        "Conditions",
        "Mappings",
        "Rules",
        "Resources",
        "Outputs",
    }
    for template in world.values():
        for section in sorted(set(template.body) - known):
            yield f"{template.name}: no rule knows the section {section}"


SKIPPED = {
    "AWS::S3::Bucket": {"CKV_AWS_18"},
    "AWS::KinesisFirehose::DeliveryStream": {"CKV_AWS_240", "CKV_AWS_241"},
    "AWS::Lambda::Function": {"CKV_AWS_115", "CKV_AWS_116", "CKV_AWS_117", "CKV_AWS_173"},
    "AWS::Scheduler::Schedule": {"CKV_AWS_297"},
    "AWS::RDS::DBInstance": {"CKV_AWS_157"},
}


def skips(world: World) -> Iterator[str]:
    """Exceptions from checkov's checks that were not reviewed, or that have no reason."""
    for template in world.values():
        for logical_id, resource in template.resources.items():
            for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", ()):
                allowed = skip.get("id") in SKIPPED.get(resource["Type"], set())
                if not allowed or len(skip.get("comment", "").split()) < 5:
                    yield f"{template.name}.{logical_id}: the exception {skip} was not reviewed"


RULES = (literals, sections, skips)
