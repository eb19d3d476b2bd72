"""`up --state DIR`: the embedded AWS's content and the warehouse, as a clean stop leaves them.

One file, put in its place whole by a rename: it is there if and only if a clean stop wrote it, and a run that
is killed leaves that of the clean stop before.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.aws import Aws
from headwater.lambda_events import attribute_as_json, attribute_from_json
from headwater.output import instant
from headwater.provision import WATCHED_PREFIXES
from headwater.settings import Settings
from headwater.stored import list_objects
from schemas.aws_errors import aws_errors
from schemas.entity import Catalog
from schemas.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

FILE = "headwater-state.zip"
_UNFINISHED = "headwater-state.zip.unfinished"
_SNAPSHOT = "warehouse.db.unfinished"
_WAREHOUSE = "warehouse.db"
_COPY_BYTES = 1024 * 1024
_ATTEMPTS = 3
_BATCH_ITEMS = 25  # the most that BatchWriteItem takes


class State:
    """A folder for the state of one installation of the embedded AWS.

    Raises ConfigurationError when the folder holds something, but nothing of a clean stop.
    """

    def __init__(self, folder: Path, settings: Settings, catalog: Catalog) -> None:
        self._folder = folder
        self._tables = list(catalog.tables())
        self._buckets = {"source": settings.source_bucket, "log": settings.log_bucket}
        self._check()

    @property
    def saved_at(self) -> str | None:
        """When a clean stop wrote what is here, ISO 8601 in UTC; None when none has."""
        file = self._folder / FILE
        return instant(file.stat().st_mtime_ns // 1_000) if file.is_file() else None

    def restore_warehouse(self, database: Path) -> None:
        """Puts the SQLite file in its place."""
        with self._opened() as content, content.open(_WAREHOUSE) as source, database.open("wb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)

    def restore_stores(self, aws: Aws) -> None:
        """Items and objects, before anything watches: they are no changes and no new files."""
        with self._opened() as content:
            for table in self._tables:
                if f"tables/{table}" in content.namelist():
                    _restore_items(aws, table, content.read(f"tables/{table}"))
            self._restore_objects(aws, content, watched=False)

    def restore_waiting(self, aws: Aws) -> None:
        """The files that nobody had taken yet, once somebody watches for files."""
        with self._opened() as content:
            self._restore_objects(aws, content, watched=True)

    def write(self, aws: Aws, database: Path) -> None:
        """Writes everything beside what is there; only `keep` puts it in its place."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(self._folder / _UNFINISHED, "w") as content:
            content.write(_snapshot(database, self._folder), _WAREHOUSE)
            for table in self._tables:
                content.writestr(f"tables/{table}", "".join(_item_lines(aws, table)))
            for role, bucket in self._buckets.items():
                _write_objects(content, aws, bucket, f"objects/{role}/")

    def keep(self) -> None:
        """What was written last is the state from now on."""
        (self._folder / _UNFINISHED).replace(self._folder / FILE)
        (self._folder / _SNAPSHOT).unlink()

    def _check(self) -> None:
        if not self._folder.exists():
            return
        if not self._folder.is_dir():
            raise ConfigurationError(f"--state {self._folder} is not a folder: name one")
        found = {entry.name for entry in self._folder.iterdir()}
        if self.saved_at:
            with self._opened() as content:
                self._check_tables(content)
        elif found:
            raise ConfigurationError(
                f"--state {self._folder} holds no {FILE} of a clean stop, but {sorted(found)[0]}: "
                "name another folder, or remove this one to start fresh"
            )

    def _check_tables(self, content: zipfile.ZipFile) -> None:
        held = {name.removeprefix("tables/") for name in content.namelist() if name.startswith("tables/")}
        if unknown := sorted(held - set(self._tables)):
            raise ConfigurationError(
                f"{self._folder / FILE} holds the table {unknown[0]}, which no entity names: "
                "set HEADWATER_HOME as it was, or name another folder"
            )

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self._folder / FILE) as content:
                yield content
        except (OSError, zipfile.BadZipFile) as error:
            raise ConfigurationError(
                f"{self._folder / FILE} can't be read: remove it to start fresh, or name another folder"
            ) from error

    def _restore_objects(self, aws: Aws, content: zipfile.ZipFile, *, watched: bool) -> None:
        for name in content.namelist():
            kind, _, rest = name.partition("/")
            role, _, key = rest.partition("/")
            if kind == "objects" and (role == "source" and key.startswith(WATCHED_PREFIXES)) is watched:
                with aws_errors(f"restoring an object of the bucket {self._buckets[role]}"):
                    aws.s3.put_object(Bucket=self._buckets[role], Key=key, Body=content.read(name))


def save_when_quiet(state: State, drain: Callable[[], int], aws: Aws, database: Path) -> None:
    """Writes a state that lacks nothing of what was accepted before it.

    `drain` says how many records were taken so far. Raises TransientError when others keep writing meanwhile.
    """
    taken = drain()
    for _ in range(_ATTEMPTS):
        state.write(aws, database)
        before, taken = taken, drain()
        if taken == before:
            state.keep()
            return
    raise TransientError("the state was not saved, since others went on writing: stop them first")


def _snapshot(database: Path, folder: Path) -> Path:
    """A copy of the SQLite file as of one moment, whoever writes to it meanwhile."""
    copy = folder / _SNAPSHOT
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return copy


def _write_objects(content: zipfile.ZipFile, aws: Aws, bucket: str, prefix: str) -> None:
    """In order of their time: that is the order in which files wait."""
    for item in sorted(list_objects(aws, bucket, ""), key=lambda item: item.modified):
        with aws_errors(f"saving an object of the bucket {bucket}"):
            body = aws.s3.get_object(Bucket=bucket, Key=item.key)["Body"]
            with content.open(prefix + item.key, "w", force_zip64=True) as target:
                shutil.copyfileobj(body, target, _COPY_BYTES)


def _item_lines(aws: Aws, table: str) -> Iterator[str]:
    with aws_errors(f"saving the items of the table {table}"):
        for page in aws.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            for item in page["Items"]:
                yield json.dumps({name: attribute_as_json(value) for name, value in item.items()}) + "\n"


def _restore_items(aws: Aws, table: str, lines: bytes) -> None:
    items = [json.loads(line) for line in lines.splitlines()]
    puts: list[WriteRequestTypeDef] = [
        {"PutRequest": {"Item": {name: attribute_from_json(value) for name, value in item.items()}}}
        for item in items
    ]
    with aws_errors(f"restoring the items of the table {table}"):
        for start in range(0, len(puts), _BATCH_ITEMS):
            batch = puts[start : start + _BATCH_ITEMS]
            aws.dynamodb.batch_write_item(RequestItems={table: batch})  # moto processes all of it
