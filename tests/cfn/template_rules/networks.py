"""The network, resource by resource: what is not derived from the tables here is a finding."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cfn_templates import Json, World, differences, normal

from template_rules.endpoints import GATEWAYS, INTERFACES, WITHOUT_POLICY

NAME = "${Application}-${Environment}"
SUBNETS = {
    f"{role}Subnet{zone}": (role, zone, f"{role}Cidr{zone}", f"{role.lower()}-{zone.lower()}")
    for role in ("Database", "Consumer", "Producer", "Endpoint")
    for zone in "AB"
} | {"WorkbenchSubnet": ("Workbench", "A", "WorkbenchCidr", "workbench")}
"""Each subnet's role, zone, parameter and name."""
GROUPS = {
    "Warehouse": "The database",
    "Consumer": "Consumer, refresher, redrive, metrics and replay",
    "Producer": "Producers of relational sources",
    "Workbench": "Host of the report developer",
    "Endpoint": "Endpoints of AWS services",
}
"""The groups, with their descriptions: a change of one would replace the group."""
FLOWS = {
    "": [
        ("Consumer", "Warehouse", 1433),
        ("Workbench", "Warehouse", 1433),
        ("Consumer", "Endpoint", 443),
        ("Producer", "Endpoint", 443),
        ("Workbench", "Endpoint", 443),
    ],
    "Mail": [("Workbench", "Endpoint", 587)],
}
"""Who may open a connection to whom, and the port; by the end of the rules' names."""
PREFIX_LISTS = [("Consumer", "S3"), ("Producer", "S3"), ("Workbench", "S3"), ("Producer", "DynamoDb")]
ACL = [
    ("ConsumersA", "ConsumerCidrA", 100),
    ("ConsumersB", "ConsumerCidrB", 110),
    ("Workbench", "WorkbenchCidr", 120),
    ("ZoneA", "DatabaseCidrA", 200),
    ("ZoneB", "DatabaseCidrB", 210),
]
"""Whom the network ACL of the database lets in, and the number of the rule."""
TEXT = re.compile(".+")


def _named(name: str) -> Json:
    return {"Tags": [{"Key": "Name", "Value": f"{NAME}-{name}"}]}


def _resource(kind: str, **properties: object) -> Json:
    return {"Type": f"AWS::EC2::{kind}", "Properties": properties}


def _subnets() -> Iterator[tuple[str, Json]]:
    for name, (role, zone, parameter, tag) in SUBNETS.items():
        yield (
            name,
            _resource(
                "Subnet",
                VpcId="${Vpc}",
                AvailabilityZone=f"${{Zone{zone}}}",
                CidrBlock=f"${{{parameter}}}",
                MapPublicIpOnLaunch=False,
                **_named(tag),
            ),
        )
        yield f"{role}Routes", _resource("RouteTable", VpcId="${Vpc}", **_named(role.lower()))
        yield (
            f"{name}Routes",
            _resource(
                "SubnetRouteTableAssociation", RouteTableId=f"${{{role}Routes}}", SubnetId=f"${{{name}}}"
            ),
        )


def _acl() -> Iterator[tuple[str, Json]]:
    yield "DatabaseAcl", _resource("NetworkAcl", VpcId="${Vpc}", **_named("database"))
    for zone in "AB":
        subnet = f"DatabaseSubnet{zone}"
        yield (
            f"{subnet}Acl",
            _resource(
                "SubnetNetworkAclAssociation", NetworkAclId="${DatabaseAcl}", SubnetId=f"${{{subnet}}}"
            ),
        )
    for who, parameter, number in ACL:
        for name, egress, ports in (("From", False, (1433, 1433)), ("To", True, (1024, 65535))):
            tcp = {"Protocol": 6, "PortRange": {"From": ports[0], "To": ports[1]}}
            what: Json = {"Protocol": -1} if number >= 200 else tcp
            yield (
                f"Database{name}{who}",
                _resource(
                    "NetworkAclEntry",
                    NetworkAclId="${DatabaseAcl}",
                    RuleNumber=number,
                    Egress=egress,
                    RuleAction="allow",
                    CidrBlock=f"${{{parameter}}}",
                    **what,
                ),
            )


def _group(vpc: str, name: str, description: str) -> Json:
    # Without a rule for what leaves a group has one for everything.
    nothing = {"Description": "Nothing", "IpProtocol": "-1", "CidrIp": "127.0.0.1/32"}
    return _resource(
        "SecurityGroup",
        GroupDescription=description,
        VpcId=vpc,
        SecurityGroupEgress=[nothing],
        **_named(name),
    )


def _rule(kind: str, group: str, port: int | str, **other: str) -> Json:
    return _resource(
        f"SecurityGroup{kind}",
        Description=TEXT,
        GroupId=group,
        IpProtocol="tcp",
        FromPort=port,
        ToPort=port,
        **other,
    )


def _groups() -> Iterator[tuple[str, Json]]:
    for name, description in GROUPS.items():
        yield f"{name}Group", _group("${Vpc}", name.lower(), description)
    for end, flows in FLOWS.items():
        for one, other, port in flows:
            near, far = f"${{{one}Group.GroupId}}", f"${{{other}Group.GroupId}}"
            yield f"{one}To{other}{end}", _rule("Egress", near, port, DestinationSecurityGroupId=far)
            yield f"{other}From{one}{end}", _rule("Ingress", far, port, SourceSecurityGroupId=near)
    for one, service in PREFIX_LISTS:
        prefixes = {"DestinationPrefixListId": f"${{{service}PrefixListId}}"}
        yield f"{one}To{service}", _rule("Egress", f"${{{one}Group.GroupId}}", 443, **prefixes)


