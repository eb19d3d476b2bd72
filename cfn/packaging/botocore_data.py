"""The data files of botocore, reduced to what a package reads: parsing them takes long at a cold start."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

_DATA = ("botocore", "data")
_ENDPOINTS, _MODEL = "endpoints.json", "service-2.json.gz"


def endpoint_prefixes(archive: zipfile.ZipFile, services: Iterable[str]) -> frozenset[str]:
    """Return the names that these services have in endpoints.json, such as `monitoring` for cloudwatch."""
    return frozenset(_prefixes(archive, frozenset(services)))


def reduced(path: PurePosixPath, content: bytes, prefixes: frozenset[str]) -> bytes:
    """Return the content of a file of botocore without what a package with these endpoints never reads.

    Of endpoints.json all partitions and regions stay, with the services called. Models of services lose their
    documentation, from which botocore writes docstrings.
    """
    if path.parts[:2] != _DATA:
        return content
    if path.parts[2:] == (_ENDPOINTS,):
        return _json(_with_services(json.loads(content), prefixes))
    if path.name == _MODEL:
        return gzip.compress(_json(_undocumented(json.loads(gzip.decompress(content)))), mtime=0)
    return content


def _prefixes(archive: zipfile.ZipFile, services: frozenset[str]) -> Iterator[str]:
    for name in archive.namelist():
        path = PurePosixPath(name)
        if path.parts[:2] == _DATA and path.name == _MODEL and path.parts[2] in services:
            yield json.loads(gzip.decompress(archive.read(name)))["metadata"]["endpointPrefix"]


def _with_services(endpoints: dict[str, Any], prefixes: frozenset[str]) -> dict[str, Any]:
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: service for name, service in partition["services"].items() if name in prefixes
        }
    return endpoints


def _undocumented(node: Any) -> Any:
    """Return a model without its texts of documentation. A member may have that name: it is no text."""
    if isinstance(node, list):
        return [_undocumented(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        # Empty, not missing: botocore reads the texts of some members, such as S3's client parameters.
        name: "" if name == "documentation" and isinstance(value, str) else _undocumented(value)
        for name, value in node.items()
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
