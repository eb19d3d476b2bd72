"""Settings of one installation, read from the environment once and handed down as one value. Pure.

| variable | |
|---|---|
| HEADWATER_HOME | a folder with entities/, instead of the sample entities |
| HEADWATER_STREAM | the Kinesis stream of the events, by name or ARN; default headwater-events |
| HEADWATER_STREAM_ROLE | ARN of a role to assume for calls to the stream |
| HEADWATER_LOG_BUCKET | the bucket of the log of record; default headwater-log |
| HEADWATER_SOURCE_BUCKET | the bucket of files, rejects and dead letters; default headwater-source |
| HEADWATER_WAREHOUSE, or HEADWATER_WAREHOUSE_SECRET | the warehouse's URL, or the secret of it |
| HEADWATER_WAREHOUSE_HOST | `host` or `host:port`, where the secret is a login in JSON |
| HEADWATER_WAREHOUSE_DATABASE | the database, where the secret is a login in JSON |
| HEADWATER_HASH_SECRET, or HEADWATER_HASH_KEY | the key of hashed fields (producers/hash_keys.py) |
| HEADWATER_LOG_LEVEL | DEBUG, INFO (default), WARNING or ERROR: what the Lambda functions log |
| HEADWATER_STATE, HEADWATER_FIREHOSE_ROLE | used by the local runtime |

boto3 reads its own variables, such as AWS_ENDPOINT_URL and AWS_REGION.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError
from schemas.stream import check_role, parse_stream


@dataclass(frozen=True, slots=True)
class Settings:
    """Names and locations of one installation. None means that a value is not set."""

    endpoint: str | None = None  # AWS_ENDPOINT_URL; boto3 also reads it
    home: Path | None = None  # HEADWATER_HOME: the user's own entities/
    stream: str = "headwater-events"  # name or ARN (schemas/stream.py)
    stream_role: str | None = None  # HEADWATER_STREAM_ROLE
    log_bucket: str = "headwater-log"
    source_bucket: str = "headwater-source"
    # HEADWATER_WAREHOUSE: an SQLAlchemy URL. It may contain a password, so it is not in the repr.
    warehouse: str | None = field(default=None, repr=False)
    warehouse_secret: str | None = None  # HEADWATER_WAREHOUSE_SECRET: contains the URL, or a login in JSON
    warehouse_host: str | None = None  # HEADWATER_WAREHOUSE_HOST, HEADWATER_WAREHOUSE_DATABASE: for a login
    warehouse_database: str | None = None
    log_level: str = "INFO"  # HEADWATER_LOG_LEVEL
    state: Path | None = None  # HEADWATER_STATE: where `up` reports its progress
    firehose_role: str = "arn:aws:iam::000000000000:role/headwater-firehose"
    # The key of hashed fields: HEADWATER_HASH_SECRET, or HEADWATER_HASH_KEY with HEADWATER_HASH_KEY_ID
    hash_secret: str | None = None
    hash_key: str | None = field(default=None, repr=False)
    hash_key_id: str | None = None

    @property
    def delivery_stream(self) -> str:
        """The Firehose delivery stream from the Kinesis stream to the log bucket."""
        return f"{parse_stream(self.stream).name}-to-log"

    @property
    def queue(self) -> str:
        """The SQS queue that receives notifications of files in the source bucket."""
        return f"{self.source_bucket}-files"

    def require_state(self) -> Path:
        """Return the folder in which `up` reports its progress. Raises ConfigurationError."""
        if self.state is None:
            raise not_set("HEADWATER_STATE")
        return self.state


VARIABLES = {
    "AWS_ENDPOINT_URL": "endpoint",
    "HEADWATER_HOME": "home",
    "HEADWATER_STREAM": "stream",
    "HEADWATER_STREAM_ROLE": "stream_role",
    "HEADWATER_LOG_BUCKET": "log_bucket",
    "HEADWATER_SOURCE_BUCKET": "source_bucket",
    "HEADWATER_WAREHOUSE": "warehouse",
    "HEADWATER_WAREHOUSE_SECRET": "warehouse_secret",
    "HEADWATER_WAREHOUSE_HOST": "warehouse_host",
    "HEADWATER_WAREHOUSE_DATABASE": "warehouse_database",
    "HEADWATER_FIREHOSE_ROLE": "firehose_role",
    "HEADWATER_STATE": "state",  # `up` prints it last: a script that waits for this line has all of them
}
_UNSHOWN = {
    "HEADWATER_HASH_SECRET": "hash_secret",
    "HEADWATER_HASH_KEY": "hash_key",
    "HEADWATER_HASH_KEY_ID": "hash_key_id",
    "HEADWATER_LOG_LEVEL": "log_level",
}
"""Variables that `up` does not print for other shells: only producers, redrives or Lambda need them."""
_FOLDERS = {"home", "state"}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment. An empty variable counts as not set.

    Raises ConfigurationError for a malformed stream or role.
    """
    values: dict[str, Any] = {
        name: Path(environ[variable]) if name in _FOLDERS else environ[variable]
        for variable, name in (VARIABLES | _UNSHOWN).items()
        if environ.get(variable)
    }
    settings = Settings(**values)
    parse_stream(settings.stream)
    if settings.stream_role:
        check_role(settings.stream_role)
    return settings


def environment(settings: Settings) -> dict[str, str]:
    """Return variables that give another process these settings.

    Defaults and the hash key are left out.
    """
    variables = {}
    for variable, name in VARIABLES.items():
        value = getattr(settings, name)
        if value != getattr(Settings(), name):
            variables[variable] = str(value.absolute() if isinstance(value, Path) else value)
    return variables


def not_set(variable: str) -> ConfigurationError:
    """Return the error for a variable that a command needs."""
    return ConfigurationError(
        f"{variable} is not set: start `headwater up` and run the `export` lines that it prints in this shell"
    )
