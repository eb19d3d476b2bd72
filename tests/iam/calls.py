"""What IAM judges for one recorded call: actions, resources and context keys.

A record is a dictionary of plain facts about one HTTP request to AWS, which a proxy or the recorder of this
package writes: caller, service, operation, path, query, headers, parameters, status. The rules come from
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
and https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from iam.deployment import Deployment, Holder
from iam.judge import ANONYMOUS, Request, context_of, origin

Call: TypeAlias = Mapping[str, Any]


def requests_of(call: Call, deployment: Deployment) -> list[Request]:
    """Return everything that must be allowed for a call to succeed as it did."""
    return list(_SERVICES[call["service"]](call, deployment))


def _request(
    call: Call, action: str, resource: str, deployment: Deployment, **context: str | None
) -> Request:
    """Return a request with the global keys that AWS adds; `context`: names with `__` for the colon."""
    caller = call["caller"]
    holder = deployment.holder_of(resource)
    account = holder.account if holder else resource.split(":")[4] if resource != "*" else call["account"]
    values = {
        "aws:SecureTransport": "true" if call["tls"] else "false",
        "aws:PrincipalAccount": call["account"] if caller else None,
        "aws:PrincipalArn": call["principal"],
        "aws:ResourceAccount": account or call["account"],
        "aws:RequestedRegion": call["region"],
        **origin(caller or ANONYMOUS),
    }
    values |= {name.replace("__", ":", 1): value for name, value in context.items()}
    return Request(caller or ANONYMOUS, action, resource, account or call["account"], context_of(values))


def _kms(
    call: Call, deployment: Deployment, holder: Holder | None, service: str, actions: str, **encryption: str
) -> Iterator[Request]:
    """Yield the calls to KMS that a service makes for an encrypted resource, as the caller."""
    if holder is None or holder.key is None:
        return
    for action in actions.split():
        base = _request(call, f"kms:{action}", holder.key, deployment)
        via = {
            "kms:ViaService": f"{service}.{holder.key.split(':')[3]}.amazonaws.com",
            "kms:CallerAccount": call["account"],
            "aws:ViaAWSService": "true",
            **{f"kms:EncryptionContext:{name}": value for name, value in encryption.items()},
        }
        yield Request(
            base.principal, base.action, base.resource, base.account, context_of(dict(base.context) | via)
        )


# S3


def _s3(call: Call, deployment: Deployment) -> Iterator[Request]:
    bucket, _, key = call["path"].lstrip("/").partition("/")
    if key:
        yield from _object(call, deployment, bucket, key)
    else:
        yield from _bucket(call, deployment, bucket)


def _bucket(call: Call, deployment: Deployment, bucket: str) -> Iterator[Request]:
    query = call["query"]
    action = _BUCKET_ACTIONS.get((call["method"], next((n for n in query if n in _SUBRESOURCES), "")))
    assert action, f"no action is known for {call['method']} of a bucket with {sorted(query)}"
    listing = action in ("ListBucket", "ListBucketVersions")
    context = (
        {f"s3__{name}": query.get(name) for name in ("prefix", "delimiter", "max-keys")} if listing else {}
    )
    yield _request(call, f"s3:{action}", f"arn:aws:s3:::{bucket}", deployment, **context)


_SUBRESOURCES = ("versions", "versioning", "notification", "policy", "object-lock", "location", "encryption")
_BUCKET_ACTIONS = {
    ("GET", ""): "ListBucket",
    ("HEAD", ""): "ListBucket",
    ("GET", "versions"): "ListBucketVersions",
    ("GET", "versioning"): "GetBucketVersioning",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("GET", "notification"): "GetBucketNotification",
    ("PUT", "notification"): "PutBucketNotification",
    ("PUT", "policy"): "PutBucketPolicy",
    ("DELETE", "policy"): "DeleteBucketPolicy",
    ("PUT", "object-lock"): "PutBucketObjectLockConfiguration",
    ("PUT", "encryption"): "PutEncryptionConfiguration",
    ("GET", "location"): "GetBucketLocation",
    ("PUT", ""): "CreateBucket",
    ("DELETE", ""): "DeleteBucket",
}


def _object(call: Call, deployment: Deployment, bucket: str, key: str) -> Iterator[Request]:
    arn, query, headers = f"arn:aws:s3:::{bucket}/{key}", call["query"], call["headers"]
    method, version = call["method"], query.get("versionId")
    if method in ("GET", "HEAD"):
        yield from _read(call, deployment, arn, version)
    elif method == "DELETE" and "uploadId" in query:
        yield _request(call, "s3:AbortMultipartUpload", arn, deployment)
    elif method == "DELETE":
        action = "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
        yield _request(call, action, arn, deployment, s3__versionid=version)
        if headers.get("x-amz-bypass-governance-retention") == "true":
            yield _request(call, "s3:BypassGovernanceRetention", arn, deployment)
    elif "retention" in query:
        yield _request(call, "s3:PutObjectRetention", arn, deployment)
    else:
        yield from _write(call, deployment, arn)


def _read(call: Call, deployment: Deployment, arn: str, version: str | None) -> Iterator[Request]:
    action = "s3:GetObjectVersion" if version else "s3:GetObject"
    yield _request(call, action, arn, deployment, s3__versionid=version)
    if call["status"] == 404:
        # Without this permission S3 answers 403, and the caller can't tell that the object is missing:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        yield _request(call, "s3:ListBucket", arn.partition("/")[0], deployment)
    elif call["method"] == "GET" or call["headers"].get("x-amz-checksum-mode"):
        yield from _s3_key(call, deployment, arn, "Decrypt")


def _write(call: Call, deployment: Deployment, arn: str) -> Iterator[Request]:
    headers, query = call["headers"], call["query"]
    source = headers.get("x-amz-copy-source")
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
    creates = "uploads" not in query and "partNumber" not in query
    context = {
        "s3__if-none-match": headers.get("if-none-match"),
        "s3__ObjectCreationOperation": str(creates).lower(),
        "s3__x-amz-copy-source": source,
    }
    yield _request(call, "s3:PutObject", arn, deployment, **context)
    in_parts = "uploadId" in query or "uploads" in query
    yield from _s3_key(call, deployment, arn, "GenerateDataKey Decrypt" if in_parts else "GenerateDataKey")
    if source:
        yield from _copied(call, deployment, arn, source)


def _copied(call: Call, deployment: Deployment, arn: str, source: str) -> Iterator[Request]:
    """Yield what reading the source of a copy needs.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html: by default its tags are copied too.
    """
    path, _, version = source.partition("?versionId=")
    original = f"arn:aws:s3:::{unquote(path).lstrip('/')}"
    reading = "s3:GetObjectVersion" if version else "s3:GetObject"
    yield _request(call, reading, original, deployment, s3__versionid=version or None)
    yield from _s3_key(call, deployment, original, "Decrypt")
    if "partNumber" not in call["query"] and call["headers"].get("x-amz-tagging-directive") != "REPLACE":
        yield _request(
            call, "s3:GetObjectVersionTagging" if version else "s3:GetObjectTagging", original, deployment
        )
        yield _request(call, "s3:PutObjectTagging", arn, deployment)


def _s3_key(call: Call, deployment: Deployment, arn: str, actions: str) -> Iterator[Request]:
    """Yield S3's calls to KMS. The context is the bucket's ARN with a bucket key, else the object's.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    """
    holder = deployment.holder_of(arn)
    if holder:
        context = holder.arn if holder.bucket_key else arn
        yield from _kms(call, deployment, holder, "s3", actions, **{"aws:s3:arn": context})


