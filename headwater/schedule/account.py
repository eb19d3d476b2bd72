"""The parts in an AWS account: RDS, EC2, Lambda's event source mapping and EventBridge Scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import botocore.session
from botocore.config import Config

from headwater.schedule.override import tagged
from headwater.schedule.parts import Kind, Part, Power, State
from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError

# A status that is not in these tables is one that passes, such as starting, backing-up or upgrading.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html
_RDS: Final = {
    # While storage is optimized, which takes hours, the instance works as usual.
    **dict.fromkeys(("available", "storage-optimization"), Power.ON),
    "stopped": Power.OFF,
    **dict.fromkeys(
        (
            *("deleting", "failed", "insufficient-capacity", "restore-error", "storage-full"),
            *("incompatible-network", "incompatible-option-group", "incompatible-parameters"),
            *("incompatible-restore", "inaccessible-encryption-credentials"),
            "inaccessible-encryption-credentials-recoverable",
        ),
        Power.BROKEN,
    ),
}
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
_EC2: Final = {
    "running": Power.ON,
    "stopped": Power.OFF,
    **dict.fromkeys(("shutting-down", "terminated", "missing"), Power.BROKEN),
}
# https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html
_MAPPING: Final = {"Enabled": Power.ON, "Disabled": Power.OFF, "Deleting": Power.BROKEN}
_SCHEDULE: Final = {"ENABLED": Power.ON, "DISABLED": Power.OFF}
_NOT_UPDATED: Final = {"Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"}
"""What GetSchedule returns and UpdateSchedule does not take."""


@dataclass(frozen=True, slots=True)
class Names:
    """Which parts there are, by their identifiers in AWS."""

    warehouse: str
    """Identifier of the RDS instance."""
    hosts: tuple[str, ...]
    """Ids of EC2 instances."""
    consumer: str
    """UUID of the event source mapping."""
    schedules: tuple[str, ...]
    """Names of schedules in the default group."""


class AwsAccount:
    """The parts in the account and region of this process's environment (parts.Account)."""

    def __init__(self, names: Names, create: Callable[..., Any] | None = None, **options: Any) -> None:
        """`create` creates a client (default: botocore's `create_client`); `options` are passed to it."""
        config = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3})
        create = create or botocore.session.get_session().create_client
        client: Callable[[str], Any] = partial(create, **{"config": config, **options})
        self._names = names
        self._rds = client("rds")
        self._ec2 = client("ec2")
        self._lambda = client("lambda")
        self._scheduler = client("scheduler")

    def state(self) -> State:
        """Return the present state."""
        with aws_errors("reading the state of the warehouse"):
            warehouse, warehouse_tags = self._warehouse()
        with aws_errors("reading the state of the hosts"):
            hosts, host_tags = self._hosts()
        with aws_errors("reading the state of the consumer"):
            consumer = self._consumer()
        with aws_errors("reading the state of the schedules"):
            schedules = tuple(map(self._schedule, self._names.schedules))
        tags = {str(warehouse): warehouse_tags, **host_tags}
        return State(warehouse, hosts, consumer, schedules, dict(tagged(tags)))

    def turn(self, part: Part, *, on: bool) -> None:
        """Turn a part on or off. Raises ConflictError if its state does not allow that."""
        turn: Callable[[str, bool], None] = {
            Kind.WAREHOUSE: self._turn_warehouse,
            Kind.HOST: self._turn_host,
            Kind.CONSUMER: self._turn_consumer,
            Kind.SCHEDULE: self._turn_schedule,
        }[part.kind]
        with aws_errors(f"turning {part} {'on' if on else 'off'}"):
            turn(part.id, on)

    def _warehouse(self) -> tuple[Part, Mapping[str, str]]:
        name = self._names.warehouse
        (found,) = self._rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        status = found["DBInstanceStatus"]
        return Part(Kind.WAREHOUSE, name, _RDS.get(status, Power.BUSY), status), _tags(found.get("TagList"))

    def _hosts(self) -> tuple[tuple[Part, ...], Mapping[str, Mapping[str, str]]]:
        found = {instance["InstanceId"]: instance for instance in self._instances()}
        hosts = tuple(_host(name, found.get(name, {})) for name in self._names.hosts)
        return hosts, {str(host): _tags(found.get(host.id, {}).get("Tags")) for host in hosts}

    def _instances(self) -> Iterator[Any]:
        if not self._names.hosts:
            return
        # A filter, since an id of an instance that is gone would be refused together with all others.
        wanted = [{"Name": "instance-id", "Values": [*self._names.hosts]}]
        for page in self._ec2.get_paginator("describe_instances").paginate(Filters=wanted):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]

    def _consumer(self) -> Part:
        found = self._lambda.get_event_source_mapping(UUID=self._names.consumer)
        status = found["State"]
        power = _MAPPING.get(status, Power.BUSY)
        return Part(Kind.CONSUMER, self._names.consumer, power, status, found["LastModified"])

    def _schedule(self, name: str) -> Part:
        found = self._scheduler.get_schedule(Name=name)
        status = found["State"]
        power = _SCHEDULE.get(status, Power.BUSY)
        return Part(Kind.SCHEDULE, name, power, status, found["LastModificationDate"])

    def _turn_warehouse(self, name: str, on: bool) -> None:
        turn = self._rds.start_db_instance if on else self._rds.stop_db_instance
        turn(DBInstanceIdentifier=name)

    def _turn_host(self, name: str, on: bool) -> None:
        turn = self._ec2.start_instances if on else self._ec2.stop_instances
        turn(InstanceIds=[name])

    def _turn_consumer(self, name: str, on: bool) -> None:
        self._lambda.update_event_source_mapping(UUID=name, Enabled=on)

    def _turn_schedule(self, name: str, on: bool) -> None:
        # An update replaces the schedule: what it leaves out becomes the default.
        # https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
        present = self._scheduler.get_schedule(Name=name)
        kept = {key: value for key, value in present.items() if key not in _NOT_UPDATED}
        self._scheduler.update_schedule(**kept | {"State": "ENABLED" if on else "DISABLED"})


def _host(name: str, found: Mapping[str, Any]) -> Part:
    status = found["State"]["Name"] if found else "missing"
    return Part(Kind.HOST, name, _EC2.get(status, Power.BUSY), status)


def _tags(tags: Iterable[Mapping[str, str]] | None) -> Mapping[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def names_of(warehouse: str, hosts: str, consumer: str, schedules: str) -> Names:
    """Return the parts from texts, in which commas separate several; hosts are ARNs.

    Raises ConfigurationError.
    """
    required = {"the RDS instance": warehouse, "the event source mapping": consumer}
    for what, text in required.items():
        if not text:
            raise ConfigurationError(f"{what} is not named: deploy the stack of schedule.yaml again")
    ids = (arn.rpartition("/")[2] for arn in hosts.split(","))
    return Names(warehouse, tuple(filter(None, ids)), consumer, tuple(filter(None, schedules.split(","))))
