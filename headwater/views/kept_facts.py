"""A cache in S3 of facts read from the objects of a bucket, so that each object is read once.

The cache is never authoritative: if it is missing, unreadable or in another format, the facts are read from
the objects again. It contains keys, sizes and counts, and no field values (INV-7).
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headwater.aws import Aws
from schemas.aws_errors import aws_errors, is_missing
from schemas.errors import HeadwaterError
from schemas.s3_objects import StoredObject, read_object

_log = logging.getLogger(__name__)

PREFIX = "summaries/"
_FORM = 1
_READERS = 16
"""Objects read at once, where none is known yet. boto3's clients may be shared by threads."""

KeptFact = Any
"""What JSON can hold."""


def load(aws: Aws, bucket: str, name: str) -> KeptFact | None:
    """Return the fact last saved under `name`, or None if there is none in the present format."""
    try:
        with aws_errors(f"reading s3://{bucket}/{_key(name)}"):
            kept = json.loads(gzip.decompress(read_object(aws.s3, bucket, _key(name))))
        return kept["kept"] if kept["form"] == _FORM else None
    except (OSError, EOFError, ValueError, LookupError, TypeError, HeadwaterError) as error:
        _log.debug("%s is not used: %s", _key(name), type(error).__name__)
    except Exception as error:
        if not is_missing(error):
            raise
    return None


def save(aws: Aws, bucket: str, name: str, fact: KeptFact) -> None:
    """Save a fact. If the bucket can't be written to, nothing is cached and no error is raised."""
    body = gzip.compress(json.dumps({"form": _FORM, "kept": fact}).encode(), mtime=0)
    try:
        with aws_errors(f"PutObject of s3://{bucket}/{_key(name)}"):
            aws.s3.put_object(Bucket=bucket, Key=_key(name), Body=body)
    except HeadwaterError as error:
        _log.debug("not cached: %s", error)


def facts_of(
    aws: Aws,
    bucket: str,
    name: str,
    objects: Iterable[StoredObject],
    read: Callable[[StoredObject], KeptFact],
) -> Mapping[str, KeptFact]:
    """Return the fact of each object by key: from the cache, or from `read` if the object is new.

    An object whose size has changed is read again. `read` is called in several threads at once; its
    exceptions are propagated.
    """
    kept = load(aws, bucket, name)
    known = kept if isinstance(kept, dict) else {}
    listed = list(objects)
    new = [item for item in listed if known.get(item.key, [None])[0] != item.size]
    with ThreadPoolExecutor(_READERS) as pool:
        fresh = dict(zip((item.key for item in new), pool.map(read, new), strict=True))
    facts = {item.key: fresh[item.key] if item.key in fresh else known[item.key][1] for item in listed}
    # Also saved when objects were removed, so that the cache does not grow without bound.
    if new or len(known) != len(facts):
        save(aws, bucket, name, {item.key: [item.size, facts[item.key]] for item in listed})
    return facts


def _key(name: str) -> str:
    return f"{PREFIX}{name}.json.gz"