# The others


def _kinesis(call: Call, deployment: Deployment) -> Iterator[Request]:
    """Yield Kinesis's action and its call to KMS.

    https://docs.aws.amazon.com/streams/latest/dev/permissions-user-key-KMS.html
    """
    parameters = call["parameters"]
    name = parameters.get("StreamName")
    arn = parameters.get("StreamARN") or f"arn:aws:kinesis:{call['region']}:{call['account']}:stream/{name}"
    yield _request(call, f"kinesis:{call['operation']}", arn, deployment)
    actions = {"PutRecords": "GenerateDataKey", "PutRecord": "GenerateDataKey", "GetRecords": "Decrypt"}
    if call["operation"] in actions:
        holder = deployment.holder_of(arn)
        yield from _kms(
            call, deployment, holder, "kinesis", actions[call["operation"]], **{"aws:kinesis:arn": arn}
        )


def _sqs(call: Call, deployment: Deployment) -> Iterator[Request]:
    """Yield SQS's action and its calls to KMS.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    """
    parameters = call["parameters"]
    name = parameters.get("QueueName") or parameters["QueueUrl"].rpartition("/")[2]
    arn = f"arn:aws:sqs:{call['region']}:{call['account']}:{name}"
    yield _request(call, f"sqs:{call['operation']}", arn, deployment)
    actions = {"SendMessage": "GenerateDataKey Decrypt", "ReceiveMessage": "Decrypt"}
    if call["operation"] in actions:
        holder = deployment.holder_of(arn)
        yield from _kms(call, deployment, holder, "sqs", actions[call["operation"]], **{"aws:sqs:arn": arn})


