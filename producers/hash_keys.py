"""The key of hashed fields: where it comes from, and what must not happen with it.

| variable | |
|---|---|
| HEADWATER_HASH_SECRET | name of a secret of AWS Secrets Manager, JSON: {"id": "2026-01", "key": "..."} |
| HEADWATER_HASH_KEY | the key itself instead, on a machine of one's own |
| HEADWATER_HASH_KEY_ID | its id; goes with HEADWATER_HASH_KEY |

The key is text, of at least 32 bytes in UTF-8: `openssl rand -hex 32` makes one. Nothing tells it (INV-7).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from schemas.aws_errors import aws_errors, is_missing
from schemas.catalog.entity import Catalog
from schemas.errors import ConfigurationError, ConflictError, TransientError
from schemas.privacy import HashKey, Privacy, hasher

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SECRET = "HEADWATER_HASH_SECRET"
KEY = "HEADWATER_HASH_KEY"
KEY_ID = "HEADWATER_HASH_KEY_ID"
FOLDER = "hash-keys/"
"""In the source bucket: ids/<key id>, and rows/<entity> for each entity that has a hashed key field."""


def read_secret(name: str) -> str:
    """The text of a secret of AWS Secrets Manager. Raises ConfigurationError, TransientError."""
    with aws_errors(f"GetSecretValue of {name}"):
        answer = boto3.client("secretsmanager").get_secret_value(SecretId=name)
    return str(answer.get("SecretString", ""))


def read_hash_key(
    environ: Mapping[str, str], catalog: Catalog, secret: Callable[[str], str] = read_secret
) -> HashKey | None:
    """The key that the environment names; None where no field is hashed: then nobody looks for one.

    An empty variable counts as absent. Raises ConfigurationError for a key that is not there or no good, and
    what `secret` raises.
    """
    hashed = _hashed(catalog)
    if not hashed:
        return None
    name, key, key_id = (environ.get(variable, "") for variable in (SECRET, KEY, KEY_ID))
    if bool(name) == bool(key):
        found = f"both {SECRET} and {KEY} are" if name else f"neither {SECRET} nor {KEY} is"
        raise ConfigurationError(f"{hashed[0]} is hashed, and {found} set: set one of the two")
    if name:
        return _from_secret(name, secret(name))
    if not key_id:
        raise ConfigurationError(f"{KEY_ID} is not set: give {KEY} a name, such as the month that it is from")
    return HashKey(key_id, key.encode(errors="surrogateescape"))


def _hashed(catalog: Catalog) -> list[str]:
    """The hashed fields, as they are named in sentences."""
    return [
        f"field {field.name} of {entity.name}"
        for entity in catalog.entities.values()
        for field in entity.schema.fields
        if field.private is Privacy.HASH
    ]


def _from_secret(name: str, text: str) -> HashKey:
    try:
        found = json.loads(text)
        key_id, key = found["id"], found["key"]
        if not isinstance(key_id, str) or not isinstance(key, str):
            raise TypeError
        secret = key.encode()
    except (ValueError, LookupError, TypeError):  # whose text holds what it read
        pass
    else:
        return HashKey(key_id, secret)
    raise ConfigurationError(f'the secret {name} is not JSON text of the form {{"id": "...", "key": "..."}}')


# What must not happen


def check_use(s3: S3Client, bucket: str, key: HashKey, catalog: Catalog) -> None:
    """Records in the source bucket that the key is used. Raises TransientError, and ConfigurationError:

    - for another key under an id that was used: equal values would no longer have equal hashes
    - for another id where a key of rows is hashed: each row would come again, beside the one it was
    """
    mark = hasher(key.id, key.secret)("headwater")  # tells nothing about the key
    if _first(s3, bucket, f"{FOLDER}ids/{key.id}", mark) != mark:
        raise ConfigurationError(
            f"hash key {key.id}: another key was used under this id before: give the new key an id of its own"
        )
    for entity in catalog.entities.values():
        if any(field.private is Privacy.HASH for field in entity.key_fields):
            place = f"{FOLDER}rows/{entity.name}"
            so_far = _first(s3, bucket, place, key.id)
            if so_far != key.id:
                raise ConfigurationError(
                    f"hash key {key.id}: the rows of {entity.name} are known by keys that {so_far} hashed: "
                    f"each would come again, beside the one it was. Use {so_far}; or make all rows again as "
                    f'docs/private-fields.md says under "A new hash key", and delete s3://{bucket}/{place}'
                )


def _first(s3: S3Client, bucket: str, key: str, text: str) -> str:
    """What was put there first: this text, or what is there already."""
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
        raise TransientError(f"{key} is being written by somebody else") from error
