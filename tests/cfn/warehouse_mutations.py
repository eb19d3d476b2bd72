"""Mistakes in the warehouse and the workbench."""

from mutations import DELETED, Mutation, add, grant, prop, put, statement, without

DB, HOST = "warehouse/Warehouse", "workbench/Workbench"
TLS = "warehouse/WarehouseParameters/Parameters"
ROLE, DEVELOPERS = "workbench/WorkbenchRole", "workbench/DevelopersPolicy"
INGRESS = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "203.0.113.0/24"}
ANY_DOCUMENT = {"Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}::document/*"}
ANY_SESSION = {"Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:session/*"}
ANY_INSTANCE = {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/*"}
ONE_HOST = {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/${Workbench}"}
ONE_DOCUMENT = {
    "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}::document/AWS-StartPortForwardingSessionToRemoteHost"
}

WAREHOUSE: tuple[Mutation, ...] = (
    prop("public", f"{DB}/PubliclyAccessible", True),
    prop("public by default", f"{DB}/PubliclyAccessible", DELETED),
    prop("not encrypted", f"{DB}/StorageEncrypted", False),
    prop("a key of AWS", f"{DB}/KmsKeyId", DELETED),
    prop("a password in the template", f"{DB}/MasterUserPassword", "Swordfish_1"),
    prop("a password as a parameter", f"{DB}/MasterUserPassword", {"Ref": "MasterPassword"}),
    prop("a password of nobody's care", f"{DB}/ManageMasterUserPassword", False),
    prop("the owner's secret under another key", f"{DB}/MasterUserSecret", DELETED),
    prop("no backups", f"{DB}/BackupRetentionPeriod", 0),
    prop("backups deleted with it", f"{DB}/DeleteAutomatedBackups", True),
    prop("can be deleted", f"{DB}/DeletionProtection", False),
    prop("snapshots without tags", f"{DB}/CopyTagsToSnapshot", DELETED),
    prop("always in several zones", f"{DB}/MultiAZ", True),
    prop("no minor upgrades", f"{DB}/AutoMinorVersionUpgrade", False),
    prop("major upgrades by themselves", f"{DB}/AllowMajorVersionUpgrade", True),
    prop("no logs", f"{DB}/EnableCloudwatchLogsExports", DELETED),
    prop("no agent's log", f"{DB}/EnableCloudwatchLogsExports", ["error"]),
    prop("another port", f"{DB}/Port", "1434"),
    prop("no room to grow", f"{DB}/MaxAllocatedStorage", DELETED),
    prop("a fixed zone", f"{DB}/AvailabilityZone", "eu-west-2a"),
    prop("from a snapshot", f"{DB}/DBSnapshotIdentifier", "some-snapshot"),
    prop("another group", f"{DB}/VPCSecurityGroups", [{"Ref": "SomeGroup"}]),
    prop("the default group", f"{DB}/VPCSecurityGroups", DELETED),
    prop("the default parameters", f"{DB}/DBParameterGroupName", "default.sqlserver-se-16.0"),
    prop("another edition's parameters", "warehouse/WarehouseParameters/Family", "sqlserver-ee-16.0"),
    prop("TLS not forced", f"{TLS}/rds.force_ssl", "0"),
    prop("TLS forced by nobody", f"{TLS}/rds.force_ssl", DELETED),
    prop("TLS 1.0", f"{TLS}/rds.tls10", "enabled"),
    prop("TLS 1.1", f"{TLS}/rds.tls11", DELETED),
    prop("RC4", f"{TLS}/rds.rc4", "default"),
    prop("subnets of the consumers", "warehouse/WarehouseSubnets/SubnetIds", ["subnet-12345678"]),
    put("goes with its stack", f"{DB.replace('/', '/Resources/')}/DeletionPolicy", "Delete"),
    put("a last snapshot alone", f"{DB.replace('/', '/Resources/')}/UpdateReplacePolicy", "Snapshot"),
    put("log groups of RDS's own", f"{DB.replace('/', '/Resources/')}/DependsOn", DELETED),
    put("several zones by default", "warehouse/Parameters/MultiAz/Default", "true"),
    put("several zones with a schedule", "warehouse/Rules", DELETED),
    put("Express", "warehouse/Parameters/Edition/AllowedValues", ["sqlserver-se", "sqlserver-ex"]),
    put("a day of backups", "warehouse/Parameters/BackupDays/MinValue", 1),
    put("backups of years", "warehouse/Parameters/BackupDays/MaxValue", 3650),
    put("logs of a day", "warehouse/Parameters/LogRetentionDays/AllowedValues", [1, 365]),
    without("a secret read from anywhere", "warehouse/ConsumerSecretPolicy/OnlyFromFirm"),
    without("the other secret read from anywhere", "warehouse/RefresherSecretPolicy/OnlyFromFirm"),
    without("a secret read without TLS", "warehouse/RefresherSecretPolicy/OnlyByTls"),
    without("the key deleted from anywhere", "warehouse/WarehouseKey/ManagedFromFirm"),
    prop(
        "a restriction that is never made",
        "warehouse/ConsumerSecretPolicy/ResourcePolicy/Statement/1/Fn::If/1",
        {"Ref": "AWS::NoValue"},
    ),
    prop(
        "a restriction under another condition",
        "warehouse/ConsumerSecretPolicy/ResourcePolicy/Statement/1/Fn::If/0",
        "HasNoFirmCidrs",
    ),
    prop("a key that does not rotate", "warehouse/WarehouseKey/EnableKeyRotation", False),
    grant(
        "a key for everybody",
        "warehouse/WarehouseKey",
        {"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"},
    ),
    prop("a weak password", "warehouse/ConsumerSecret/GenerateSecretString/PasswordLength", 8),
    prop("a known password", "warehouse/ConsumerSecret/SecretString", '{"username": "consumer"}'),
    prop("one login for both", "warehouse/RefresherSecret/GenerateSecretString/SecretStringTemplate", "{}"),
    prop("a secret under a key of AWS", "warehouse/RefresherSecret/KmsKeyId", DELETED),
    prop("a public secret", "warehouse/ConsumerSecretPolicy/BlockPublicPolicy", False),
    put("a secret without a policy", "warehouse/Resources/RefresherSecretPolicy", DELETED),
    statement("a secret without TLS", "warehouse/ConsumerSecretPolicy/OnlyByTls", Effect="Allow"),
    statement(
        "functions locked out of a secret", "warehouse/ConsumerSecretPolicy/OnlyFromFirm", Condition={}
    ),
    statement("anyone monitors", "warehouse/MonitoringRole/RdsMonitoringAssumes", Condition=DELETED),
    statement("all log groups", "warehouse/MonitoringRole/WriteMetrics", Resource="*"),
)
WORKBENCH: tuple[Mutation, ...] = (
    prop("a public address", f"{HOST}/NetworkInterfaces/0/AssociatePublicIpAddress", True),
    prop("a public address by the subnet", f"{HOST}/NetworkInterfaces/0/AssociatePublicIpAddress", DELETED),
    prop("a key pair", f"{HOST}/KeyName", "putty"),
    prop("a group of its own", f"{HOST}/SecurityGroupIds", ["sg-12345678"]),
    prop("another subnet", f"{HOST}/NetworkInterfaces/0/SubnetId", "subnet-12345678"),
    prop("metadata without a token", f"{HOST}/MetadataOptions/HttpTokens", "optional"),
    prop("metadata for containers", f"{HOST}/MetadataOptions/HttpPutResponseHopLimit", 2),
    prop("metadata by default", f"{HOST}/MetadataOptions", DELETED),
    prop("a volume that is not encrypted", f"{HOST}/BlockDeviceMappings/0/Ebs/Encrypted", False),
    prop("a volume under a key of AWS", f"{HOST}/BlockDeviceMappings/0/Ebs/KmsKeyId", DELETED),
    prop("commands at its start", f"{HOST}/UserData", "Y3VybCBodHRwczovL2V4YW1wbGUuY29t"),
    prop("an image of somebody's", f"{HOST}/ImageId", "ami-12345678"),
    add(
        "an inbound rule",
        "workbench/Inbound",
        {"Type": "AWS::EC2::SecurityGroup", "Properties": {"SecurityGroupIngress": [INGRESS]}},
    ),
    add("an elastic address", "workbench/Address", {"Type": "AWS::EC2::EIP", "Properties": {}}),
    prop(
        "AWS's broad policy",
        f"{ROLE}/ManagedPolicyArns",
        [{"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"}],
    ),
    grant(
        "reads a secret",
        ROLE,
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
    ),
    grant("reads parameters", ROLE, {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": "*"}),
    statement("a shell for developers", f"{DEVELOPERS}/ForwardPort", Resource=ANY_INSTANCE),
    statement("no document of sessions", f"{DEVELOPERS}/ForwardPort", Resource=ONE_HOST),
    statement("no host of sessions", f"{DEVELOPERS}/ForwardPort", Resource=ONE_DOCUMENT),
    without("sessions that nobody can end", f"{DEVELOPERS}/EndOwnSessions"),
    statement("any kind of session", f"{DEVELOPERS}/ForwardPort", Resource=[ANY_DOCUMENT, ANY_INSTANCE]),
    statement(
        "commands for developers", f"{DEVELOPERS}/ForwardPort", Action=["ssm:StartSession", "ssm:SendCommand"]
    ),
    statement("sessions from anywhere", f"{DEVELOPERS}/ForwardPort", Condition=DELETED),
    statement(
        "sessions without MFA",
        f"{DEVELOPERS}/ForwardPort",
        Condition={"IpAddress": {"aws:SourceIp": {"Ref": "FirmCidrs"}}},
    ),
    statement("sessions of others", f"{DEVELOPERS}/EndOwnSessions", Condition=DELETED),
    statement("connections of others", f"{DEVELOPERS}/OpenOwnSessions", Resource=ANY_SESSION),
    put("no range is enough", "workbench/Parameters/FirmCidrs/Default", ""),
    put("no MFA by default", "workbench/Parameters/RequireMfa/Default", "false"),
    prop("a shell that is not logged", "workbench/ShellDocument/Content/inputs/cloudWatchLogGroupName", ""),
    prop("a log in plain", "workbench/ShellDocument/Content/inputs/cloudWatchEncryptionEnabled", False),
    prop("a shell for a day", "workbench/ShellDocument/Content/inputs/maxSessionDuration", "1440"),
)