def _endpoints() -> Iterator[tuple[str, Json]]:
    common = {"VpcId": "${Vpc}"}
    service = "com.amazonaws.${AWS::Region}."
    for name, (end, roles) in GATEWAYS.items():
        tables = [f"${{{role}Routes}}" for role in roles]
        yield (
            name,
            _resource(
                "VPCEndpoint",
                **common,
                ServiceName=service + end,
                VpcEndpointType="Gateway",
                RouteTableIds=tables,
            ),
        )
    for name, end in INTERFACES.items():
        yield (
            name,
            _resource(
                "VPCEndpoint",
                **common,
                ServiceName=service + end,
                VpcEndpointType="Interface",
                PrivateDnsEnabled=True,
                SecurityGroupIds=["${EndpointGroup.GroupId}"],
                SubnetIds=["${EndpointSubnetA}", "${EndpointSubnetB}"],
            ),
        )


def _network() -> Iterator[tuple[str, Json]]:
    yield (
        "Vpc",
        _resource(
            "VPC",
            CidrBlock="${VpcCidr}",
            EnableDnsHostnames=True,
            EnableDnsSupport=True,
            **_named("network"),
        ),
    )
    yield from (*_subnets(), *_acl(), *_groups(), *_endpoints())
    yield (
        "FlowLog",
        _resource(
            "FlowLog",
            ResourceId="${Vpc}",
            ResourceType="VPC",
            TrafficType="ALL",
            MaxAggregationInterval=600,
            LogDestinationType="cloud-watch-logs",
            LogGroupName="${FlowLogGroup}",
            DeliverLogsPermissionArn="${FlowLogRole.Arn}",
        ),
    )


def _peering() -> Iterator[tuple[str, Json]]:
    yield (
        "Peering",
        _resource(
            "VPCPeeringConnection",
            VpcId="${NetworkStack:VpcId}",
            PeerOwnerId="${SourceAccount}",
            PeerVpcId="${SourceVpcId}",
            PeerRoleArn="${PeeringRoleArn}",
        ),
    )
    yield (
        "RouteToReplicas",
        _resource(
            "Route",
            RouteTableId="${NetworkStack:ProducerRoutesId}",
            DestinationCidrBlock="${ReplicasCidr}",
            VpcPeeringConnectionId="${Peering}",
        ),
    )
    group = "${NetworkStack:ProducerGroupId}"
    yield "ProducerToReplicas", _rule("Egress", group, "${ReplicasPort}", CidrIp="${ReplicasCidr}")


def _replicas() -> Iterator[tuple[str, Json]]:
    yield (
        "ReplicasSubnet",
        _resource(
            "Subnet",
            VpcId="${SourceVpcId}",
            AvailabilityZone="${ReplicasZone}",
            CidrBlock="${ReplicasCidr}",
            MapPublicIpOnLaunch=False,
            **_named("replicas"),
        ),
    )
    yield "ReplicasRoutes", _resource("RouteTable", VpcId="${SourceVpcId}", **_named("replicas"))
    yield (
        "ReplicasSubnetRoutes",
        _resource(
            "SubnetRouteTableAssociation", RouteTableId="${ReplicasRoutes}", SubnetId="${ReplicasSubnet}"
        ),
    )
    yield "ReplicasGroup", _group("${SourceVpcId}", "replicas", "Read replicas")
    group, port = "${ReplicasGroup.GroupId}", "${ReplicasPort}"
    yield "ReplicasToSource", _rule("Egress", group, port, CidrIp="${SourceVpcCidr}")
    producers = {
        "SourceSecurityGroupId": "${ProducerGroupId}",
        "SourceSecurityGroupOwnerId": "${ReportingAccount}",
    }
    yield "ReplicasFromProducer", _rule("Ingress", group, port, **producers)
    for zone in "AB":
        yield (
            f"RouteToProducers{zone}",
            _resource(
                "Route",
                RouteTableId="${ReplicasRoutes}",
                DestinationCidrBlock=f"${{ProducerCidr{zone}}}",
                VpcPeeringConnectionId="${PeeringConnectionId}",
            ),
        )


EXPECTED = {"network": dict(_network()), "peering": dict(_peering()), "replicas": dict(_replicas())}
"""The resources of EC2 in each template of the network, without policies and conditions."""


def forms(world: World) -> Iterator[str]:
    """Resources of a network that were not reviewed, that differ, or that are missing."""
    for name in sorted({*EXPECTED} & {*world}):
        found = {
            logical_id: {"Type": resource["Type"], "Properties": normal(resource.get("Properties", {}))}
            for logical_id, resource in world[name].resources.items()
            if resource["Type"].startswith("AWS::EC2::")
        }
        for logical_id, resource in found.items():
            policy = resource["Properties"].pop("PolicyDocument", None)
            if resource["Type"].endswith("VPCEndpoint") and (policy is None) is not (
                logical_id in WITHOUT_POLICY
            ):
                yield f"{name}.{logical_id}: its policy is {policy}"
        yield from differences(name, found, EXPECTED[name])


_OF_NETWORKS = re.compile(
    r"AWS::EC2::(.*Gateway.*|Route.*|Subnet.*|NetworkAcl.*|SecurityGroup(In|E)gress|VPC.*|TransitGateway.*|EIP.*)"
)


def elsewhere(world: World) -> Iterator[str]:
    """Parts of a network in other templates, where the graph of reachability would not see them."""
    for template in world.values():
        if template.name in EXPECTED:
            continue
        for logical_id, resource in template.resources.items():
            properties = resource.get("Properties", {})
            inline = {"SecurityGroupIngress", "SecurityGroupEgress"} & {*properties}
            if _OF_NETWORKS.fullmatch(resource["Type"]) or inline:
                yield f"{template.name}.{logical_id}: belongs to the templates of the network"


RULES = (forms, elsewhere)
