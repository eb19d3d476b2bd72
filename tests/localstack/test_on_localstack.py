"""The whole flow on LocalStack, with its own Firehose: two sources, a kill, a split, and all is told right."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gias_links
import outages
import pytest
import story
from babelfish import close_kept
from headwater_up import Done
from mssql_server import VARIABLE, new_database, url_of
from story import Story

from headwater.exit_codes import DONE, FINDINGS
from schemas.event import decode_event

pytestmark = pytest.mark.timeout(1_500)  # minutes of work, on a machine that may be busy

BUCKETS = 256  # of a sweep: one event each
LINES = 162  # "the column LinkType is missing" and so on


@pytest.fixture(scope="module", params=["sqlite", *(["mssql"] if os.environ.get(VARIABLE) else [])])
def warehouse_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('warehouse') / 'warehouse.db'}"
        return
    with new_database() as name:
        yield url_of(name)
        close_kept()


@pytest.fixture(scope="module")
def played(
    localstack: str, shared_data: Path, warehouse_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    with story.made(localstack, tmp_path_factory.mktemp("home"), warehouse_url) as place:
        yield story.play(place, shared_data, tmp_path_factory.mktemp("files"))


def test_it_was_killed_half_way(played: Story) -> None:
    assert played.behind
    assert played.behind != played.missed


def test_the_tables_are_what_the_sources_say(played: Story, shared_data: Path) -> None:
    last_file = shared_data / "gias_links" / gias_links.FILES[-1]
    assert gias_links.seen(played.tables["school_link"].rows) == gias_links.rows_of(last_file)
    assert outages.live(played.tables["outage"].rows) == outages.rows_of(played.fold.on)
