"""The workbench: a host without a way in but sessions, and who may open them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cfn_templates import Json, World, differences, normal

NAME = "${Application}-${Environment}"
HOST: Json = {
    "ImageId": "${ImageParameter}",
    "InstanceType": "${InstanceType}",
    "IamInstanceProfile": "${WorkbenchProfile}",
    # No KeyName, UserData or SecurityGroupIds; one interface, of the workbench's subnet and group.
    "NetworkInterfaces": [
        {
            "DeviceIndex": "0",
            "AssociatePublicIpAddress": False,
            "SubnetId": "${NetworkStack:WorkbenchSubnetId}",
            "GroupSet": ["${NetworkStack:WorkbenchGroupId}"],
        }
    ],
    "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    "BlockDeviceMappings": [
        {
            "DeviceName": "/dev/xvda",
            "Ebs": {
                "Encrypted": True,
                "KmsKeyId": "${StreamStack:OperationsKeyArn}",
                "VolumeType": "gp3",
                "VolumeSize": 8,
                "DeleteOnTermination": True,
            },
        }
    ],
    "EbsOptimized": True,
    "Monitoring": True,
    "InstanceInitiatedShutdownBehavior": "stop",
    "PropagateTagsToVolumeOnCreation": True,
    "Tags": [{"Key": "Name", "Value": f"{NAME}-workbench"}],
}
SHELL: Json = {
    "Name": f"{NAME}-workbench-shell",
    "DocumentType": "Session",
    "DocumentFormat": "JSON",
    "UpdateMethod": "NewVersion",
    "Content": {
        "schemaVersion": "1.0",
        "description": re.compile(".+"),
        "sessionType": "Standard_Stream",
        "inputs": {
            "cloudWatchLogGroupName": "${SessionLogGroup}",
            "cloudWatchEncryptionEnabled": True,
            "cloudWatchStreamingEnabled": True,
            "runAsEnabled": False,
            "idleSessionTimeout": "20",
            "maxSessionDuration": "60",
        },
    },
}


def hosts(world: World) -> Iterator[str]:
    """Hosts that can be reached or read in another way than by sessions, and sessions that are not logged."""
    for template in world.values():
        for type_, expected in (
            ("AWS::EC2::Instance", HOST),
            ("AWS::IAM::InstanceProfile", {"Roles": ["${WorkbenchRole}"]}),
            ("AWS::SSM::Document", SHELL),
        ):
            for logical_id, properties in template.of_type(type_):
                yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)


def safe_parameters(world: World) -> Iterator[str]:
    """Parameters that let developers in from anywhere, or without MFA, if the file does not mention them."""
    if "workbench" not in world:
        return
    found = world["workbench"].parameters
    addresses = found.get("FirmCidrs", {})
    if "Default" in addresses or re.fullmatch(addresses.get("AllowedPattern", ""), "") is not None:
        yield "workbench.FirmCidrs: may be empty"
    if found.get("RequireMfa", {}).get("Default") != "true":
        yield "workbench.RequireMfa: is not true by default"


RULES = (hosts, safe_parameters)
