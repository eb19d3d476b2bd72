"""Mistakes in parameters, conditions, outputs and texts."""

from mutations import DELETED, Mutation, prop, put
from resource_mutations import MAPPING

INTERFACES: tuple[Mutation, ...] = (
    put("a parameter without a pattern", "stream/Parameters/SourceAccounts/AllowedPattern", DELETED),
    put("a pattern that takes anything", "producers/Parameters/StreamArn/AllowedPattern", ".*"),
    put("any account", "stream/Parameters/SourceAccounts/AllowedPattern", "[0-9]*|\\*"),
    put("names that are too long", "stream/Parameters/Application/AllowedPattern", "[a-z][a-z0-9-]*"),
    put("no minimum", "stream/Parameters/LockDays/MinValue", DELETED),
    put("letters expire in a day", "source/Parameters/DeadLetterDays/MinValue", 1),
    put("one attempt allowed", "source/Parameters/MaxReceiveCount/MinValue", 1),
    put("attempts beyond the retention", "source/Parameters/MaxReceiveCount/MaxValue", 1000),
    put("a default that is refused", "stream/Parameters/StreamMode/Default", "on-demand"),
    put("no hint", "stream/Parameters/LockMode/ConstraintDescription", DELETED),
    put(
        "a lock that is none",
        "stream/Parameters/LockMode/AllowedValues",
        ["GOVERNANCE", "COMPLIANCE", "NONE"],
    ),
    put(
        "a secret as a parameter",
        "consumers/Parameters/WarehousePassword",
        {
            "Type": "String",
            "Description": "Password",
            "AllowedPattern": ".+",
            "ConstraintDescription": "a password",
        },
    ),
    put("a hidden parameter", "consumers/Parameters/WarehouseSecretArn/NoEcho", True),
    put(
        "a parameter that nothing uses",
        "source/Parameters/Extra",
        {"Type": "String", "Description": "Extra", "AllowedValues": ["a"], "ConstraintDescription": "a"},
    ),
    put("an image by its tag", "replay/Parameters/ImageDigest/AllowedPattern", "[a-z0-9:.-]+"),
    put("another export", "stream/Outputs/StreamArn/Export/Name", "headwater-stream-arn"),
    put("no export", "source/Outputs/SourceKeyArn/Export", DELETED),
    put("output of another resource", "stream/Outputs/LogKeyArn/Value", {"Fn::GetAtt": ["StreamKey", "Arn"]}),
    put(
        "output of another attribute",
        "producers/Outputs/DynamoDbProducerRoleName/Value",
        {"Fn::GetAtt": ["DynamoDbProducerRole", "Arn"]},
    ),
    put("an output that is gone", "source/Outputs/QueueArn", DELETED),
    put("a condition that is gone", "consumers/Conditions/IsInVpc", DELETED),
    put(
        "a condition turned round",
        "producers/Conditions/HasHashSecret",
        {"Fn::Equals": [{"Ref": "HashSecretArn"}, ""]},
    ),
    put("a condition that is always true", "consumers/Conditions/IsInVpc", {"Fn::Equals": ["a", "a"]}),
    prop(
        "import of another stack",
        f"{MAPPING}/EventSourceArn",
        {"Fn::ImportValue": {"Fn::Sub": "${SourceStack}:StreamArn"}},
    ),
    prop(
        "import of nothing",
        f"{MAPPING}/EventSourceArn",
        {"Fn::ImportValue": "headwater-prod-stream:StreamArn"},
    ),
    prop("an account id", "stream/LogBucket/BucketName", "headwater-prod-log-123456789012-eu-west-2"),
    prop(
        "a region",
        "replay/ReplayTask/ContainerDefinitions/0/LogConfiguration/Options/awslogs-region",
        "eu-west-2",
    ),
    prop("a partition", "stream/LogKeyAlias/AliasName", "arn:aws:kms:alias"),
    put("a transform", "producers/Transform", "AWS::Serverless-2016-10-31"),
    put(
        "an exception without a reason", "consumers/Resources/Consumer/Metadata/checkov/skip/0/comment", "no"
    ),
    put(
        "an exception that nobody reviewed",
        "stream/Resources/LogBucket/Metadata",
        {"checkov": {"skip": [{"id": "CKV_AWS_21", "comment": "it is not needed in this case"}]}},
    ),
    put("a resource under a condition", "stream/Resources/LogBucketPolicy/Condition", "IsProvisioned"),
    put("an order that is gone", "source/Resources/SourceBucket/DependsOn", DELETED),
)
