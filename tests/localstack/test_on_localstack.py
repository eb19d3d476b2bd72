"""The whole flow on LocalStack with its own Firehose (story.py): each promise, looked at once all is over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import gias_links
import outages
import pytest
import story
from babelfish import close_kept
from mssql_server import VARIABLE, new_database, url_of
from story import Story

from headwater.exit_codes import DONE, FINDINGS
from schemas.event import decode_event
from schemas.log.frames import check_frame

pytestmark = pytest.mark.timeout(1_500)  # minutes of work, on a machine that may be busy

BUCKETS = 256  # a full file makes one sweep of each


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


@pytest.fixture
def links(shared_data: Path) -> dict[tuple[object, ...], tuple[object, ...]]:
    """What the last file says, by key."""
    return gias_links.rows_of(shared_data / "gias_links" / gias_links.FILES[-1])


def test_the_consumer_was_killed_half_way_and_went_on(played: Story) -> None:
    assert played.behind, "nothing was done yet: nothing was proved"
    assert played.behind != played.missed, "nothing was left to do: nothing was proved"


def test_inv2_the_tables_are_what_the_sources_say(
    played: Story, links: dict[tuple[object, ...], tuple[object, ...]]
) -> None:
    assert gias_links.seen(played.tables["school_link"].rows) == links
    assert outages.live(played.tables["outage"].rows) == outages.rows_of(played.fold.on)


def test_readers_of_the_views_see_exactly_these_rows(
    played: Story, links: dict[tuple[object, ...], tuple[object, ...]]
) -> None:
    seen = [
        (row["urn"], row["link_urn"], row["link_name"], row["link_type"], row["established_on"])
        for row in played.tables["school_link"].view
    ]
    assert sorted(seen, key=repr) == sorted(
        ((*row[:4], str(row[4]) if row[4] else None) for row in links.values()), key=repr
    )
    shown = {row["outage_key"]: (row["city"], row["est_customers"]) for row in played.tables["outage"].view}
    assert len(shown) == len(played.tables["outage"].view)
    assert shown == {key: (new["CITY"], new["EST_CUSTOMERS"]) for key, new in played.fold.on.items()}


def test_inv4_the_dead_letters_are_the_poison_item_and_the_bad_file_each_once(played: Story) -> None:
    assert played.drained.code == FINDINGS
    assert [(letter["stage"], letter["cause"], letter["reason"]) for letter in played.letters] == [
        ("csv", "data", "the column LinkType is missing"),
        ("dynamodb", "data", "field est_customers: takes an attribute of type N, got S"),
    ]
    assert played.status["dead_letters"] == len(played.letters)


def test_the_bad_file_is_rejected_whole_and_says_why(played: Story) -> None:
    assert (played.status["rejects"]["rows"], played.status["rejects"]["files"]) == (0, 1)
    (reason,) = [body for key, body in played.rejected.items() if key.endswith(".reason.json")]
    assert b"the column LinkType is missing" in reason
    (whole,) = [body for key, body in played.rejected.items() if not key.endswith(".reason.json")]
    assert whole.startswith(b"URN,LinkURN,LinkName,LinkEstablishedDate\n")


def test_every_shard_was_read_to_its_end_the_split_one_and_its_children_too(played: Story) -> None:
    assert len(played.shards_before) == 2
    assert len(played.records) == 4
    assert all(played.records.values()), "a shard got nothing: nothing was proved"
    last = {shard: records[-1].sequence for shard, records in played.records.items()}
    assert played.status["checkpoints"] == last


def test_inv1_inv5_firehose_delivered_to_s3_exactly_the_events_that_kinesis_accepted(
    played: Story, shared_data: Path
) -> None:
    accepted = {frame for records in played.records.values() for frame in story.frames(records)}
    assert all(key.startswith("log/") for key in played.log_keys)
    assert all(isinstance(frame, bytes) and check_frame(frame) is None for frame in played.log_frames)
    delivered = {*played.log_frames}
    lacking = [
        (shard, place)
        for shard, records in played.records.items()
        for place, record in enumerate(records)
        if not delivered.issuperset(story.frames([record]))
    ]
    assert lacking == []
    assert delivered == accepted

    files = [gias_links.rows_of(shared_data / "gias_links" / name) for name in gias_links.FILES]
    told = story.CHANGES + sum(len(file) + BUCKETS for file in files)
    assert len(accepted) == told  # what was read twice made the same bytes
    assert len({decode_event(frame).event_id for frame in accepted}) == told


@pytest.mark.parametrize("entity", story.ENTITIES)
def test_inv3_compared_with_the_log_and_rebuilt_from_it_no_row_differs(played: Story, entity: str) -> None:
    table = played.tables[entity]
    assert (table.rebuilt["swapped"], table.rebuilt["differences"]) == (True, [])
    assert table.rebuilt["revision"] == 2
    assert table.rows_after == table.rows
    assert table.compared.code == DONE, table.compared
