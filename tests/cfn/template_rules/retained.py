"""What survives its stack: everything that holds data, and nothing that a new stack creates again."""

from __future__ import annotations

from collections.abc import Iterator

from cfn_templates import World

from template_rules import log_replica
from template_rules.alarms import CONDITIONS as ALARM_CONDITIONS

KEEPS = {
    "AWS::S3::Bucket",
    "AWS::KMS::Key",  # without its key the data is lost as well
    "AWS::Kinesis::Stream",
    "AWS::KinesisFirehose::DeliveryStream",  # holds the position in the stream
    "AWS::SQS::Queue",
    "AWS::DynamoDB::Table",
    "AWS::RDS::DBInstance",
}
KEPT_ROLES = {"stream.DeliveryRole"}  # of the delivery stream
GOES = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::FlowLog",
    "AWS::EC2::Instance",
    "AWS::EC2::NetworkAcl",
    "AWS::EC2::NetworkAclEntry",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetNetworkAclAssociation",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::VPCPeeringConnection",
    "AWS::ECS::Cluster",
    "AWS::ECS::TaskDefinition",
    "AWS::Events::Rule",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::Kinesis::ResourcePolicy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",  # stated, since a new stack could not create a group that is still there
    "AWS::Logs::LogStream",
    "AWS::Logs::MetricFilter",
    "AWS::RDS::DBParameterGroup",
    "AWS::RDS::DBSubnetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::Document",
    "AWS::Scheduler::Schedule",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::SecretsManager::Secret",  # stated; a new password is given to the login again
}
ATTRIBUTES = {"Type", "Properties", "DependsOn", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}
CONDITIONAL = {
    "stream.ReplicationRole": log_replica.HAS,
    "replicas.RouteToProducersA": "HasPeeringConnectionId",
    "replicas.RouteToProducersB": "HasPeeringConnectionId",
    "replicas.ReplicasFromProducer": "HasPeeringConnectionId",
    **ALARM_CONDITIONS,
}
"""Resources that exist under a condition only."""


def known_types(world: World) -> Iterator[str]:
    """Resources of types that no rule knows, or with attributes that no rule knows."""
    for template in world.values():
        for logical_id, resource in template.resources.items():
            if resource["Type"] not in KEEPS | GOES:
                yield f"{template.name}.{logical_id}: no rule knows {resource['Type']}"
            where = f"{template.name}.{logical_id}"
            if resource.get("Condition") != CONDITIONAL.get(where):
                yield f"{where}: exists under the condition {resource.get('Condition')}"
            for attribute in sorted(set(resource) - ATTRIBUTES - {"Condition"}):
                yield f"{template.name}.{logical_id}: no rule knows its {attribute}"


def deletion_policies(world: World) -> Iterator[str]:
    """Data that goes with its stack, and other resources that stay behind."""
    for template in world.values():
        for logical_id, resource in template.resources.items():
            kept = resource["Type"] in KEEPS or f"{template.name}.{logical_id}" in KEPT_ROLES
            for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
                policy = resource.get(attribute, "Delete")
                if policy != ("Retain" if kept else "Delete"):
                    yield f"{template.name}.{logical_id}: its {attribute} is {policy}"


RULES = (known_types, deletion_policies)
