"""Which emulator deploys each type of resource in the templates, and what judges the types that none does."""

from __future__ import annotations

from collections.abc import Mapping

ON_LOCALSTACK = frozenset(
    {
        *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", "AWS::DynamoDB::Table"),
        *("AWS::EC2::Instance", "AWS::EC2::NetworkAcl", "AWS::EC2::Route", "AWS::EC2::RouteTable"),
        *("AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::SubnetRouteTableAssociation"),
        *("AWS::EC2::VPC", "AWS::EC2::VPCEndpoint", "AWS::Events::Rule"),
        *("AWS::IAM::InstanceProfile", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role"),
        *("AWS::KMS::Alias", "AWS::KMS::Key"),
        *("AWS::Kinesis::ResourcePolicy", "AWS::Kinesis::Stream", "AWS::KinesisFirehose::DeliveryStream"),
        *("AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function"),
        *("AWS::Logs::LogGroup", "AWS::Logs::LogStream"),
        *("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::Scheduler::Schedule"),
        *("AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy"),
        *("AWS::SQS::Queue", "AWS::SQS::QueuePolicy"),
        *("AWS::SecretsManager::ResourcePolicy", "AWS::SecretsManager::Secret"),
    }
)
ON_MINISTACK = frozenset(
    {
        *("AWS::RDS::DBInstance", "AWS::RDS::DBParameterGroup", "AWS::RDS::DBSubnetGroup"),
        *("AWS::CloudWatch::Dashboard", "AWS::Logs::MetricFilter"),
    }
)
ON_MOTO = frozenset({"AWS::EC2::FlowLog", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::VPCPeeringConnection"})
NOWHERE: Mapping[str, str] = {
    "AWS::EC2::NetworkAclEntry": "tests/cfn/template_rules/networks.py",
    "AWS::EC2::SecurityGroupEgress": "tests/cfn/network_graph.py",
    "AWS::EC2::SubnetNetworkAclAssociation": "tests/cfn/template_rules/networks.py",
    "AWS::ECS::Cluster": "tests/cfn/template_rules/functions.py",
    "AWS::ECS::TaskDefinition": "tests/cfn/template_rules/functions.py",
    "AWS::SSM::Document": "tests/cfn/template_rules/workbench.py",
}
"""Types that no emulator deploys, each with the rules that judge every property of it instead.

What they do on AWS was not seen.
"""
