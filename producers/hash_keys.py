"""The secret key of hashed fields: how it is read, and checks against its misuse.

| variable | |
|---|---|
| HEADWATER_HASH_SECRET | name of a secret of AWS Secrets Manager, JSON: {"id": "2026-01", "key": "..."} |
| HEADWATER_HASH_KEY | the key itself instead, on a machine of one's own |
| HEADWATER_HASH_KEY_ID | its id; goes with HEADWATER_HASH_KEY |

The key is text of at least 32 bytes in UTF-8, such as the output of `openssl rand -hex 32`. It is never
logged (INV-7).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from schemas.aws_errors import aws_errors, is_missing
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, ConflictError, TransientError
from schemas.privacy import HashKey, Privacy, hasher
from schemas.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SECRET = "HEADWATER_HASH_SECRET"
KEY = "HEADWATER_HASH_KEY"
KEY_ID = "HEADWATER_HASH_KEY_ID"
FOLDER = "hash-keys/"
"""Prefix in the source bucket: ids/<key id>, and rows/<entity> for entities with a hashed key field."""


def secret_reader(client: Callable[[str], Any]) -> Callable[[str], str]:
    """A function from the name of a secret of AWS Secrets Manager to its text.

    It raises ConfigurationError and TransientError. `client` creates the client, once a secret is read.
    """

    def read(name: str) -> str:
        with aws_errors(f"GetSecretValue of {name}"):
            answer = client("secretsmanager").get_secret_value(SecretId=name)
        return str(answer.get("SecretString", ""))

    return read


def read_hash_key(settings: Settings, catalog: Catalog, secret: Callable[[str], str]) -> HashKey | None:
    """The key that the settings name; None where no field is hashed.

    Raises ConfigurationError for a missing or unusable key, and what `secret` raises.
    """
    hashed = _hashed(catalog)
    if not hashed:
        return None
    name, key, key_id = settings.hash_secret, settings.hash_key, settings.hash_key_id
    if bool(name) == bool(key):
        state = f"both {SECRET} and {KEY} are" if name else f"neither {SECRET} nor {KEY} is"
        raise ConfigurationError(f"{hashed[0]} is hashed, and {state} set: set one of the two")
    if name:
        return _from_secret(name, secret(name))
    if not key or not key_id:
        raise ConfigurationError(f"{KEY_ID} is not set: give {KEY} a name, such as the month that it is from")
    # The environment may hold bytes that are no UTF-8; Python decodes them to surrogates, which go back here.
    return HashKey(key_id, key.encode(errors="surrogateescape"))


def _hashed(catalog: Catalog) -> list[str]:
    """Return the hashed fields as an error message names them."""
    return [
        f"field {field.name} of {entity.name}"
        for entity in catalog.entities.values()
        for field in entity.schema.fields
        if field.private is Privacy.HASH
    ]


def _from_secret(name: str, text: str) -> HashKey:
    try:
        parsed = json.loads(text)
        key_id, key = parsed["id"], parsed["key"]
        if not isinstance(key_id, str) or not isinstance(key, str):
            raise TypeError
        secret = key.encode()
    except (ValueError, LookupError, TypeError):
        # Not raised from here: a traceback would show the text of this error, which quotes the secret.
        pass
    else:
        return HashKey(key_id, secret)
    raise ConfigurationError(f'the secret {name} is not JSON text of the form {{"id": "...", "key": "..."}}')


def check_use(s3: S3Client, bucket: str, key: HashKey, catalog: Catalog) -> None:
    """Record in the source bucket that the key is used.

    Raises TransientError. Raises ConfigurationError for

    - another key under an id that was used before: equal values would no longer have equal hashes;
    - another id where a row's key is hashed: every row would appear again, under its new key.
    """
    # A hash of a fixed text identifies the key without revealing anything about it.
    mark = hasher(key.id, key.secret)("headwater")
    if _first(s3, bucket, f"{FOLDER}ids/{key.id}", mark) != mark:
        raise ConfigurationError(
            f"hash key {key.id}: another key was used under this id before: give the new key an id of its own"
        )
    for entity in catalog.entities.values():
        if any(field.private is Privacy.HASH for field in entity.key_fields):
            name = f"{FOLDER}rows/{entity.name}"
            first_id = _first(s3, bucket, name, key.id)
            if first_id != key.id:
                raise ConfigurationError(
                    f"hash key {key.id}: the rows of {entity.name} are known by keys that {first_id} hashed, "
                    f"and would all appear twice. Use {first_id}; or publish all rows again as described in "
                    f'docs/private-fields.md under "A new hash key", and delete s3://{bucket}/{name}'
                )


def _first(s3: S3Client, bucket: str, key: str, text: str) -> str:
    """Store the text unless the object exists, and return what the object holds."""
    # If-None-Match makes it atomic: of two processes with different keys, one reads the other's mark.
    try:
        with aws_errors(f"PutObject of {key} to the bucket {bucket}"):
            s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), IfNoneMatch="*")
    except ConflictError:
        return _read(s3, bucket, key)
    return text


def _read(s3: S3Client, bucket: str, key: str) -> str:
    try:
        with aws_errors(f"GetObject of {key} in the bucket {bucket}"):
            return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode(errors="replace")
    except ClientError as error:
        if not is_missing(error):
            raise
        raise TransientError(f"{key} is being written by another process") from error
