"""The warehouse: private, encrypted, backed up, by TLS only, and with secrets of its own for each login."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cfn_templates import Json, World, differences, normal, text

from template_rules.log_replica import RULES_OF_STREAM

NAME = "${Application}-${Environment}"
DATABASE: Json = {
    "DBInstanceIdentifier": f"{NAME}-warehouse",
    "Engine": "${Edition}",
    "EngineVersion": "${Version}0",
    "LicenseModel": "license-included",
    "DBInstanceClass": "${InstanceClass}",
    "StorageType": "gp3",
    "AllocatedStorage": "${AllocatedGiB}",
    "MaxAllocatedStorage": "${MaxAllocatedGiB}",
    "StorageEncrypted": True,
    "KmsKeyId": "${WarehouseKey.Arn}",
    "MultiAZ": "${MultiAz}",
    "DBSubnetGroupName": "${WarehouseSubnets}",
    "VPCSecurityGroups": ["${NetworkStack:WarehouseGroupId}"],
    "PubliclyAccessible": False,
    "Port": "1433",
    "CACertificateIdentifier": "rds-ca-rsa2048-g1",
    "DBParameterGroupName": "${WarehouseParameters}",
    "MasterUsername": "headwater_owner",
    # Never MasterUserPassword, which would be in the template.
    "ManageMasterUserPassword": True,
    "MasterUserSecret": {"KmsKeyId": "${WarehouseKey.Arn}"},
    "BackupRetentionPeriod": "${BackupDays}",
    "PreferredBackupWindow": "${BackupWindow}",
    "CopyTagsToSnapshot": True,
    "DeleteAutomatedBackups": False,
    "DeletionProtection": True,
    "AutoMinorVersionUpgrade": True,
    "PreferredMaintenanceWindow": "${MaintenanceWindow}",
    "EnableCloudwatchLogsExports": ["agent", "error"],
    "EnablePerformanceInsights": True,
    "PerformanceInsightsRetentionPeriod": 7,
    "PerformanceInsightsKMSKeyId": "${WarehouseKey.Arn}",
    "MonitoringInterval": 60,
    "MonitoringRoleArn": "${MonitoringRole.Arn}",
}
SUBNETS: Json = {
    "DBSubnetGroupDescription": f"Private subnets of the warehouse of {NAME}",
    "SubnetIds": text(
        {"Fn::Split": [",", {"Fn::ImportValue": {"Fn::Sub": "${NetworkStack}:DatabaseSubnetIds"}}]}
    ),
}
PARAMETERS: Json = {
    "Description": re.compile(".+"),
    "Family": "${Edition}-${Version}",
    "Parameters": {"rds.force_ssl": "1"}
    | dict.fromkeys(("rds.tls10", "rds.tls11", "rds.rc4", "rds.3des168"), "disabled"),
}
LOG_GROUPS = ["WarehouseAgentLogGroup", "WarehouseErrorLogGroup"]
"""Of the names that RDS uses, which would create them unencrypted and for ever."""


def database(world: World) -> Iterator[str]:
    """Databases, and the groups that they are in, that differ from what the warehouse has to be."""
    for template in world.values():
        for type_, expected in (
            ("AWS::RDS::DBInstance", DATABASE),
            ("AWS::RDS::DBSubnetGroup", SUBNETS),
            ("AWS::RDS::DBParameterGroup", PARAMETERS),
        ):
            for logical_id, properties in template.of_type(type_):
                yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)
        for logical_id, _ in template.of_type("AWS::RDS::DBInstance"):
            depends = template.resources[logical_id].get("DependsOn")
            if depends != LOG_GROUPS:
                yield f"{template.name}.{logical_id}: depends on {depends}, not on {LOG_GROUPS}"


SECRETS = {
    "ConsumerSecret": "consumer",
    "RefresherSecret": "refresher",
}
"""By logical id: the login whose password the secret holds."""


def secrets(world: World) -> Iterator[str]:
    """Secrets whose password is known or weak, or whose policy could make them public."""
    for template in world.values():
        for logical_id, properties in template.of_type("AWS::SecretsManager::Secret"):
            expected = {
                "Description": re.compile(".+"),
                "KmsKeyId": "${WarehouseKey.Arn}",
                # Letters and digits alone: nothing has to be escaped in SQL, a shell or a URL.
                "GenerateSecretString": {
                    "SecretStringTemplate": f'{{"username": "{SECRETS.get(logical_id)}"}}',
                    "GenerateStringKey": "password",
                    "PasswordLength": 40,
                    "ExcludePunctuation": True,
                    "RequireEachIncludedType": True,
                },
            }
            yield from differences(f"{template.name}.{logical_id}", normal(properties), expected)
        for logical_id, properties in template.of_type("AWS::SecretsManager::ResourcePolicy"):
            shown = {key: value for key, value in properties.items() if key != "ResourcePolicy"}
            expected = {"SecretId": re.compile(r"\$\{\w+Secret\}"), "BlockPublicPolicy": True}
            yield from differences(f"{template.name}.{logical_id}", normal(shown), expected)


RULE: Json = {
    "OneZoneWhereItIsStopped": {
        "RuleCondition": {"Fn::Equals": [{"Ref": "Scheduled"}, "true"]},
        "Assertions": [
            {
                "Assert": {"Fn::Equals": [{"Ref": "MultiAz"}, "false"]},
                "AssertDescription": re.compile(".+"),
            }
        ],
    }
}
SAFE = {"MultiAz": "false", "Scheduled": "false", "BackupDays": 14}
"""Defaults, where the file says nothing: a database that a schedule may stop, and two weeks of backups."""


def limits_of_sql_server(world: World) -> Iterator[str]:
    """A schedule for a database that cannot be stopped, and defaults that surprise."""
    for template in world.values():
        expected = {"warehouse": RULE, "stream": RULES_OF_STREAM}.get(template.name, {})
        yield from differences(f"{template.name}.Rules", template.body.get("Rules", {}), expected)
        if template.name == "warehouse":
            defaults = {name: template.parameters.get(name, {}).get("Default") for name in SAFE}
            yield from differences("warehouse.Parameters", defaults, SAFE)


RULES = (database, secrets, limits_of_sql_server)
