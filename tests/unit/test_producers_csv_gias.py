"""The real files of the schools register: every row becomes an event, and says what the file says."""

import csv
import io
from pathlib import Path

import pytest
from csv_world import MORNING, entity, source_of

from producers.csv.rows import RowReader
from producers.csv.text import TextRows
from producers.csv.uploads import Drop, Upload
from schemas.sources.csv import Mode

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


LINKS = entity(
    FIELDS,
    ("urn", "link_urn", "link_type"),
    mode=Mode.SNAPSHOT,
    encoding="cp1252",
    effective="links_%Y%m%d.csv",
)


@pytest.mark.parametrize("name", ["links_20230421.csv", "links_20240129.csv", "links_20250422.csv"])
def test_every_row_of_the_real_files_converts_exactly(shared_data: Path, name: str) -> None:
    body = (shared_data / "gias_links" / name).read_bytes()
    source = source_of(LINKS)
    sheet = Drop(source, name, Upload(f"drop/links/{name}", "v", "e", MORNING))
    texts = iter(TextRows([body], sheet.encoding, sheet.delimiter))
    reader = RowReader(LINKS, source, sheet, sheet.columns(texts))
    found = []
    for row in sheet.placed(texts):
        values = LINKS.schema.decode(reader.event(row).after or b"")
        day = values["established_on"]
        found.append([*map(str, list(values.values())[:4]), f"{day:%d-%m-%Y}" if day else ""])
    _, *expected = csv.reader(io.StringIO(body.decode("cp1252"), newline=""))
    assert found == expected
