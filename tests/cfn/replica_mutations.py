"""Mistakes in the replica of the log, and in what replicates it."""

from mutations import DELETED, Mutation, grant, prop, put, statement, without

LOG = "stream/LogBucket/ReplicationConfiguration/Fn::If/1"
RULE = f"{LOG}/Rules/0"
ROLE = "stream/ReplicationRole"
ALARM = "stream/ReplicationFailsAlarm"
BUCKET = "replica/ReplicaBucket"
SOURCE = {"Fn::Sub": "arn:${AWS::Partition}:s3:::${Application}-${Environment}-log-*"}

REPLICA: tuple[Mutation, ...] = (
    # What is replicated, and where to
    prop("never replicated", "stream/LogBucket/ReplicationConfiguration", DELETED),
    prop("switched off", f"{RULE}/Status", "Disabled"),
    prop("schemas alone", f"{RULE}/Filter/Prefix", "log/_schemas/"),
    prop("without what Firehose could not write", f"{RULE}/Filter/Prefix", "log/"),
    prop("dead letters, which would never expire", f"{RULE}/Filter/Prefix", ""),
    prop("deletions replicated", f"{RULE}/DeleteMarkerReplication/Status", "Enabled"),
    prop("encrypted objects left out", f"{RULE}/SourceSelectionCriteria", DELETED),
    prop("a key of the wrong region", f"{RULE}/Destination/EncryptionConfiguration/ReplicaKmsKeyID", "x"),
    prop("back into the log", f"{RULE}/Destination/Bucket", {"Fn::GetAtt": ["LogBucket", "Arn"]}),
    prop("into another account", f"{RULE}/Destination/Account", "111122223333"),
    prop("in a class that takes hours to read", f"{RULE}/Destination/StorageClass", "GLACIER"),
    prop("no metrics for the alarm", f"{RULE}/Destination/Metrics", DELETED),
    prop("by the role of the delivery", f"{LOG}/Role", {"Fn::GetAtt": ["DeliveryRole", "Arn"]}),
    put("a bucket without its key", "stream/Rules/KeyOfTheReplica", DELETED),
    put("a key without its bucket", "stream/Rules/BucketOfTheReplica", DELETED),
    put("replicated where there is no replica", "stream/Conditions/HasReplica", {"Fn::Equals": ["a", "a"]}),
    put("a role without need", "stream/Resources/ReplicationRole/Condition", DELETED),
    put("any bucket", "stream/Parameters/ReplicaBucketArn/AllowedPattern", ".*"),
    # Rights
    statement("deletes in the replica", f"{ROLE}/WriteReplica", Action=["s3:ReplicateDelete"]),
    statement("writes to any bucket", f"{ROLE}/WriteReplica", Resource="*"),
    statement("reads by GetObject", f"{ROLE}/ReadReplicated", Action=["s3:GetObject"]),
    statement("reads the logs of others", f"{ROLE}/ReadReplicated", Resource=SOURCE),
    statement("decrypts the replica", f"{ROLE}/EncryptReplica", Action=["kms:Decrypt", "kms:Encrypt"]),
    statement("any service encrypts", f"{ROLE}/EncryptReplica", Condition=DELETED),
    statement(
        "S3 of the log's region encrypts",
        f"{ROLE}/EncryptReplica",
        Condition={"StringEquals": {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.${AWS::URLSuffix}"}}},
    ),
    statement("anybody assumes", f"{ROLE}/ReplicationAssumes", Principal={"AWS": "*"}),
    grant(
        "locks are lifted",
        ROLE,
        {
            "Effect": "Allow",
            "Action": "s3:BypassGovernanceRetention",
            "Resource": {"Ref": "ReplicaBucketArn"},
        },
    ),
    # The alarm
    prop("the latency, which is in the other region", f"{ALARM}/MetricName", "ReplicationLatency"),
    prop("the bucket by its ARN", f"{ALARM}/Dimensions/1/Value", {"Ref": "ReplicaBucketArn"}),
    prop("another rule", f"{ALARM}/Dimensions/2/Value", "everything"),
    prop("quiet", f"{ALARM}/AlarmActions", DELETED),
    # The bucket and its key
    put("deleted with its stack", "replica/Resources/ReplicaBucket/DeletionPolicy", "Delete"),
    put("its key deleted with its stack", "replica/Resources/ReplicaKey/DeletionPolicy", DELETED),
    prop("named like the log", f"{BUCKET}/BucketName", SOURCE),
    prop("without Object Lock", f"{BUCKET}/ObjectLockEnabled", False),
    prop("locked for a day", f"{BUCKET}/ObjectLockConfiguration/Rule/DefaultRetention/Days", 1),
    prop("without versions", f"{BUCKET}/VersioningConfiguration/Status", "Suspended"),
    prop("public", f"{BUCKET}/PublicAccessBlockConfiguration/BlockPublicPolicy", False),
    prop("old versions expire", f"{BUCKET}/LifecycleConfiguration/Rules/0/NoncurrentVersionExpiration", {}),
    prop(
        "with a bucket key",
        f"{BUCKET}/BucketEncryption/ServerSideEncryptionConfiguration/0/BucketKeyEnabled",
        True,
    ),
    prop("a key that does not rotate", "replica/ReplicaKey/EnableKeyRotation", False),
    without("without TLS", "replica/ReplicaBucketPolicy/OnlyByTls"),
    statement(
        "the replication locked out",
        "replica/ReplicaBucketPolicy/OnlyFromFirm",
        Condition={
            "NotIpAddress": {"aws:SourceIp": {"Ref": "FirmCidrs"}},
            "Bool": {"aws:ViaAWSService": "false"},
        },
    ),
)
