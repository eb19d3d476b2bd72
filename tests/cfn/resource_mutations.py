"""Mistakes in resources."""

from mutations import DELETED, Mutation, add, prop, put

PAB = "PublicAccessBlockConfiguration"
LOG_RULES = "stream/LogBucket/LifecycleConfiguration/Rules"
SOURCE_RULES = "source/SourceBucket/LifecycleConfiguration/Rules"
MAPPING = "consumers/ConsumerMapping"
BEHIND = "consumers/ConsumerBehindHalfAlarm"


def _tables(mapping: str) -> str:
    from cfn_templates import rendered

    (first, *_) = (id_ for id_, _ in rendered()["tables"].of_type("AWS::Lambda::EventSourceMapping"))
    return f"tables/{first}/{mapping}"


STORES: tuple[Mutation, ...] = (
    *(
        prop(f"{flag} off", f"{bucket}/{PAB}/{flag}", False)
        for bucket in ("stream/LogBucket", "source/SourceBucket")
        for flag in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    ),
    prop("no public access block", f"artifacts/ArtifactsBucket/{PAB}", DELETED),
    prop("access by ACL", "stream/LogBucket/OwnershipControls/Rules/0/ObjectOwnership", "ObjectWriter"),
    prop("a public ACL", "source/SourceBucket/AccessControl", "PublicRead"),
    prop("a web site", "source/SourceBucket/WebsiteConfiguration", {"IndexDocument": "index.html"}),
    prop("any origin", "source/SourceBucket/CorsConfiguration", {"CorsRules": []}),
    prop("copied elsewhere", "stream/LogBucket/ReplicationConfiguration", {"Role": "x", "Rules": []}),
    prop("versions off", "stream/LogBucket/VersioningConfiguration/Status", "Suspended"),
    prop("no versions", "source/SourceBucket/VersioningConfiguration", DELETED),
    prop(
        "encrypted by S3's key",
        "stream/LogBucket/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault",
        {"SSEAlgorithm": "AES256"},
    ),
    prop("bucket not encrypted", "source/SourceBucket/BucketEncryption", DELETED),
    prop(
        "a key of AWS",
        "source/SourceBucket/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault/KMSMasterKeyID",
        "alias/aws/s3",
    ),
    prop(
        "a bucket key",
        "stream/LogBucket/BucketEncryption/ServerSideEncryptionConfiguration/0/BucketKeyEnabled",
        True,
    ),
    prop("no access logs", "stream/LogBucket/LoggingConfiguration", DELETED),
    prop("Object Lock off", "stream/LogBucket/ObjectLockEnabled", False),
    prop("no Object Lock", "stream/LogBucket/ObjectLockConfiguration", DELETED),
    prop("no default retention", "stream/LogBucket/ObjectLockConfiguration/Rule", DELETED),
    prop("locked for a day", "stream/LogBucket/ObjectLockConfiguration/Rule/DefaultRetention/Days", 1),
    prop("the log expires", f"{LOG_RULES}/0/ExpirationInDays", 30),
    prop("the log expires by a prefix", f"{LOG_RULES}/1/Prefix", "log/"),
    prop("errors of the log expire", f"{LOG_RULES}/1/Prefix", "log-errors/"),
    prop("everything expires", f"{LOG_RULES}/1/Prefix", DELETED),
    prop(
        "the log is archived",
        f"{LOG_RULES}/0/Transitions",
        [{"StorageClass": "GLACIER", "TransitionInDays": 1}],
    ),
    prop(
        "old versions of the log expire", f"{LOG_RULES}/0/NoncurrentVersionExpiration", {"NoncurrentDays": 1}
    ),
    prop("drop expires", f"{SOURCE_RULES}/1/Prefix", "drop/"),
    prop("corrections expire", f"{SOURCE_RULES}/2/Prefix", "corrections/"),
    prop("all files expire", f"{SOURCE_RULES}/0/ExpirationInDays", 30),
    prop("rejects never expire", f"{SOURCE_RULES}/2/Status", "Disabled"),
    prop("versions expire at once", f"{SOURCE_RULES}/0/NoncurrentVersionExpiration/NoncurrentDays", 1),
    prop(
        "corrections are not noticed",
        "source/SourceBucket/NotificationConfiguration/QueueConfigurations/1",
        DELETED,
    ),
    prop(
        "copies are not noticed",
        "source/SourceBucket/NotificationConfiguration/QueueConfigurations/0/Event",
        "s3:ObjectCreated:Put",
    ),
    prop(
        "the archive is noticed",
        "source/SourceBucket/NotificationConfiguration/QueueConfigurations/0/Filter/S3Key/Rules/0/Value",
        "archive/",
    ),
    prop(
        "dead files are noticed",
        "source/SourceBucket/NotificationConfiguration/QueueConfigurations/0/Queue",
        {"Fn::GetAtt": ["DeadFileQueue", "Arn"]},
    ),
    prop("another bucket", "stream/LogBucket/BucketName", "my-log"),
    add(
        "an open bucket",
        "source/Extra",
        {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {},
        },
    ),
    prop("key not rotated", "stream/LogKey/EnableKeyRotation", False),
    prop("no rotation", "source/SourceKey/EnableKeyRotation", DELETED),
    prop("key disabled", "stream/StreamKey/Enabled", False),
    prop("alias of another key", "stream/LogKeyAlias/TargetKeyId", {"Ref": "StreamKey"}),
    prop("topic not encrypted", "stream/AlarmTopic/KmsMasterKeyId", DELETED),
    prop("topic with a key that CloudWatch cannot use", "source/AlarmTopic/KmsMasterKeyId", "alias/aws/sns"),
    prop("queue not encrypted", "source/FileQueue/KmsMasterKeyId", DELETED),
    prop("queue encrypted by SQS", "source/DeadFileQueue/KmsMasterKeyId", "alias/aws/sqs"),
    prop("short visibility", "source/FileQueue/VisibilityTimeout", 300),
    put("visibility below six times", "source/Mappings/Visibility/300/Seconds", 1799),
    prop("messages kept for an hour", "source/FileQueue/MessageRetentionPeriod", 3600),
    prop("dead messages kept for four days", "source/DeadFileQueue/MessageRetentionPeriod", DELETED),
    prop("no dead-letter queue", "source/FileQueue/RedrivePolicy", DELETED),
    prop(
        "its own dead-letter queue",
        "source/FileQueue/RedrivePolicy/deadLetterTargetArn",
        {"Fn::GetAtt": ["FileQueue", "Arn"]},
    ),
    prop("a file gets one attempt", "source/FileQueue/RedrivePolicy/maxReceiveCount", 1),
    prop("short polling", "source/FileQueue/ReceiveMessageWaitTimeSeconds", 0),
    prop("a delay", "source/FileQueue/DelaySeconds", 900),
    prop("log group kept for ever", "producers/CsvProducerLogGroup/RetentionInDays", DELETED),
    prop("log group kept for a day", "consumers/ConsumerLogGroup/RetentionInDays", 1),
    prop("log group not encrypted", "consumers/ConsumerLogGroup/KmsKeyId", DELETED),
    prop("log group of another name", "replay/ReplayLogGroup/LogGroupName", "/replay"),
)
RETAINED: tuple[Mutation, ...] = (
    put("bucket deleted", "stream/Resources/LogBucket/DeletionPolicy", "Delete"),
    put("no policy for a deleted bucket", "source/Resources/SourceBucket/DeletionPolicy", DELETED),
    put("replaced bucket deleted", "stream/Resources/LogBucket/UpdateReplacePolicy", DELETED),
    put("key deleted", "stream/Resources/LogKey/DeletionPolicy", DELETED),
    put("replaced key deleted", "source/Resources/SourceKey/UpdateReplacePolicy", "Delete"),
    put("stream deleted", "stream/Resources/EventStream/DeletionPolicy", "Delete"),
    put("delivery deleted", "stream/Resources/Delivery/DeletionPolicy", DELETED),
    put("role of a kept delivery deleted", "stream/Resources/DeliveryRole/DeletionPolicy", DELETED),
    put("queue deleted", "source/Resources/FileQueue/DeletionPolicy", "Delete"),
    put("log group left behind", "consumers/Resources/ConsumerLogGroup/DeletionPolicy", "Retain"),
)
PIPE: tuple[Mutation, ...] = (
    prop("stream not encrypted", "stream/EventStream/StreamEncryption", DELETED),
    prop("stream with a key of AWS", "stream/EventStream/StreamEncryption/KeyId", "alias/aws/kinesis"),
    prop("retention of a day", "stream/EventStream/RetentionPeriodHours", 24),
    prop("default retention", "stream/EventStream/RetentionPeriodHours", DELETED),
    put("a day of retention allowed", "stream/Parameters/RetentionHours/AllowedValues/0", 24),
    put("short default retention", "stream/Parameters/RetentionHours/Default", 24),
    put("any retention allowed", "stream/Parameters/RetentionHours/AllowedValues", DELETED),
    put("half is most", "stream/Mappings/Retention/168/Half", 483840000),
    put("80 % is 100 %", "stream/Mappings/Retention/168/Most", 604800000),
    put("seconds for milliseconds", "stream/Mappings/Retention/72/Half", 129600),
    prop(
        "delivery not encrypted",
        "stream/Delivery/ExtendedS3DestinationConfiguration/EncryptionConfiguration",
        DELETED,
    ),
    prop(
        "delivery without encryption",
        "stream/Delivery/ExtendedS3DestinationConfiguration/EncryptionConfiguration",
        {"NoEncryptionConfig": "NoEncryption"},
    ),
    prop(
        "delivery compressed", "stream/Delivery/ExtendedS3DestinationConfiguration/CompressionFormat", "GZIP"
    ),
    prop("delivery elsewhere", "stream/Delivery/ExtendedS3DestinationConfiguration/Prefix", "data/"),
    prop(
        "delivery by local time",
        "stream/Delivery/ExtendedS3DestinationConfiguration/CustomTimeZone",
        "Europe/London",
    ),
    prop(
        "errors among the log",
        "stream/Delivery/ExtendedS3DestinationConfiguration/ErrorOutputPrefix",
        "errors/",
    ),
    prop(
        "errors of the delivery not logged",
        "stream/Delivery/ExtendedS3DestinationConfiguration/CloudWatchLoggingOptions/Enabled",
        False,
    ),
    prop(
        "records transformed",
        "stream/Delivery/ExtendedS3DestinationConfiguration/ProcessingConfiguration",
        {"Enabled": True},
    ),
    prop(
        "delivery to the access logs",
        "stream/Delivery/ExtendedS3DestinationConfiguration/BucketARN",
        {"Fn::GetAtt": ["AccessLogBucket", "Arn"]},
    ),
    prop("delivery without the stream", "stream/Delivery/DeliveryStreamType", "DirectPut"),
)
SOURCES: tuple[Mutation, ...] = (
    *(
        prop(f"{where}: {name}", f"{place}{key}", value)
        for where, place in (("Kinesis", f"{MAPPING}/"), ("DynamoDB", _tables("")))
        for name, key, value in (
            ("starts with the newest", "StartingPosition", "LATEST"),
            ("starts at a time", "StartingPositionTimestamp", 0),
            ("halves batches", "BisectBatchOnFunctionError", True),
            ("halves batches by default", "BisectBatchOnFunctionError", DELETED),
            ("gives up after three attempts", "MaximumRetryAttempts", 3),
            ("states no attempts", "MaximumRetryAttempts", DELETED),
            ("drops old records", "MaximumRecordAgeInSeconds", 3600),
            ("states no age", "MaximumRecordAgeInSeconds", DELETED),
            ("runs two batches of a shard", "ParallelizationFactor", 2),
            ("fails whole batches", "FunctionResponseTypes", DELETED),
            ("filters records", "FilterCriteria", {"Filters": [{"Pattern": "{}"}]}),
            ("has a destination for failures", "DestinationConfig", {"OnFailure": {"Destination": "arn"}}),
            ("has windows", "TumblingWindowInSeconds", 60),
            ("is disabled", "Enabled", False),
        )
    ),
    prop("mapping of another function", f"{MAPPING}/FunctionName", {"Fn::GetAtt": ["Metrics", "Arn"]}),
    put("no mapping", "consumers/Resources/ConsumerMapping", DELETED),
    prop("queue: fails whole batches", "producers/CsvProducerMapping/FunctionResponseTypes", DELETED),
    prop("queue: many files at once", "producers/CsvProducerMapping/BatchSize", 10),
    prop("queue: disabled", "producers/CsvProducerMapping/Enabled", False),
    prop("queue: no limit", "producers/CsvProducerMapping/ScalingConfig", DELETED),
    prop("queue: filters files", "producers/CsvProducerMapping/FilterCriteria", {"Filters": []}),
    prop("schedule disabled", "consumers/RefresherSchedule/State", "DISABLED"),
    prop("schedule of every hour", "consumers/RefresherSchedule/ScheduleExpression", "rate(1 hour)"),
    prop("schedule that ends", "consumers/MetricsSchedule/EndDate", "2030-01-01T00:00:00Z"),
    prop(
        "schedule of another function",
        "consumers/RefresherSchedule/Target/Arn",
        {"Fn::GetAtt": ["Consumer", "Arn"]},
    ),
    prop("calls wait in line", "consumers/RefresherCalls/MaximumEventAgeInSeconds", 21600),
    put("calls are repeated", "consumers/Resources/RefresherCalls", DELETED),
)
FUNCTIONS: tuple[Mutation, ...] = (
    prop("an older runtime", "producers/CsvProducer/Runtime", "python3.11"),
    prop("a handler that does not exist", "consumers/Consumer/Handler", "consumers.handler.handle"),
    prop(
        "a handler of another function", "producers/CsvProducer/Handler", "producers.dynamodb.handler.handler"
    ),
    prop("another zip", "consumers/Refresher/Code/S3Key", {"Ref": "ConsumersKey"}),
    prop("code in the template", "consumers/Refresher/Code", {"ZipFile": "def handler(*_): ..."}),
    prop("more than one refresher", "consumers/Refresher/ReservedConcurrentExecutions", 2),
    prop("any number of refreshers", "consumers/Refresher/ReservedConcurrentExecutions", DELETED),
    prop("a consumer that is stopped", "consumers/Consumer/ReservedConcurrentExecutions", 0),
    prop("time limit beyond the queue's", "producers/CsvProducer/Timeout", 900),
    prop("default time limit", "consumers/Consumer/Timeout", DELETED),
    prop("little memory", "consumers/Consumer/MemorySize", 128),
    prop("a log group of its own making", "producers/CsvProducer/LoggingConfig", DELETED),
    prop(
        "role of another function",
        "producers/DynamoDbProducer/Role",
        {"Fn::GetAtt": ["ProducerRedriveRole", "Arn"]},
    ),
    prop("outside the VPC", "consumers/Consumer/VpcConfig", DELETED),
    prop(
        "a variable that nothing reads", "producers/CsvProducer/Environment/Variables/HEADWATER_STREAMS", "x"
    ),
    prop(
        "a variable that is missing",
        "producers/CsvProducer/Environment/Variables/HEADWATER_LOG_BUCKET",
        DELETED,
    ),
    prop(
        "a variable of another value",
        "producers/CsvProducer/Environment/Variables/HEADWATER_LOG_BUCKET",
        {"Ref": "CodeBucket"},
    ),
    prop(
        "a password in the environment",
        "consumers/Consumer/Environment/Variables/HEADWATER_WAREHOUSE",
        "mssql://u:p@h/d",
    ),
    prop("certificates not checked", "consumers/Consumer/Environment/Variables/FREETDSCONF", DELETED),
    prop("an image that can change", "replay/ReplayTask/ContainerDefinitions/0/Image", "headwater:latest"),
    prop(
        "a task that writes to its image",
        "replay/ReplayTask/ContainerDefinitions/0/ReadonlyRootFilesystem",
        False,
    ),
    prop("a privileged task", "replay/ReplayTask/ContainerDefinitions/0/Privileged", True),
    add(
        "another function",
        "consumers/Extra",
        {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Handler": "a.b",
                "Role": {"Fn::GetAtt": ["ConsumerRole", "Arn"]},
                "Environment": {"Variables": {}},
            },
        },
    ),
)
ALARMS: tuple[Mutation, ...] = (
    prop("no action", f"{BEHIND}/AlarmActions", []),
    prop("action missing", f"{BEHIND}/AlarmActions", DELETED),
    prop("another action", "stream/DeliveryLateAlarm/AlarmActions", ["arn:${AWS::Partition}:sns:x"]),
    prop("actions disabled", f"{BEHIND}/ActionsEnabled", False),
    prop(
        "threshold of 80 % for 50 %",
        f"{BEHIND}/Threshold",
        {"Fn::ImportValue": {"Fn::Sub": "${StreamStack}:IteratorAgeMost"}},
    ),
    prop("threshold beyond the retention", f"{BEHIND}/Threshold", 86400000000),
    prop("another namespace", f"{BEHIND}/Namespace", "AWS/Kinesis"),
    prop("another metric", f"{BEHIND}/MetricName", "Duration"),
    prop("another dimension", f"{BEHIND}/Dimensions/0/Name", "Resource"),
    prop("another function's", f"{BEHIND}/Dimensions/0/Value", {"Ref": "Metrics"}),
    prop("no dimension", f"{BEHIND}/Dimensions", DELETED),
    prop("missing data ignored", f"{BEHIND}/TreatMissingData", "ignore"),
    prop("average", f"{BEHIND}/Statistic", "Average"),
    prop("the wrong way round", f"{BEHIND}/ComparisonOperator", "LessThanThreshold"),
    prop("after a day", f"{BEHIND}/EvaluationPeriods", 288),
    prop("no instruction", f"{BEHIND}/AlarmDescription", "Late"),
    put("no alarm", "consumers/Resources/ConsumerBehindMostAlarm", DELETED),
    put("no alarm of dead files", "source/Resources/DeadFilesAlarm", DELETED),
    put("no alarm of the delivery", "stream/Resources/DeliveryLateAlarm", DELETED),
    put("no alarm of errors", "producers/Resources/DynamoDbProducerErrorsAlarm", DELETED),
    prop(
        "alarm of the wrong queue",
        "source/DeadFilesAlarm/Dimensions/0/Value",
        {"Fn::GetAtt": ["FileQueue", "QueueName"]},
    ),
    prop("DynamoDB: beyond 24 hours", "tables/DynamoDbProducerBehindHalfAlarm/Threshold", 86400000 * 2),
    prop("DynamoDB: no action", "tables/DynamoDbProducerBehindMostAlarm/AlarmActions", []),
)
RESOURCES = (*STORES, *RETAINED, *PIPE, *SOURCES, *FUNCTIONS, *ALARMS)
