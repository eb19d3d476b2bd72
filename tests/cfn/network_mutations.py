"""Mistakes in the network, and what each may open."""

from mutations import DELETED, Mutation, add, grant, prop, put, statement, without

_ALL = "0.0.0.0/0"


def _ec2(kind: str, **properties: object) -> dict[str, object]:
    return {"Type": f"AWS::EC2::{kind}", "Properties": properties}


def _ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def _group(name: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [f"{name}Group", "GroupId"]}


def _rule(
    kind: str, group: object, ports: tuple[int, int] = (0, 65535), **other: object
) -> dict[str, object]:
    return _ec2(
        f"SecurityGroup{kind}",
        GroupId=group,
        IpProtocol="tcp",
        FromPort=ports[0],
        ToPort=ports[1],
        Description="more",
        **other,
    )


OPENING: tuple[Mutation, ...] = (
    # Groups
    prop("database open to the VPC", "network/WarehouseFromConsumer/SourceSecurityGroupId", DELETED),
    add(
        "database open to anyone",
        "network/More",
        _rule("Ingress", _group("Warehouse"), (1433, 1433), CidrIp=_ALL),
    ),
    add(
        "database open to the VPC's range",
        "network/More",
        _rule("Ingress", _group("Warehouse"), (1433, 1433), CidrIp=_ref("VpcCidr")),
    ),
    add(
        "database open to producers",
        "network/More",
        _rule("Ingress", _group("Warehouse"), (1433, 1433), SourceSecurityGroupId=_group("Producer")),
    ),
    prop(
        "another group at the database",
        "network/WarehouseFromWorkbench/SourceSecurityGroupId",
        _group("Producer"),
    ),
    prop("a range of ports at the database", "network/WarehouseFromConsumer/FromPort", 0),
    prop("all protocols at the database", "network/WarehouseFromConsumer/IpProtocol", "-1"),
    prop("a rule at another group", "network/WarehouseFromConsumer/GroupId", _group("Workbench")),
    add(
        "remote desktop from anywhere",
        "network/More",
        _rule("Ingress", _group("Workbench"), (3389, 3389), CidrIp=_ALL),
    ),
    add(
        "SSH inside the VPC",
        "network/More",
        _rule("Ingress", _group("Workbench"), (22, 22), CidrIp=_ref("VpcCidr")),
    ),
    prop("endpoints open to the VPC", "network/EndpointFromConsumer/SourceSecurityGroupId", DELETED),
    prop("a group that lets everything out", "network/ConsumerGroup/SecurityGroupEgress", DELETED),
    prop("a group that sends anywhere", "network/WorkbenchGroup/SecurityGroupEgress/0/CidrIp", _ALL),
    prop("a group of the database that sends", "network/WarehouseGroup/SecurityGroupEgress", DELETED),
    prop(
        "a rule inside a group",
        "network/ProducerGroup/SecurityGroupIngress",
        [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": _ALL}],
    ),
    add(
        "a way out for HTTPS",
        "network/More",
        _rule("Egress", _group("Consumer"), (443, 443), CidrIp=_ALL),
    ),
    # Ways to the internet
    add(
        "a default route to an internet gateway",
        "network/More",
        _ec2("Route", RouteTableId=_ref("WorkbenchRoutes"), DestinationCidrBlock=_ALL, GatewayId="igw-1"),
    ),
    add(
        "a default route to a NAT gateway",
        "network/More",
        _ec2("Route", RouteTableId=_ref("ConsumerRoutes"), DestinationCidrBlock=_ALL, NatGatewayId="nat-1"),
    ),
    add(
        "a default route of the database",
        "network/More",
        _ec2("Route", RouteTableId=_ref("DatabaseRoutes"), DestinationCidrBlock=_ALL, GatewayId="igw-1"),
    ),
    prop("a table with other routes", "network/DatabaseSubnetARoutes/RouteTableId", _ref("ProducerRoutes")),
    prop(
        "consumers with the producers' routes",
        "network/ConsumerSubnetBRoutes/RouteTableId",
        _ref("ProducerRoutes"),
    ),
    prop("S3 for the database", "network/S3Endpoint/RouteTableIds", [_ref("DatabaseRoutes")]),
    # Network ACL
    prop("an ACL that lets everybody in", "network/DatabaseFromConsumersA/CidrBlock", _ALL),
    prop("an ACL that lets the VPC in", "network/DatabaseFromWorkbench/CidrBlock", _ref("VpcCidr")),
    prop("an ACL for all ports", "network/DatabaseFromConsumersB/Protocol", -1),
    put("no ACL", "network/Resources/DatabaseSubnetBAcl", DELETED),
    # Peering
    prop("a route to all of the source", "peering/RouteToReplicas/DestinationCidrBlock", "10.0.0.0/8"),
    prop("producers send to all of the source", "peering/ProducerToReplicas/CidrIp", "10.0.0.0/8"),
    prop("producers send on all ports", "peering/ProducerToReplicas/FromPort", 0),
    add(
        "replicas open to ranges",
        "replicas/More",
        _rule("Ingress", _group("Replicas"), CidrIp="10.0.0.0/8"),
    ),
    add(
        "replicas open to their VPC",
        "replicas/More",
        _rule("Ingress", _group("Replicas"), CidrIp=_ref("SourceVpcCidr")),
    ),
    prop("replicas on all ports", "replicas/ReplicasFromProducer/FromPort", 0),
    prop(
        "a route back to all of the network", "replicas/RouteToProducersA/DestinationCidrBlock", "10.0.0.0/8"
    ),
    add(
        "replicas on the internet",
        "replicas/More",
        _ec2("Route", RouteTableId=_ref("ReplicasRoutes"), DestinationCidrBlock=_ALL, GatewayId="igw-1"),
    ),
    prop("replicas that send anywhere", "replicas/ReplicasGroup/SecurityGroupEgress", DELETED),
    prop("replication over the peering", "replicas/ReplicasToSource/CidrIp", _ALL),
)
"""Each of these opens a way, or takes away one of the layers that close it."""

_OWN = {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
CARELESS: tuple[Mutation, ...] = (
    add("an internet gateway", "network/Gateway", _ec2("InternetGateway")),
    add("a NAT gateway", "network/Gateway", _ec2("NatGateway", SubnetId=_ref("WorkbenchSubnet"))),
    add("an address", "network/Address", _ec2("EIP", Domain="vpc")),
    add("an egress-only gateway", "network/Gateway", _ec2("EgressOnlyInternetGateway", VpcId=_ref("Vpc"))),
    add("a transit gateway", "network/Gateway", _ec2("TransitGatewayAttachment", VpcId=_ref("Vpc"))),
    add(
        "a second peering", "network/More", _ec2("VPCPeeringConnection", VpcId=_ref("Vpc"), PeerVpcId="vpc-1")
    ),
    prop("public addresses", "network/WorkbenchSubnet/MapPublicIpOnLaunch", True),
    prop("public addresses of replicas", "replicas/ReplicasSubnet/MapPublicIpOnLaunch", True),
    prop("one zone", "network/DatabaseSubnetB/AvailabilityZone", _ref("ZoneA")),
    prop("another range", "network/DatabaseSubnetA/CidrBlock", _ref("ConsumerCidrA")),
    prop("no DNS", "network/Vpc/EnableDnsSupport", False),
    prop("no host names", "network/Vpc/EnableDnsHostnames", DELETED),
    prop("no private names of endpoints", "network/KinesisEndpoint/PrivateDnsEnabled", False),
    prop("endpoints in one zone", "network/SecretsEndpoint/SubnetIds", [_ref("EndpointSubnetA")]),
    prop("endpoint of another group", "network/LogsEndpoint/SecurityGroupIds", [_group("Consumer")]),
    prop("endpoint without a policy", "network/S3Endpoint/PolicyDocument", DELETED),
    prop("another service", "network/SsmEndpoint/ServiceName", "com.amazonaws.eu-west-2.ssm"),
    put("an endpoint less", "network/Resources/KmsEndpoint", DELETED),
    put("an endpoint for tokens", "network/Resources/StsEndpoint", _ec2("VPCEndpoint", VpcId=_ref("Vpc"))),
    statement("any account by the endpoint", "network/KinesisEndpoint/UseStream", Condition=DELETED),
    statement("any bucket by the endpoint", "network/S3Endpoint/UseBuckets", Resource="*"),
    statement("other accounts' buckets", "network/S3Endpoint/UseBuckets", Condition=_OWN),
    statement("all of S3", "network/S3Endpoint/UseBuckets", Action="s3:*"),
    statement("writes to AWS's buckets", "network/S3Endpoint/UpdateAgent", Action="s3:*"),
    statement("all secrets' actions", "network/SecretsEndpoint/ReadSecrets", Action="secretsmanager:*"),
    statement("all streams", "network/KinesisEndpoint/UseStream", Resource="*"),
    statement("keys are administered", "network/KmsEndpoint/UseKeys", Action="kms:*"),
    without("no layers of images", "network/S3Endpoint/PullLayers"),
    grant(
        "everything by the endpoint",
        "network/DynamoDbEndpoint",
        {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"},
    ),
    put("no flow logs", "network/Resources/FlowLog", DELETED),
    prop("flow logs of what is refused alone", "network/FlowLog/TrafficType", "REJECT"),
    prop("flow logs without a key", "network/FlowLogGroup/KmsKeyId", DELETED),
    statement(
        "any service for the flow logs",
        "network/FlowLogRole/FlowLogsAssume",
        Principal={"Service": "ec2.amazonaws.com"},
    ),
    statement("flow logs of any account", "network/FlowLogRole/FlowLogsAssume", Condition=DELETED),
    statement("flow logs into all groups", "network/FlowLogRole/WriteFlowLogs", Resource="*"),
    prop("group without text", "network/WarehouseGroup/GroupDescription", DELETED),
    prop("peer of another account", "peering/Peering/PeerOwnerId", "999999999999"),
    statement("anyone accepts", "replicas/PeeringRole/ReportingAccountAssumes", Principal="*"),
    statement("peering of any network", "replicas/PeeringRole/AcceptFromNetwork", Condition=DELETED),
    statement("peering with any VPC", "replicas/PeeringRole/AcceptForVpc", Resource="*"),
    statement("the role makes routes", "replicas/PeeringRole/AcceptForVpc", Action="ec2:*"),
    put("routes before the peering", "replicas/Resources/RouteToProducersA/Condition", DELETED),
    put("a rule under another condition", "replicas/Resources/ReplicasFromProducer/Condition", "Never"),
    put("a wide range", "network/Parameters/VpcCidr/AllowedPattern", "[0-9./]+"),
    put("a zone of any form", "network/Parameters/ZoneA/AllowedPattern", ".*"),
    put("an output of another group", "network/Outputs/WarehouseGroupId/Value", _group("Consumer")),
    put("routes of another role", "network/Outputs/ProducerRoutesId/Value", _ref("ConsumerRoutes")),
    prop(
        "a group of functions with rules of its own",
        "consumers/ConsumerLogGroup/SecurityGroupEgress",
        [{"IpProtocol": "-1", "CidrIp": _ALL}],
    ),
)

NETWORKS = (*OPENING, *CARELESS)