def _secret(call: Call, deployment: Deployment) -> Iterator[Request]:
    """Yield Secrets Manager's action and its call to KMS.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    """
    given = call["parameters"]["SecretId"]
    arns = [
        arn
        for arn in deployment.holders
        if ":secret:" in arn and (arn == given or f":secret:{given}-" in arn)
    ]
    assert len(arns) == 1, f"{len(arns)} secrets are named {given}"
    yield _request(call, f"secretsmanager:{call['operation']}", arns[0], deployment)
    holder = deployment.holder_of(arns[0])
    yield from _kms(call, deployment, holder, "secretsmanager", "Decrypt", SecretARN=arns[0])


def _dynamodb(call: Call, deployment: Deployment) -> Iterator[Request]:
    table = call["parameters"]["TableName"]
    arn = f"arn:aws:dynamodb:{call['region']}:{call['account']}:table/{table}"
    yield _request(call, f"dynamodb:{call['operation']}", arn, deployment)
    yield from _kms(call, deployment, deployment.holder_of(arn), "dynamodb", "Decrypt")


def _sts(call: Call, deployment: Deployment) -> Iterator[Request]:
    if call["operation"] != "GetCallerIdentity":  # which no policy can deny
        yield _request(call, f"sts:{call['operation']}", call["parameters"]["RoleArn"], deployment)


def _cloudwatch(call: Call, deployment: Deployment) -> Iterator[Request]:
    namespace = call["parameters"].get("Namespace")
    yield _request(call, f"cloudwatch:{call['operation']}", "*", deployment, cloudwatch__namespace=namespace)


def _rds(call: Call, deployment: Deployment) -> Iterator[Request]:
    name = call["parameters"]["DBInstanceIdentifier"]
    arn = f"arn:aws:rds:{call['region']}:{call['account']}:db:{name}"
    yield _request(call, f"rds:{call['operation']}", arn, deployment)


def _ec2(call: Call, deployment: Deployment) -> Iterator[Request]:
    """Yield EC2's action, and the grant for the key of the volumes of an instance that starts.

    https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
    """
    instance = call["parameters"].get("InstanceId.1")
    arn = f"arn:aws:ec2:{call['region']}:{call['account']}:instance/{instance}" if instance else "*"
    yield _request(call, f"ec2:{call['operation']}", arn, deployment)
    if call["operation"] == "StartInstances":
        for grant in _kms(call, deployment, deployment.holder_of(arn), "ec2", "CreateGrant"):
            yield grant.with_context(kms__GrantIsForAWSResource="true")


def _lambda(call: Call, deployment: Deployment) -> Iterator[Request]:
    kind, name = call["path"].strip("/").split("/")[-2:]
    assert kind == "event-source-mappings", call["path"]
    verb = {"GET": "Get", "PUT": "Update"}[call["method"]]
    arn = f"arn:aws:lambda:{call['region']}:{call['account']}:event-source-mapping:{name}"
    yield _request(call, f"lambda:{verb}EventSourceMapping", arn, deployment)


def _scheduler(call: Call, deployment: Deployment) -> Iterator[Request]:
    """Yield Scheduler's action, and that of passing the role of a schedule that is written.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/security_iam_id-based-policies.html
    """
    name = call["path"].rpartition("/")[2]
    arn = f"arn:aws:scheduler:{call['region']}:{call['account']}:schedule/default/{name}"
    verb = {"GET": "Get", "PUT": "Update"}[call["method"]]
    yield _request(call, f"scheduler:{verb}Schedule", arn, deployment)
    if verb == "Update":
        role = deployment.one("AWS::Scheduler::Schedule", name).properties["Target"]["RoleArn"]
        service = {"iam__PassedToService": "scheduler.amazonaws.com"}
        yield _request(call, "iam:PassRole", role, deployment, **service)


_SERVICES: Mapping[str, Callable[[Call, Deployment], Iterator[Request]]] = {
    "s3": _s3,
    "kinesis": _kinesis,
    "sqs": _sqs,
    "secretsmanager": _secret,
    "dynamodb": _dynamodb,
    "sts": _sts,
    "monitoring": _cloudwatch,
    "rds": _rds,
    "ec2": _ec2,
    "lambda": _lambda,
    "scheduler": _scheduler,
}
