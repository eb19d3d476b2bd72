"""What nobody may do with a deployment, by the roles of its functions or from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from iam.deployment import Deployment
from iam.installation import PREFIX, REGION, REPORTING, SOURCE, Secrets
from iam.judge import ANONYMOUS, INSIDE, OUTSIDE, Request, context_of, origin
from iam.services import administrator
from schemas.catalog.entity import Catalog

STRANGER = "999999999999"
LOG_OBJECT = "log/2026/01/01/00/1"
SCHEMA = "log/_schemas/1"
PRODUCERS = ("csv-producer", "dynamodb-producer", "producer-redrive")
CONSUMERS = ("consumer", "consumer-redrive", "refresher", "metrics")


class World:
    """ARNs of a deployment by what they are, and its callers."""

    def __init__(self, deployment: Deployment, secrets: Secrets, catalog: Catalog) -> None:
        self.deployment = deployment
        self.secrets = secrets
        self.catalog = catalog
        self.stream = f"arn:aws:kinesis:{REGION}:{REPORTING}:stream/{PREFIX}-events"
        self.log = f"arn:aws:s3:::{PREFIX}-log-{REPORTING}-{REGION}"
        self.source = f"arn:aws:s3:::{PREFIX}-source-{SOURCE}-{REGION}"

    def caller(self, name: str) -> str:
        """Return the session of a function, or of a task named `replay`."""
        role = self.deployment.role_of_key(f"{PREFIX}-{name}").arn
        return f"arn:aws:sts::{role.split(':')[4]}:assumed-role/{role.rpartition('/')[2]}/{name}"

    @property
    def everyone(self) -> list[str]:
        return [self.caller(name) for name in (*PRODUCERS, *CONSUMERS, "replay")]

    def key(self, arn: str) -> str:
        """Return the key that encrypts a resource."""
        holder = self.deployment.holder_of(arn)
        assert holder is not None
        assert holder.key is not None
        return holder.key

    def of_type(self, type_: str) -> list[str]:
        return [each.arn for each in self.deployment.resources if each.type == type_]

    def ask(
        self, callers: str | Iterable[str], actions: str, resource: str, **context: str | None
    ) -> Iterator[Request]:
        """Yield a request of each caller for each action; `context`: names with `__` for the colon."""
        holder = self.deployment.holder_of(resource)
        account = holder.account if holder else resource.split(":")[4]
        for caller in [callers] if isinstance(callers, str) else callers:
            # From the firm, so that what is forbidden is forbidden there too.
            values: dict[str, str | None] = {"aws:SecureTransport": "true", **origin(caller, INSIDE)}
            values |= {name.replace("__", ":", 1): value for name, value in context.items()}
            for action in actions.split():
                yield Request(caller, action, resource, account, context_of(values))


def another_stream(world: World) -> Iterator[Request]:
    for name in (f"{STRANGER}:stream/{PREFIX}-events", f"{REPORTING}:stream/{PREFIX}-other"):
        arn = f"arn:aws:kinesis:{REGION}:{name}"
        yield from world.ask(world.everyone, "kinesis:PutRecords kinesis:GetRecords", arn)


def read_the_stream_as_a_producer(world: World) -> Iterator[Request]:
    producers = map(world.caller, PRODUCERS)
    yield from world.ask(producers, "kinesis:GetRecords kinesis:GetShardIterator", world.stream)


def write_the_stream_as_a_consumer(world: World) -> Iterator[Request]:
    readers = [world.caller(name) for name in (*CONSUMERS, "replay")]
    yield from world.ask(readers, "kinesis:PutRecords kinesis:PutRecord", world.stream)


def read_the_log_as_a_producer(world: World) -> Iterator[Request]:
    callers = [*map(world.caller, PRODUCERS), administrator(SOURCE)]
    for key in (LOG_OBJECT, SCHEMA, "log-errors/1", "dead-letters/consumer/1"):
        yield from world.ask(callers, "s3:GetObject s3:GetObjectVersion", f"{world.log}/{key}")
    yield from world.ask(callers, "s3:ListBucket s3:ListBucketVersions", world.log)


def write_the_log(world: World) -> Iterator[Request]:
    callers = [*world.everyone, administrator(SOURCE), administrator(STRANGER)]
    for key in (LOG_OBJECT, "log-errors/1", "log/_identity"):
        for precondition in ("*", None):
            context = {"s3__if-none-match": precondition, "s3__ObjectCreationOperation": "true"}
            yield from world.ask(callers, "s3:PutObject", f"{world.log}/{key}", **context)


def overwrite_a_schema(world: World) -> Iterator[Request]:
    callers = [*world.everyone, *map(administrator, (REPORTING, SOURCE, STRANGER))]
    context = {"s3__ObjectCreationOperation": "true"}
    yield from world.ask(callers, "s3:PutObject", f"{world.log}/{SCHEMA}", **context)


def write_a_schema_as_a_consumer(world: World) -> Iterator[Request]:
    readers = [world.caller(name) for name in (*CONSUMERS, "replay")]
    context = {"s3__ObjectCreationOperation": "true", "s3__if-none-match": "*"}
    yield from world.ask(readers, "s3:PutObject", f"{world.log}/{SCHEMA}", **context)


def delete_or_unlock_the_log(world: World) -> Iterator[Request]:
    callers = [*world.everyone, administrator(SOURCE), administrator(STRANGER)]
    for key in (LOG_OBJECT, SCHEMA):
        actions = (
            "s3:DeleteObject s3:DeleteObjectVersion s3:PutObjectRetention s3:PutObjectLegalHold "
            "s3:BypassGovernanceRetention"
        )
        yield from world.ask(callers, actions, f"{world.log}/{key}")
    actions = (
        "s3:PutBucketObjectLockConfiguration s3:PutBucketVersioning s3:PutLifecycleConfiguration "
        "s3:PutBucketPolicy s3:DeleteBucketPolicy s3:PutBucketPublicAccessBlock s3:DeleteBucket "
        "s3:PutEncryptionConfiguration s3:PutBucketLogging"
    )
    yield from world.ask(callers, actions, world.log)


def decrypt_with_another_key(world: World) -> Iterator[Request]:
    log, stream, source = (world.key(arn) for arn in (world.log, world.stream, world.source))
    s3, kinesis = (f"{service}.{REGION}.amazonaws.com" for service in ("s3", "kinesis"))
    producers = [*map(world.caller, PRODUCERS), administrator(SOURCE)]
    consumers = [world.caller(name) for name in (*CONSUMERS, "replay")]
    yield from world.ask(producers, "kms:Decrypt", log, kms__ViaService=s3)
    yield from world.ask(producers, "kms:Decrypt", stream, kms__ViaService=kinesis)
    yield from world.ask(consumers, "kms:Decrypt kms:GenerateDataKey", source, kms__ViaService=s3)
    yield from world.ask(world.caller("refresher"), "kms:Decrypt", log, kms__ViaService=s3)
    yield from world.ask(world.caller("refresher"), "kms:Decrypt", stream, kms__ViaService=kinesis)


def use_a_key_directly(world: World) -> Iterator[Request]:
    """A key works only for the service that stores what it encrypts."""
    for key in world.of_type("AWS::KMS::Key"):
        actions = "kms:Decrypt kms:GenerateDataKey kms:Encrypt kms:CreateGrant kms:ScheduleKeyDeletion"
        yield from world.ask(world.everyone, actions, key)


def read_another_secret(world: World) -> Iterator[Request]:
    read = "secretsmanager:GetSecretValue"
    callers = [world.caller(name) for name in (*CONSUMERS, "replay")]
    yield from world.ask(callers, read, world.secrets.hash)
    yield from world.ask(
        [caller for caller in callers if "efresher" not in caller], read, world.secrets.refresher
    )
    yield from world.ask(world.caller("refresher"), read, world.secrets.warehouse)
    yield from world.ask(map(world.caller, PRODUCERS), read, world.secrets.warehouse)


def anyone(world: World) -> Iterator[Request]:
    """Requests without a signature."""
    for bucket in world.of_type("AWS::S3::Bucket"):
        yield from world.ask(ANONYMOUS, "s3:GetObject s3:PutObject", f"{bucket}/{LOG_OBJECT}")
        yield from world.ask(ANONYMOUS, "s3:ListBucket", bucket)
    for queue in world.of_type("AWS::SQS::Queue"):
        yield from world.ask(ANONYMOUS, "sqs:SendMessage sqs:ReceiveMessage", queue)
    for topic in world.of_type("AWS::SNS::Topic"):
        yield from world.ask(ANONYMOUS, "sns:Publish sns:Subscribe", topic)
    yield from world.ask(ANONYMOUS, "kinesis:PutRecords", world.stream)


def an_account_that_is_not_named(world: World) -> Iterator[Request]:
    stranger = administrator(STRANGER)
    yield from world.ask(stranger, "kinesis:PutRecords kinesis:ListShards kinesis:GetRecords", world.stream)
    context = {"s3__ObjectCreationOperation": "true", "s3__if-none-match": "*"}
    yield from world.ask(stranger, "s3:PutObject", f"{world.log}/{SCHEMA}", **context)
    for bucket in world.of_type("AWS::S3::Bucket"):
        yield from world.ask(stranger, "s3:GetObject s3:PutObject", f"{bucket}/x")
    for key in world.of_type("AWS::KMS::Key"):
        for service in ("s3", "kinesis", "sqs"):
            via = f"{service}.{REGION}.amazonaws.com"
            yield from world.ask(stranger, "kms:GenerateDataKey kms:Decrypt", key, kms__ViaService=via)


def without_tls(world: World) -> Iterator[Request]:
    for bucket in world.of_type("AWS::S3::Bucket"):
        account = world.deployment.holders[bucket].account
        person = administrator(account)
        yield from world.ask(person, "s3:GetObject s3:PutObject", f"{bucket}/x", aws__SecureTransport="false")
        yield from world.ask(person, "s3:ListBucket", bucket, aws__SecureTransport="false")
    for queue in world.of_type("AWS::SQS::Queue"):
        person = administrator(queue.split(":")[4])
        yield from world.ask(person, "sqs:ReceiveMessage", queue, aws__SecureTransport="false")
    for topic in world.of_type("AWS::SNS::Topic"):
        person = administrator(topic.split(":")[4])
        yield from world.ask(person, "sns:Publish", topic, aws__SecureTransport="false")
    for secret in (world.secrets.warehouse, world.secrets.refresher):
        person, read = administrator(REPORTING), "secretsmanager:GetSecretValue"
        yield from world.ask(person, read, secret, aws__SecureTransport="false")
    producers = map(world.caller, PRODUCERS)
    yield from world.ask(producers, "kinesis:PutRecords", world.stream, aws__SecureTransport="false")


def from_outside_the_firm(world: World) -> Iterator[Request]:
    """People with every right, but not at an address of the firm, nor behind one: in a VPC there is none."""
    for address in (OUTSIDE, None):
        for bucket in world.of_type("AWS::S3::Bucket"):
            person = administrator(world.deployment.holders[bucket].account)
            actions = "s3:GetObject s3:PutObject s3:DeleteObjectVersion"
            yield from world.ask(person, actions, f"{bucket}/log/1", aws__SourceIp=address)
            actions = "s3:ListBucket s3:PutBucketPolicy s3:PutLifecycleConfiguration"
            yield from world.ask(person, actions, bucket, aws__SourceIp=address)
        for key in world.of_type("AWS::KMS::Key"):
            person, actions = administrator(key.split(":")[4]), "kms:CreateGrant kms:ScheduleKeyDeletion"
            yield from world.ask(person, actions, key, aws__SourceIp=address)
        for secret in (world.secrets.warehouse, world.secrets.refresher):
            person, actions = (
                administrator(REPORTING),
                "secretsmanager:GetSecretValue secretsmanager:PutSecretValue",
            )
            yield from world.ask(person, actions, secret, aws__SourceIp=address)


def change_the_infrastructure(world: World) -> Iterator[Request]:
    """No function may give itself or others a right, or change what runs."""
    for role in world.deployment.roles:
        actions = "iam:PutRolePolicy iam:AttachRolePolicy iam:PassRole sts:AssumeRole"
        yield from world.ask(world.everyone, actions, role)
    for function in world.of_type("AWS::Lambda::Function"):
        actions = "lambda:InvokeFunction lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration"
        yield from world.ask(world.everyone, actions, function)
    for table in world.of_type("AWS::DynamoDB::Table"):
        actions = "dynamodb:GetItem dynamodb:PutItem dynamodb:Scan dynamodb:DeleteTable"
        yield from world.ask(world.everyone, actions, table)


FORBIDDEN: Mapping[str, Callable[[World], Iterator[Request]]] = {
    each.__name__: each
    for each in (
        another_stream,
        read_the_stream_as_a_producer,
        write_the_stream_as_a_consumer,
        read_the_log_as_a_producer,
        write_the_log,
        overwrite_a_schema,
        write_a_schema_as_a_consumer,
        delete_or_unlock_the_log,
        decrypt_with_another_key,
        use_a_key_directly,
        read_another_secret,
        anyone,
        an_account_that_is_not_named,
        without_tls,
        from_outside_the_firm,
        change_the_infrastructure,
    )
}
