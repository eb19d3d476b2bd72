"""Readers of what only the stacks beside the pipe have: network, database, host. See read_back.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Properties = Mapping[str, Any]
Client = Callable[[str], Any]


def _vpc(reference: str, wanted: Properties, client: Client) -> Properties:
    ec2 = client("ec2")
    found = ec2.describe_vpcs(VpcIds=[reference])["Vpcs"][0]
    names = [name for name in wanted if name.startswith("EnableDns")]
    answers = {name: ec2.describe_vpc_attribute(VpcId=reference, Attribute=_lowered(name)) for name in names}
    return {**found, **{name: answer[name]["Value"] for name, answer in answers.items()}}


def _subnet(reference: str, _: Properties, client: Client) -> Properties:
    found: Properties = client("ec2").describe_subnets(SubnetIds=[reference])["Subnets"][0]
    return found


def _route_table(reference: str, _: Properties, client: Client) -> Properties:
    found: Properties = client("ec2").describe_route_tables(RouteTableIds=[reference])["RouteTables"][0]
    return found


def _route(_: str, wanted: Properties, client: Client) -> Properties | None:
    table = _route_table(wanted["RouteTableId"], wanted, client)
    for route in table["Routes"]:
        if route.get("DestinationCidrBlock") == wanted["DestinationCidrBlock"]:
            return {**route, "RouteTableId": wanted["RouteTableId"]}
    return None


def _route_association(_: str, wanted: Properties, client: Client) -> Properties | None:
    table = _route_table(wanted["RouteTableId"], wanted, client)
    subnets = [association.get("SubnetId") for association in table["Associations"]]
    return wanted if wanted["SubnetId"] in subnets else None


def _group(reference: str, wanted: Properties, client: Client) -> Properties:
    found = client("ec2").describe_security_groups(GroupIds=[reference])["SecurityGroups"][0]
    return {
        **found,
        "GroupDescription": found["Description"],
        "SecurityGroupIngress": [rule for each in found["IpPermissions"] for rule in _rules(each)],
        "SecurityGroupEgress": [rule for each in found["IpPermissionsEgress"] for rule in _rules(each)],
    }


def _rules(permission: Mapping[str, Any]) -> list[Properties]:
    base = {name: permission.get(name) for name in ("IpProtocol", "FromPort", "ToPort")}
    return [
        *({**base, **each} for each in permission.get("IpRanges", ())),
        *(
            {**base, **each, "SourceSecurityGroupId": each["GroupId"]}
            for each in permission["UserIdGroupPairs"]
        ),
    ]


def _ingress(_: str, wanted: Properties, client: Client) -> Properties | None:
    rules = _group(wanted["GroupId"], wanted, client)["SecurityGroupIngress"]
    for rule in rules:
        same = ("FromPort", "SourceSecurityGroupId", "CidrIp")
        if all(str(rule.get(name)) == str(wanted.get(name)) for name in same):
            return {**rule, "GroupId": wanted["GroupId"]}
    return None


def _endpoint(reference: str, _: Properties, client: Client) -> Properties:
    found = client("ec2").describe_vpc_endpoints(VpcEndpointIds=[reference])["VpcEndpoints"][0]
    policy = found.get("PolicyDocument")
    return {
        **found,
        "PolicyDocument": json.loads(policy) if isinstance(policy, str) and policy else policy,
        "SecurityGroupIds": [group["GroupId"] for group in found.get("Groups", ())],
    }


def _network_acl(reference: str, _: Properties, client: Client) -> Properties:
    found: Properties = client("ec2").describe_network_acls(NetworkAclIds=[reference])["NetworkAcls"][0]
    return found


def _instance(reference: str, wanted: Properties, client: Client) -> Properties | None:
    ec2 = client("ec2")
    found = ec2.describe_instances(InstanceIds=[reference])["Reservations"][0]["Instances"][0]
    if found["State"]["Name"] == "terminated":
        return None
    profile = found.get("IamInstanceProfile", {}).get("Arn", "")
    is_image = found["ImageId"].startswith("ami-")
    return {
        **found,
        # The template names a public parameter, which CloudFormation resolves to the id of an image.
        "ImageId": wanted["ImageId"] if is_image else None,
        "NetworkInterfaces": [
            {
                "AssociatePublicIpAddress": "Association" in each,
                "DeviceIndex": each.get("Attachment", {}).get("DeviceIndex"),
                "GroupSet": [group["GroupId"] for group in each["Groups"]],
                "SubnetId": each.get("SubnetId"),
            }
            for each in found.get("NetworkInterfaces", ())
        ],
        "IamInstanceProfile": profile.rpartition("/")[2],
        "SecurityGroupIds": [group["GroupId"] for group in found["SecurityGroups"]],
        "Monitoring": found.get("Monitoring", {}).get("State") == "enabled",
    }


def _peering(reference: str, _: Properties, client: Client) -> Properties:
    answer = client("ec2").describe_vpc_peering_connections(VpcPeeringConnectionIds=[reference])
    found = answer["VpcPeeringConnections"][0]
    accepter, requester = found["AccepterVpcInfo"], found["RequesterVpcInfo"]
    return {
        "VpcId": requester["VpcId"],
        "PeerVpcId": accepter["VpcId"],
        "PeerOwnerId": accepter["OwnerId"],
        "PeerRegion": accepter.get("Region"),
    }


def _flow_log(reference: str, _: Properties, client: Client) -> Properties:
    found = client("ec2").describe_flow_logs(FlowLogIds=[reference])["FlowLogs"][0]
    kinds = {"vpc": "VPC", "subnet": "Subnet", "eni": "NetworkInterface"}
    return {**found, "ResourceType": kinds[found["ResourceId"].partition("-")[0]]}


def _profile(reference: str, _: Properties, client: Client) -> Properties:
    found = client("iam").get_instance_profile(InstanceProfileName=reference)["InstanceProfile"]
    return {"Roles": [role["RoleName"] for role in found["Roles"]]}


def _metric_filter(reference: str, wanted: Properties, client: Client) -> Properties | None:
    answer = client("logs").describe_metric_filters(logGroupName=wanted["LogGroupName"])
    for found in answer["metricFilters"]:
        changes = [
            {_capital(name): value for name, value in each.items()} for each in found["metricTransformations"]
        ]
        if all(wanted["MetricTransformations"][0]["MetricName"] == each["MetricName"] for each in changes):
            return {
                "LogGroupName": found["logGroupName"],
                "FilterName": found["filterName"],
                "FilterPattern": found["filterPattern"],
                "MetricTransformations": changes,
            }
    return None


def _dashboard(reference: str, wanted: Properties, client: Client) -> Properties:
    found = client("cloudwatch").get_dashboard(DashboardName=wanted["DashboardName"])
    return {**found, "DashboardBody": found["DashboardBody"]}


def _composite(reference: str, _: Properties, client: Client) -> Properties | None:
    name = reference.rpartition(":")[2]
    answer = client("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])
    found = answer["CompositeAlarms"]
    return found[0] if found else None


def _subscription(reference: str, _: Properties, client: Client) -> Properties:
    found: Properties = client("sns").get_subscription_attributes(SubscriptionArn=reference)["Attributes"]
    return found


def _secret(reference: str, wanted: Properties, client: Client) -> Properties | None:
    found = client("secretsmanager").describe_secret(SecretId=reference)
    if found.get("DeletedDate"):
        return None
    # How the value is generated is in no API.
    return {**found, "GenerateSecretString": wanted.get("GenerateSecretString")}


def _secret_policy(_: str, wanted: Properties, client: Client) -> Properties | None:
    policy = client("secretsmanager").get_resource_policy(SecretId=wanted["SecretId"]).get("ResourcePolicy")
    # Whether a public policy is refused is a property of the call.
    return {**wanted, "ResourcePolicy": json.loads(policy)} if policy else None


def _event_rule(reference: str, wanted: Properties, client: Client) -> Properties:
    events, name = client("events"), reference.rpartition("|")[2]
    found = events.describe_rule(Name=name)
    pattern = found.get("EventPattern")
    return {
        **found,
        "EventPattern": json.loads(pattern) if pattern else None,
        "Targets": events.list_targets_by_rule(Rule=name)["Targets"],
    }


def _database(reference: str, wanted: Properties, client: Client) -> Properties:
    found = client("rds").describe_db_instances(DBInstanceIdentifier=reference)["DBInstances"][0]
    return {
        **found,
        "DBSubnetGroupName": found.get("DBSubnetGroup", {}).get("DBSubnetGroupName"),
        "DBParameterGroupName": next(
            (each["DBParameterGroupName"] for each in found["DBParameterGroups"]), None
        ),
        "VPCSecurityGroups": [group["VpcSecurityGroupId"] for group in found["VpcSecurityGroups"]],
        "EnableCloudwatchLogsExports": found.get("EnabledCloudwatchLogsExports"),
        "EnablePerformanceInsights": found.get("PerformanceInsightsEnabled"),
        "ManageMasterUserPassword": "MasterUserSecret" in found,
        "MasterUserSecret": found.get("MasterUserSecret"),
        "DeleteAutomatedBackups": wanted.get("DeleteAutomatedBackups"),  # a property of the deletion alone
    }


def _parameter_group(reference: str, _: Properties, client: Client) -> Properties:
    rds = client("rds")
    found = rds.describe_db_parameter_groups(DBParameterGroupName=reference)["DBParameterGroups"][0]
    parameters = rds.describe_db_parameters(DBParameterGroupName=reference, Source="user")["Parameters"]
    return {
        "Family": found["DBParameterGroupFamily"],
        "Description": found["Description"],
        "Parameters": {each["ParameterName"]: each.get("ParameterValue") for each in parameters},
    }


def _subnet_group(reference: str, _: Properties, client: Client) -> Properties:
    found = client("rds").describe_db_subnet_groups(DBSubnetGroupName=reference)["DBSubnetGroups"][0]
    return {**found, "SubnetIds": [subnet["SubnetIdentifier"] for subnet in found["Subnets"]]}


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _lowered(name: str) -> str:
    return name[:1].lower() + name[1:]


READERS: Mapping[str, Callable[[str, Properties, Client], Properties | None]] = {
    "AWS::CloudWatch::CompositeAlarm": _composite,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::EC2::FlowLog": _flow_log,
    "AWS::EC2::Instance": _instance,
    "AWS::EC2::NetworkAcl": _network_acl,
    "AWS::EC2::Route": _route,
    "AWS::EC2::RouteTable": _route_table,
    "AWS::EC2::SecurityGroup": _group,
    "AWS::EC2::SecurityGroupIngress": _ingress,
    "AWS::EC2::Subnet": _subnet,
    "AWS::EC2::SubnetRouteTableAssociation": _route_association,
    "AWS::EC2::VPC": _vpc,
    "AWS::EC2::VPCEndpoint": _endpoint,
    "AWS::EC2::VPCPeeringConnection": _peering,
    "AWS::Events::Rule": _event_rule,
    "AWS::IAM::InstanceProfile": _profile,
    "AWS::Logs::MetricFilter": _metric_filter,
    "AWS::RDS::DBInstance": _database,
    "AWS::RDS::DBParameterGroup": _parameter_group,
    "AWS::RDS::DBSubnetGroup": _subnet_group,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SecretsManager::ResourcePolicy": _secret_policy,
    "AWS::SecretsManager::Secret": _secret,
}
