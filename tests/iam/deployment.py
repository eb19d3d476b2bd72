"""The permissions of a deployment: who may do what, by the policies of its stacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from iam.judge import ANONYMOUS, Judge, Request, Verdict
from iam.policies import Statement, statements_of
from iam.templates import Resource

RESOURCE_POLICIES = {
    "AWS::S3::BucketPolicy": ("Bucket", "PolicyDocument"),
    "AWS::Kinesis::ResourcePolicy": ("ResourceArn", "ResourcePolicy"),
    "AWS::SQS::QueuePolicy": ("Queues", "PolicyDocument"),
    "AWS::SNS::TopicPolicy": ("Topics", "PolicyDocument"),
    "AWS::SecretsManager::ResourcePolicy": ("SecretId", "ResourcePolicy"),
}
"""Types that give another resource a policy: the properties that name that resource and hold the policy."""
_PARTS = {
    "AWS::S3::Bucket": lambda p: [
        rule["ServerSideEncryptionByDefault"].get("KMSMasterKeyID")
        for rule in p.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", ())
    ],
    "AWS::Kinesis::Stream": lambda p: [p.get("StreamEncryption", {}).get("KeyId")],
    "AWS::SQS::Queue": lambda p: [p.get("KmsMasterKeyId")],
    "AWS::SNS::Topic": lambda p: [p.get("KmsMasterKeyId")],
    "AWS::DynamoDB::Table": lambda p: [p.get("SSESpecification", {}).get("KMSMasterKeyId")],
    "AWS::Logs::LogGroup": lambda p: [p.get("KmsKeyId")],
    "AWS::SecretsManager::Secret": lambda p: [p.get("KmsKeyId")],
    "AWS::Lambda::Function": lambda p: [p.get("KmsKeyArn")],
}


@dataclass(frozen=True, eq=False)
class Holder:
    """A role or a resource, and the statements of its policies."""

    arn: str
    account: str
    statements: list[Statement] = field(default_factory=list)
    key: str | None = None
    """ARN of the customer's key that encrypts the resource."""
    bucket_key: bool = False
    public_blocked: bool = False


_EVERYTHING = Statement("everything", "Administrator", {"Effect": "Allow", "Action": "*", "Resource": "*"})


