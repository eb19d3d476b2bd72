"""Clients of the embedded AWS in a shell that is set up for another one."""

import pytest

from headwater.aws import connect
from headwater.embedded.aws import EmbeddedAws


def test_the_embedded_aws_works_whatever_the_shell_is_set_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_PROFILE": "not-configured",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "of-another-account",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_MAX_ATTEMPTS": "many",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    with EmbeddedAws() as server:
        aws = connect(server.environment())
        aws.dynamodb.create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        assert aws.dynamodb.list_tables()["TableNames"] == ["orders"]
        assert aws.client("secretsmanager").list_secrets()["SecretList"] == []
