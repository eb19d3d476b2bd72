"""Mistakes in policies."""

from mutations import DELETED, Mutation, add, grant, prop, put, statement, without

ANYONE = {"AWS": "*"}
OTHER_ACCOUNT = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::999999999999:root"}}
VIA_S3 = {"StringEquals": {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.${AWS::URLSuffix}"}}}
NOT_TLS = {"aws:SecureTransport": "false"}
ALL_OF_LOG = {"Fn::Sub": "${LogBucket.Arn}/log/*"}
LOG_IN_SOURCE = {"Fn::Sub": "arn:${AWS::Partition}:s3:::${LogBucketName}/log/*"}

PERMISSIONS: tuple[Mutation, ...] = (
    # Public, or another account
    statement("stream open to anyone", "stream/EventStreamPolicy/SourceAccountsWrite", Principal="*"),
    statement("stream open to any account", "stream/EventStreamPolicy/SourceAccountsWrite", Principal=ANYONE),
    statement(
        "stream open to a wrong account",
        "stream/EventStreamPolicy/SourceAccountsWrite",
        Principal=OTHER_ACCOUNT,
    ),
    statement(
        "log bucket open to anyone", "stream/LogBucketPolicy/SourceAccountsWriteSchemas", Principal="*"
    ),
    statement("key open to anyone", "stream/LogKey/SourceAccountsEncrypt", Principal=ANYONE),
    statement("key of another account", "source/SourceKey/AccountDecides", Principal=OTHER_ACCOUNT),
    statement("queue open to anyone", "source/FileQueuePolicy/BucketNotifies", Principal="*"),
    statement("topic open to anyone", "stream/AlarmTopicPolicy/AlarmsPublish", Principal=ANYONE),
    grant(
        "public read of the source bucket",
        "source/SourceBucketPolicy",
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": {"Fn::Sub": "${SourceBucket.Arn}/*"},
        },
    ),
    grant(
        "source accounts read the log",
        "stream/LogBucketPolicy",
        {
            "Effect": "Allow",
            "Principal": {"AWS": {"Ref": "SourceAccounts"}},
            "Action": "s3:GetObject",
            "Resource": ALL_OF_LOG,
        },
    ),
    grant(
        "source accounts decrypt the log",
        "stream/LogKey",
        {
            "Effect": "Allow",
            "Principal": {"AWS": {"Ref": "SourceAccounts"}},
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": VIA_S3,
        },
    ),
    # Wildcards, and what is not named
    statement("all actions on the stream", "producers/PublishPolicy/WriteStream", Action="kinesis:*"),
    statement("all actions", "consumers/StreamPolicy/ReadStream", Action="*"),
    statement("actions by pattern", "producers/PublishPolicy/WriteStream", Action=["kinesis:Put*"]),
    statement("all streams", "producers/PublishPolicy/WriteStream", Resource="*"),
    statement(
        "streams by pattern",
        "producers/PublishPolicy/WriteStream",
        Resource={"Fn::Sub": "arn:${AWS::Partition}:kinesis:${AWS::Region}:${AWS::AccountId}:stream/*"},
    ),
    statement("all objects of the source", "producers/FilesPolicy/ReadFiles", Resource="*"),
    statement("all keys", "consumers/LogPolicy/EncryptObjects", Resource="*"),
    statement("all secrets", "consumers/WarehousePolicy/ReadWarehouseSecret", Resource="*"),
    statement("all functions", "consumers/RefresherScheduleRole/InvokeFunction", Resource="*"),
    statement("all log groups", "consumers/ConsumerRole/WriteLogs", Resource="*"),
    statement("NotAction", "producers/FilesPolicy/MoveFiles", Action=DELETED, NotAction="s3:DeleteBucket"),
    statement(
        "NotResource",
        "producers/FilesPolicy/MoveFiles",
        Resource=DELETED,
        NotResource="arn:${AWS::Partition}:s3:::x",
    ),
    statement(
        "NotPrincipal", "stream/EventStreamPolicy/SourceAccountsWrite", Principal=DELETED, NotPrincipal=ANYONE
    ),
    statement("another Effect", "producers/FilesPolicy/MoveFiles", Effect="Deny"),
    # More than needed
    statement(
        "producers read schemas",
        "producers/PublishPolicy/WriteSchemas",
        Action=["s3:PutObject", "s3:GetObject"],
    ),
    statement(
        "producers write beyond the schemas", "producers/PublishPolicy/WriteSchemas", Resource=LOG_IN_SOURCE
    ),
    statement(
        "source accounts write beyond the schemas",
        "stream/LogBucketPolicy/SourceAccountsWriteSchemas",
        Resource=ALL_OF_LOG,
    ),
    statement(
        "source accounts delete schemas",
        "stream/LogBucketPolicy/SourceAccountsWriteSchemas",
        Action=["s3:PutObject", "s3:DeleteObject"],
    ),
    statement(
        "source accounts read the stream",
        "stream/EventStreamPolicy/SourceAccountsWrite",
        Action=["kinesis:PutRecords", "kinesis:GetRecords"],
    ),
    statement(
        "producers decrypt the stream",
        "producers/PublishPolicy/EncryptStream",
        Action=["kms:GenerateDataKey", "kms:Decrypt"],
    ),
    statement("producers decrypt the log", "producers/PublishPolicy/EncryptSchemas", Action="kms:Decrypt"),
    statement(
        "consumer writes to the stream",
        "consumers/StreamPolicy/ReadStream",
        Action=["kinesis:GetRecords", "kinesis:PutRecords"],
    ),
    statement(
        "consumer reads all objects",
        "consumers/LogPolicy/ReadSchemas",
        Resource={
            "Fn::Sub": [
                "arn:${AWS::Partition}:s3:::${Bucket}/*",
                {"Bucket": {"Fn::ImportValue": {"Fn::Sub": "${StreamStack}:LogBucketName"}}},
            ]
        },
    ),
    statement(
        "consumer deletes letters",
        "consumers/LogPolicy/WriteDeadLetters",
        Action=["s3:PutObject", "s3:DeleteObject"],
    ),
    statement("producer deletes objects", "producers/FilesPolicy/RemoveMovedFiles", Action="s3:DeleteObject"),
    statement(
        "delivery deletes objects", "stream/DeliveryRole/WriteLog", Action=["s3:PutObject", "s3:DeleteObject"]
    ),
    statement(
        "delivery writes everywhere",
        "stream/DeliveryRole/WriteLog",
        Resource={"Fn::Sub": "${LogBucket.Arn}/*"},
    ),
    statement(
        "delivery bypasses the lock",
        "stream/DeliveryRole/WriteLog",
        Action=["s3:PutObject", "s3:BypassGovernanceRetention"],
    ),
    statement(
        "replay writes to the log", "replay/ReplayRole/ReadLog", Action=["s3:GetObject", "s3:PutObject"]
    ),
    statement(
        "keys can be deleted",
        "consumers/LogPolicy/EncryptObjects",
        Action=["kms:Decrypt", "kms:ScheduleKeyDeletion"],
    ),
    grant("administrator", "producers/PublishPolicy", {"Effect": "Allow", "Action": "*", "Resource": "*"}),
    prop(
        "an AWS policy attached",
        "producers/CsvProducerRole/ManagedPolicyArns",
        ["arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess"],
    ),
    prop("a policy taken from a role", "consumers/MetricsRole/ManagedPolicyArns/1", DELETED),
    prop("a policy attached to another role", "producers/PublishPolicy/Roles", ["admin"]),
    prop("a boundary that nobody reviewed", "producers/CsvProducerRole/PermissionsBoundary", "arn:x"),
    add(
        "a user",
        "source/Uploader",
        {"Type": "AWS::IAM::User", "Properties": {}},
    ),
    add(
        "anyone may invoke the consumer",
        "consumers/Permission",
        {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": {"Ref": "Consumer"},
                "Action": "lambda:InvokeFunction",
                "Principal": "*",
            },
        },
    ),
    # Conditions
    statement(
        "cross-account write without TLS", "stream/EventStreamPolicy/SourceAccountsWrite", Condition=DELETED
    ),
    statement(
        "schemas can be overwritten by sources",
        "stream/LogBucketPolicy/SourceAccountsWriteSchemas",
        Condition=DELETED,
    ),
    statement(
        "schemas only without the header",
        "stream/LogBucketPolicy/SourceAccountsWriteSchemas",
        Condition={"Null": {"s3:if-none-match": "true"}},
    ),
    without("schemas can be overwritten", "stream/LogBucketPolicy/SchemasAreWrittenOnce"),
    statement("producers overwrite schemas", "producers/PublishPolicy/WriteSchemas", Condition=DELETED),
    statement("stream key without ViaService", "stream/StreamKey/SourceAccountsEncrypt", Condition=DELETED),
    statement(
        "log key via any service",
        "stream/LogKey/SourceAccountsEncrypt",
        Condition={"StringLike": {"kms:ViaService": "*"}},
    ),
    statement("stream key via another service", "producers/PublishPolicy/EncryptStream", Condition=VIA_S3),
    statement("role uses a key directly", "consumers/LogPolicy/EncryptObjects", Condition=DELETED),
    statement("any bucket notifies", "source/FileQueuePolicy/BucketNotifies", Condition=DELETED),
    statement(
        "any account's bucket notifies",
        "source/FileQueuePolicy/BucketNotifies",
        Condition={"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}},
    ),
    statement("any account's alarms", "stream/OperationsKey/AlarmsEncrypt", Condition=DELETED),
    statement("any account's log groups", "source/OperationsKey/LogGroupsEncrypt", Condition=DELETED),
    statement(
        "any account's access logs", "stream/AccessLogBucketPolicy/AccessLogsArrive", Condition=DELETED
    ),
    statement("the topic of any account", "source/AlarmTopicPolicy/AlarmsPublish", Condition=DELETED),
    # Trust
    statement(
        "trust in another service",
        "producers/CsvProducerRole/LambdaAssumes",
        Principal={"Service": "ec2.amazonaws.com"},
    ),
    statement("trust in anyone", "stream/DeliveryRole/FirehoseAssumes", Principal=ANYONE),
    statement("trust in an account", "consumers/ConsumerRole/LambdaAssumes", Principal=OTHER_ACCOUNT),
    statement(
        "trust without a condition", "consumers/RefresherScheduleRole/SchedulerAssumes", Condition=DELETED
    ),
    statement(
        "trust with tags", "replay/ReplayRole/TasksAssume", Action=["sts:AssumeRole", "sts:TagSession"]
    ),
    # TLS
    without("no TLS for the log", "stream/LogBucketPolicy/OnlyByTls"),
    without("no TLS for files", "source/SourceBucketPolicy/OnlyByTls"),
    without("no TLS for zips", "artifacts/ArtifactsBucketPolicy/OnlyByTls"),
    without("no TLS for the queue", "source/FileQueuePolicy/OnlyByTls"),
    without("no TLS for dead files", "source/DeadFileQueuePolicy/OnlyByTls"),
    without("no TLS for the topic", "stream/AlarmTopicPolicy/OnlyByTls"),
    statement(
        "TLS for objects only", "stream/LogBucketPolicy/OnlyByTls", Resource={"Fn::Sub": "${LogBucket.Arn}/*"}
    ),
    statement("TLS for reading only", "source/SourceBucketPolicy/OnlyByTls", Action="s3:GetObject"),
    statement(
        "TLS for some", "source/SourceBucketPolicy/OnlyByTls", Principal={"AWS": {"Ref": "AWS::AccountId"}}
    ),
    # A Deny that hits calls which AWS services make
    statement(
        "Deny where the key is absent",
        "source/SourceBucketPolicy/OnlyByTls",
        Condition={"BoolIfExists": NOT_TLS},
    ),
    statement(
        "Deny of all that is not TLS",
        "source/FileQueuePolicy/OnlyByTls",
        Condition={"StringNotEquals": {"aws:SecureTransport": "true"}},
    ),
    statement("Deny of everything", "source/SourceBucketPolicy/OnlyByTls", Condition=DELETED),
    grant(
        "Deny of other networks",
        "stream/LogBucketPolicy",
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": ALL_OF_LOG,
            "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
        },
    ),
    grant(
        "Deny of other principals",
        "stream/LogKey",
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}},
        },
    ),
    grant(
        "Deny of uploads without the bucket's encryption",
        "stream/LogBucketPolicy",
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": ALL_OF_LOG,
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}},
        },
    ),
    statement(
        "once-only for the whole log", "stream/LogBucketPolicy/SchemasAreWrittenOnce", Resource=ALL_OF_LOG
    ),
    # The policy itself
    put("policy taken away", "source/Resources/SourceBucketPolicy", DELETED),
    put("policy of the stream taken away", "stream/Resources/EventStreamPolicy", DELETED),
    prop("policy of another bucket", "stream/LogBucketPolicy/Bucket", {"Ref": "AccessLogBucket"}),
    prop("old policy language", "producers/PublishPolicy/PolicyDocument/Version", "2008-10-17"),
    statement("no Sid", "producers/FilesPolicy/ReadFiles", Sid=DELETED),
    statement("a Sid twice", "producers/FilesPolicy/ReadFiles", Sid="MoveFiles"),
)
