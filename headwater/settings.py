"""What the environment says, read once: the same variables that the Lambda handlers read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Settings:
    """Names and places of one installation. A value that is None was not given."""

    endpoint: str | None = None  # AWS_ENDPOINT_URL; boto3 reads it by itself
    home: Path | None = None  # HEADWATER_HOME: the user's own entities/
    stream: str = "headwater-events"
    log_bucket: str = "headwater-log"
    source_bucket: str = "headwater-source"
    # HEADWATER_WAREHOUSE: an SQLAlchemy URL, which may hold a password
    warehouse: str | None = field(default=None, repr=False)
    warehouse_secret: str | None = None  # HEADWATER_WAREHOUSE_SECRET: the secret that holds it
    state: Path | None = None  # HEADWATER_STATE: where `up` says how far it is
    firehose_role: str = "arn:aws:iam::000000000000:role/headwater-firehose"

    @property
    def delivery_stream(self) -> str:
        """Firehose's name for the way from the stream to the log bucket."""
        return f"{self.stream}-to-log"

    @property
    def queue(self) -> str:
        """The SQS queue that is told of files in the source bucket."""
        return f"{self.source_bucket}-files"

    def require_warehouse(self) -> str:
        """The warehouse's URL. Raises ConfigurationError, TransientError."""
        if self.warehouse is None and self.warehouse_secret is not None:
            from consumers.warehouse.address import read_secret

            return read_secret(self.warehouse_secret)
        if self.warehouse is None:
            raise _not_set("HEADWATER_WAREHOUSE")
        return self.warehouse

    def require_state(self) -> Path:
        """The folder in which `up` says how far it is. Raises ConfigurationError."""
        if self.state is None:
            raise _not_set("HEADWATER_STATE")
        return self.state


VARIABLES: Mapping[str, str] = {
    "AWS_ENDPOINT_URL": "endpoint",
    "HEADWATER_HOME": "home",
    "HEADWATER_STREAM": "stream",
    "HEADWATER_LOG_BUCKET": "log_bucket",
    "HEADWATER_SOURCE_BUCKET": "source_bucket",
    "HEADWATER_WAREHOUSE": "warehouse",
    "HEADWATER_WAREHOUSE_SECRET": "warehouse_secret",
    "HEADWATER_FIREHOSE_ROLE": "firehose_role",
    "HEADWATER_STATE": "state",  # the last line that `up` prints: who waits for it has all
}
_FOLDERS = {"home", "state"}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment; an empty variable counts as absent."""
    given: dict[str, Any] = {
        name: Path(environ[variable]) if name in _FOLDERS else environ[variable]
        for variable, name in VARIABLES.items()
        if environ.get(variable)
    }
    return Settings(**given)


def environment(settings: Settings) -> dict[str, str]:
    """The variables that say these settings to another process, without those that hold their default."""
    said = {}
    for variable, name in VARIABLES.items():
        value = getattr(settings, name)
        if value != getattr(Settings(), name):
            said[variable] = str(value.absolute() if isinstance(value, Path) else value)
    return said


def _not_set(variable: str) -> ConfigurationError:
    return ConfigurationError(
        f"{variable} is not set: start `headwater up` and run the `export` lines that it prints in this shell"
    )
