"""Network, warehouse, workbench, alarms and schedule, deployed by their templates and read back.

No emulator knows all types (tests/emulated.py), and each drops properties in silence: the lists are exact.
"""

from __future__ import annotations

import pytest
import read_back
from emulated import ON_LOCALSTACK, ON_MINISTACK, ON_MOTO
from private_stacks import EMULATORS, TEMPLATES, deploy, read

pytestmark = pytest.mark.timeout(1_200)

_GROUP = [
    "AWS::EC2::SecurityGroup: SecurityGroupEgress.CidrIp",
    "AWS::EC2::SecurityGroup: SecurityGroupEgress.Description",
    "AWS::EC2::SecurityGroup: Tags",
]
_LOG_GROUP = ["AWS::Logs::LogGroup: KmsKeyId", "AWS::Logs::LogGroup: RetentionInDays"]
_ENCRYPTION = (
    "AWS::S3::Bucket: BucketEncryption.ServerSideEncryptionConfiguration.ServerSideEncryptionByDefault"
)
DROPPED = {
    ("localstack", "replica"): [
        f"{_ENCRYPTION}.KMSMasterKeyID",
        f"{_ENCRYPTION}.SSEAlgorithm",
        "AWS::S3::Bucket: LifecycleConfiguration.Rules",
    ],
    ("localstack", "network"): [
        *_GROUP,
        "AWS::EC2::VPC: EnableDnsHostnames",
        "AWS::EC2::VPCEndpoint: PolicyDocument.Version",
        *_LOG_GROUP,
    ],
    ("localstack", "replicas"): _GROUP,
    ("localstack", "peering"): ["AWS::EC2::Route: VpcPeeringConnectionId"],
    ("localstack", "warehouse"): _LOG_GROUP,
    ("localstack", "workbench"): [
        "AWS::EC2::Instance: BlockDeviceMappings.DeviceName",
        "AWS::EC2::Instance: BlockDeviceMappings.Ebs.Encrypted",
        "AWS::EC2::Instance: BlockDeviceMappings.Ebs.KmsKeyId",
        "AWS::EC2::Instance: BlockDeviceMappings.Ebs.VolumeSize",
        "AWS::EC2::Instance: BlockDeviceMappings.Ebs.VolumeType",
        "AWS::EC2::Instance: EbsOptimized",
        "AWS::EC2::Instance: IamInstanceProfile",
        "AWS::EC2::Instance: InstanceInitiatedShutdownBehavior",
        "AWS::EC2::Instance: MetadataOptions.HttpTokens",
        "AWS::EC2::Instance: Monitoring",
        "AWS::EC2::Instance: NetworkInterfaces.AssociatePublicIpAddress",
        "AWS::EC2::Instance: NetworkInterfaces.GroupSet",
        "AWS::EC2::Instance: NetworkInterfaces.SubnetId",
        "AWS::EC2::Instance: PropagateTagsToVolumeOnCreation",
        "AWS::EC2::Instance: Tags",
        "AWS::IAM::ManagedPolicy: Description",
        *_LOG_GROUP,
    ],
    ("localstack", "monitoring"): [],
    ("localstack", "alarms"): [],
    ("localstack", "schedule"): ["AWS::Lambda::Function: ReservedConcurrentExecutions", *_LOG_GROUP],
    ("ministack", "warehouse"): [
        "AWS::RDS::DBInstance: EnableCloudwatchLogsExports",
        "AWS::RDS::DBInstance: LicenseModel",
        "AWS::RDS::DBInstance: ManageMasterUserPassword",
        "AWS::RDS::DBInstance: MasterUserSecret",
        "AWS::RDS::DBInstance: PerformanceInsightsKMSKeyId",
        "AWS::RDS::DBInstance: Port",
    ],
    ("ministack", "monitoring"): [],
    ("ministack", "alarms"): [],
    ("moto", "network"): [
        "AWS::EC2::FlowLog: DeliverLogsPermissionArn",
        "AWS::EC2::SecurityGroupIngress: Description",
    ],
    ("moto", "peering"): [
        "AWS::EC2::VPCPeeringConnection: PeerOwnerId",
        "AWS::EC2::VPCPeeringConnection: PeerRoleArn",
    ],
}
"""What LocalStack 4.14.0, ministack 1.5.33 and moto drop or change: no test shows what it does on AWS."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[int, list[str]]]:
    """By emulator and template: how many resources were read, and what is not as wanted."""
    seen = {}
    for emulator, running in EMULATORS.items():
        with running(tmp_path_factory.mktemp(emulator)) as deployment:
            deploy(deployment, emulator)
            seen |= {(emulator, name): each for name, each in read(deployment, emulator).items() if each[0]}
    return seen


@pytest.mark.parametrize("template", [name for _, name in TEMPLATES])
def test_every_resource_is_what_its_template_wants_but_for_what_emulators_drop(
    template: str, found: dict[tuple[str, str], tuple[int, list[str]]]
) -> None:
    dropped = {key: lacking for key, (_, lacking) in found.items() if key[1] == template}
    assert dropped == {key: lacking for key, lacking in DROPPED.items() if key[1] == template}


def test_every_type_that_is_deployed_can_be_read_back() -> None:
    assert read_back.READERS.keys() == ON_LOCALSTACK | ON_MINISTACK | ON_MOTO
