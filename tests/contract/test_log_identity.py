"""A warehouse belongs to one log: recorded at the first use, and another one is refused."""

from pathlib import Path

import pytest
from aws_endpoint import Aws
from consumers_world import ENTITIES

from consumers.warehouse.sqlite.warehouse import SqliteWarehouse, open_warehouse
from headwater import aws as clients
from headwater import log_identity
from headwater.cli import main
from headwater.exit_codes import DONE, REFUSED
from replay.log.reader import S3Log
from schemas.errors import ConfigurationError


@pytest.fixture
def warehouse(tmp_path: Path) -> SqliteWarehouse:
    made = open_warehouse(f"sqlite:///{tmp_path}/w.db", ENTITIES)
    made.ensure()
    return made


@pytest.fixture
def connected(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> clients.Aws:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for name in ("one", "two"):
        aws.client("s3").create_bucket(
            Bucket=aws.name(name), CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
    return clients.connect()


def test_what_has_no_id_gets_it_at_the_first_use_and_another_log_is_refused(
    aws: Aws, connected: clients.Aws, warehouse: SqliteWarehouse
) -> None:
    one, two = aws.name("one"), aws.name("two")
    log_identity.check(connected, one, warehouse)  # writes nothing
    assert log_identity.read_id(connected, one) is None
    assert log_identity.claim(connected, one, warehouse)
    assert log_identity.claim(connected, one, warehouse)
    assert list(S3Log(connected.s3, one).objects()) == []
    log_identity.check(connected, one, warehouse)
    log_identity.check(connected, two, warehouse)  # it has no id yet, and may be the same one
    assert not log_identity.claim(connected, two, warehouse)
    with pytest.raises(ConfigurationError, match=r"another log.*adopt-log"):
        log_identity.check(connected, two, warehouse)
    log_identity.check(connected, one, warehouse)


def test_a_log_that_was_moved_is_adopted_and_the_old_one_refused(
    aws: Aws, connected: clients.Aws, warehouse: SqliteWarehouse
) -> None:
    one, two = aws.name("one"), aws.name("two")
    for bucket in (one, two, one, two):
        log_identity.claim(connected, bucket, warehouse)
        log_identity.adopt_log(connected, bucket, warehouse)
        log_identity.check(connected, bucket, warehouse)
    with pytest.raises(ConfigurationError):
        log_identity.check(connected, one, warehouse)


def test_replay_refuses_tables_of_another_log_until_it_is_adopted(
    aws: Aws,
    connected: clients.Aws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"sqlite:///{tmp_path}/w.db"
    monkeypatch.setenv("HEADWATER_WAREHOUSE", url)
    assert main(["warehouse", "init"]) == DONE
    for name in ("one", "two"):
        monkeypatch.setenv("HEADWATER_LOG_BUCKET", aws.name(name))
        if name == "one":
            assert main(["warehouse", "adopt-log"]) == DONE
    connected.s3.put_object(Bucket=aws.name("two"), Key=log_identity.KEY, Body=b"another")
    for command in (["rebuild", "school", "--dry-run"], ["compare", "school"], ["rollback", "school"]):
        assert main(["replay", *command]) == REFUSED
        assert "another log" in capsys.readouterr().err
    assert main(["warehouse", "adopt-log"]) == DONE
    main(["replay", "rebuild", "school", "--dry-run"])
    assert "another log" not in capsys.readouterr().err
