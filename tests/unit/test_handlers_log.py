"""What the handlers' libraries log, whatever level the root logger is given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consumers.handler import build as consumer
from consumers.warehouse.engines import open_warehouse
from producers.wiring import wire as producer
from schemas.catalog.loader import load_catalog
from schemas.settings import Settings, read_settings


@pytest.fixture
def botocore_at_debug(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """As a Lambda's log level DEBUG makes it: the root's, and botocore has none of its own."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    root, botocore = logging.getLogger(), logging.getLogger("botocore")
    before = root.level, botocore.level
    root.setLevel(logging.DEBUG)
    botocore.setLevel(logging.NOTSET)
    yield botocore
    root.setLevel(before[0])
    botocore.setLevel(before[1])


@pytest.mark.parametrize("build", [producer, consumer])
def test_inv7_a_handler_never_logs_bodies_of_requests(
    build: Callable[[Settings], object], botocore_at_debug: logging.Logger, tmp_path: Path
) -> None:
    assert botocore_at_debug.isEnabledFor(logging.DEBUG)
    url = f"sqlite:///{tmp_path / 'w.db'}"
    open_warehouse(url, load_catalog().entities.values()).ensure()
    build(read_settings({"HEADWATER_WAREHOUSE": url}))
    assert not botocore_at_debug.isEnabledFor(logging.DEBUG)
    assert botocore_at_debug.isEnabledFor(logging.WARNING)
