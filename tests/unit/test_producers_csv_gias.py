"""The real files of the schools register: every row becomes an event, and says what the file says."""

import csv
import io
from pathlib import Path

import pytest
from csv_world import World, entity

from schemas.entity import Mode

FIELDS = [
    {"name": "urn", "type": "int", "from": "URN"},
    {"name": "link_urn", "type": "int", "from": "LinkURN"},
    {"name": "link_name", "type": "string", "from": "LinkName", "maxLength": 200},
    {"name": "link_type", "type": "string", "from": "LinkType", "maxLength": 100},
    {
        "name": "established_on",
        "type": ["null", {"type": "int", "logicalType": "date"}],
        "default": None,
        "from": "LinkEstablishedDate",
        "format": "%d-%m-%Y",
    },
]


@pytest.mark.parametrize("name", ["links_20230421.csv", "links_20240129.csv", "links_20250422.csv"])
def test_every_row_of_the_real_files_converts_exactly(shared_data: Path, name: str) -> None:
    body = (shared_data / "gias_links" / name).read_bytes()
    world = World(
        entity(
            FIELDS,
            ("urn", "link_urn", "link_type"),
            mode=Mode.SNAPSHOT,
            encoding="cp1252",
            effective="links_%Y%m%d.csv",
        )
    )
    world.drop(body, f"drop/links/{name}")
    found = [
        [
            str(row["urn"]),
            str(row["link_urn"]),
            row["link_name"],
            row["link_type"],
            f"{row['established_on']:%d-%m-%Y}" if row["established_on"] else "",
        ]
        for row in world.values()
    ]
    _, *expected = csv.reader(io.StringIO(body.decode("cp1252"), newline=""))
    assert found == expected
    assert len(world.sweeps()) == 256
    assert world.reasons() == []