class Deployment:
    """Roles, resources and their policies, from resolved stacks. `secrets`: the ARN of the key of each."""

    def __init__(
        self, resources: Iterable[Resource], secrets: Mapping[str, str | None] | None = None
    ) -> None:
        self.resources = list(resources)
        self.roles: dict[str, Holder] = {}
        self.holders: dict[str, Holder] = {}
        self._assumed: dict[str, Holder] = {}  # not of the templates: what users create before
        self._count = 0
        self._arns = {resource.id: resource.arn for resource in self.resources}
        self._collect()
        for arn, key in (secrets or {}).items():
            self.holders[arn] = Holder(arn, arn.split(":")[4], key=key)
            if key:
                self.add(Holder(key, key.split(":")[4], [_default_key_policy(key)]))

    def statements(self) -> list[tuple[Holder, Statement]]:
        """Return every statement with the role or resource that holds it."""
        holders = [*self.roles.values(), *self.holders.values()]
        return [(holder, statement) for holder in holders for statement in holder.statements]

    def function_role(self, function: str) -> Holder:
        """Return the role of a function, by the function's name."""
        return self.roles[self.one("AWS::Lambda::Function", function).properties["Role"]]

    def role_of_key(self, name: str) -> Holder:
        """Return the role of a function or of a task, whose name is its access key in tests."""
        for task in self.resources:
            if task.type == "AWS::ECS::TaskDefinition" and task.properties["Family"] == name:
                return self.roles[task.properties["TaskRoleArn"]]
        return self.function_role(name)

    def environment(self, function: str) -> Mapping[str, str]:
        """Return the variables that the template gives a function."""
        declared = self.one("AWS::Lambda::Function", function).properties
        variables: Mapping[str, str] = declared["Environment"]["Variables"]
        return variables

    def one(self, type_: str, name: str) -> Resource:
        """Return the resource of a type and physical name."""
        found = [each for each in self.resources if each.type == type_ and name in (each.id, each.arn)]
        assert len(found) == 1, f"{len(found)} of {type_} {name}"
        return found[0]

    def holder_of(self, arn: str) -> Holder | None:
        """Return the resource that an ARN names or, as an object of a bucket, belongs to."""
        if arn in self.holders or arn in self._assumed:
            return self.holders.get(arn) or self._assumed[arn]
        return self.holders.get(arn.partition("/")[0]) if arn.startswith("arn:aws:s3:::") else None

    def changed(self, holder: Holder, old: Statement, new: Statement | None) -> Deployment:
        """Return the deployment with another statement of a role or resource, or without it."""
        statements = [new if each is old else each for each in holder.statements]
        return self.replaced(holder, [each for each in statements if each])

    def replaced(self, holder: Holder, statements: list[Statement]) -> Deployment:
        """Return the deployment with these statements of a role or resource in place of its own."""
        other = replace(holder, statements=statements)
        copy = object.__new__(Deployment)
        copy.__dict__ = dict(self.__dict__)
        name = "roles" if holder in self.roles.values() else "holders"
        setattr(copy, name, {**getattr(self, name), holder.arn: other})
        return copy

    def add(self, holder: Holder) -> None:
        """Add what is not of the templates, such as a role that users create."""
        self._assumed[holder.arn] = holder

    def judge(self, request: Request, judge: Judge) -> Verdict:
        """Judge a request by the policies of the caller's role and of the resource."""
        role = self.role_of(request.principal)
        holder = self.holder_of(request.resource)
        return judge.judge(
            request,
            [role.statements] if role else [],
            holder.statements if holder and holder.statements else None,
            public_blocked=bool(holder and holder.public_blocked),
        )

    def role_of(self, principal: str) -> Holder | None:
        """Return the role of a session; administrators have one that is not of the templates."""
        if principal == ANONYMOUS or ":assumed-role/" not in principal:
            return None
        account, role = principal.split(":")[4], principal.split("/")[1]
        arn = f"arn:aws:iam::{account}:role/{role}"
        return self.roles.get(arn) or Holder(arn, account, [_EVERYTHING])

    def _collect(self) -> None:
        managed: dict[str, list[Statement]] = {}
        for resource in self.resources:
            properties = resource.properties
            if resource.type == "AWS::IAM::Role":
                self.roles[resource.arn] = Holder(
                    resource.arn, resource.account, list(self._inline(resource))
                )
                trust = self._read(properties["AssumeRolePolicyDocument"], f"{resource.name}:trust")
                self.holders[resource.arn] = Holder(resource.arn, resource.account, trust)
            elif resource.type == "AWS::IAM::ManagedPolicy":
                managed[resource.arn] = self._read(properties["PolicyDocument"], resource.name)
            else:
                self.holders[resource.arn] = self._holder(resource)
        for resource in self.resources:
            self._attach(resource, managed)

    def _attach(self, resource: Resource, managed: Mapping[str, list[Statement]]) -> None:
        properties = resource.properties
        if resource.type == "AWS::IAM::Role":
            for arn in properties.get("ManagedPolicyArns", ()):
                self.roles[resource.arn].statements.extend(managed[arn] if arn in managed else self._aws(arn))
        elif resource.type in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy"):
            document = managed.get(resource.arn) or self._read(properties["PolicyDocument"], resource.name)
            names = properties.get("Roles") or [properties[n] for n in ("RoleName",) if n in properties]
            for name in names:
                self.roles[f"arn:aws:iam::{resource.account}:role/{name}"].statements.extend(document)
        elif resource.type in RESOURCE_POLICIES:
            named, held = RESOURCE_POLICIES[resource.type]
            statements = self._read(properties[held], resource.name)
            for target in _listed(properties[named]):
                self.holders[self._arns.get(target, target)].statements.extend(statements)
        elif resource.type == "AWS::Lambda::Permission":
            function = self._arns.get(properties["FunctionName"], properties["FunctionName"])
            self.holders[function].statements.extend(
                self._read(_permission(properties, function), resource.name)
            )

    def _holder(self, resource: Resource) -> Holder:
        properties = resource.properties
        holder = Holder(
            resource.arn,
            resource.account,
            key=self._key_of(resource),
            bucket_key=any(
                rule.get("BucketKeyEnabled")
                for rule in properties.get("BucketEncryption", {}).get(
                    "ServerSideEncryptionConfiguration", ()
                )
            ),
            public_blocked=bool(
                properties.get("PublicAccessBlockConfiguration", {}).get("RestrictPublicBuckets")
            ),
        )
        if resource.type == "AWS::KMS::Key":
            holder.statements.extend(self._read(properties["KeyPolicy"], resource.name))
        return holder

    def _key_of(self, resource: Resource) -> str | None:
        keys = [key for key in _PARTS.get(resource.type, lambda _: [])(resource.properties) if key]
        if not keys or keys[0].startswith("alias/aws/"):
            return None
        return self._arns.get(keys[0], keys[0])

    def _inline(self, resource: Resource) -> Iterator[Statement]:
        for policy in resource.properties.get("Policies", ()):
            yield from self._read(policy["PolicyDocument"], f"{resource.name}:{policy['PolicyName']}")

    def _read(self, document: Mapping[str, Any], name: str) -> list[Statement]:
        statements = statements_of(document, name, self._count)
        self._count += len(statements)
        return statements

    def _aws(self, arn: str) -> list[Statement]:
        """Return the statements of a policy that AWS manages, as moto knows it."""
        from moto.iam.aws_managed_policies import aws_managed_policies_data  # type: ignore[import-untyped]

        policies = aws_managed_policies_data
        if isinstance(policies, str):
            import json

            policies = json.loads(policies)
        return self._read(policies[arn.rpartition("/")[2]]["Document"], arn)


def _default_key_policy(key: str) -> Statement:
    """https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"""
    root = f"arn:aws:iam::{key.split(':')[4]}:root"
    body = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    return Statement("assumed", key, body)


def _permission(properties: Mapping[str, Any], function: str) -> dict[str, Any]:
    """Return the statement that a Lambda permission becomes.

    https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
    """
    condition: dict[str, dict[str, str]] = {}
    if "SourceArn" in properties:
        condition["ArnLike"] = {"AWS:SourceArn": properties["SourceArn"]}
    if "SourceAccount" in properties:
        condition["StringEquals"] = {"AWS:SourceAccount": properties["SourceAccount"]}
    body = {
        "Effect": "Allow",
        "Principal": {"Service": properties["Principal"]},
        "Action": properties["Action"],
        "Resource": function,
        **({"Condition": condition} if condition else {}),
    }
    return {"Statement": body}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
