"""The environment, read once and said again."""

from pathlib import Path

import pytest

from consumers.warehouse.address import warehouse_url
from schemas.errors import ConfigurationError
from schemas.settings import Settings, environment, read_settings


def test_an_empty_environment_gives_the_names_that_the_handlers_take_by_default() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert (settings.stream, settings.log_bucket, settings.source_bucket) == (
        "headwater-events",
        "headwater-log",
        "headwater-source",
    )


def test_an_empty_variable_counts_as_absent() -> None:
    assert read_settings({"HEADWATER_STREAM": "", "AWS_ENDPOINT_URL": ""}) == Settings()


def test_what_is_said_to_another_process_is_what_it_reads(tmp_path: Path) -> None:
    settings = Settings(
        endpoint="http://127.0.0.1:1",
        home=tmp_path,
        stream="s",
        stream_role="arn:aws:iam::222222222222:role/writer",
        log_bucket="log-bucket",
        source_bucket="source-bucket",
        warehouse="sqlite:////w.db",
        state=tmp_path / "state",
        firehose_role="arn:aws:iam::1:role/r",
    )
    assert read_settings(environment(settings)) == settings


def test_a_folder_is_said_so_that_it_holds_in_another_working_directory() -> None:
    assert environment(Settings(home=Path("mine"))) == {"HEADWATER_HOME": str(Path.cwd() / "mine")}


def test_defaults_are_not_said() -> None:
    assert environment(Settings()) == {}


def test_what_is_missing_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"HEADWATER_WAREHOUSE is not set: .*headwater up"):
        warehouse_url(Settings())
    with pytest.raises(ConfigurationError, match=r"HEADWATER_STATE is not set: .*headwater up"):
        Settings().require_state()
