"""Whatever stands in the files of an entity, loading gives an entity or a ConfigurationError."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.catalog.loader import SAMPLE_ENTITIES, load_entity
from schemas.errors import ConfigurationError
from schemas.payload.avsc import ADDED_PROPERTIES
from schemas.payload.codec import make_schema
from schemas.sources.kinds import read_source

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["*", "%Y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
SAMPLES = sorted(folder.name for folder in SAMPLE_ENTITIES.iterdir())
RECORDS = {name: json.loads((SAMPLE_ENTITIES / name / "v1.avsc").read_text()) for name in SAMPLES}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in inside:
        yield from places(inner, (*path, name))


def with_junk(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    name, *rest = path
    changed = value.copy()
    changed[name] = with_junk(value[name], tuple(rest), junk)
    return changed


@given(st.sampled_from(SAMPLES), st.data())
def test_junk_anywhere_in_a_schema_is_refused_or_harmless(name: str, drawn: st.DataObject) -> None:
    avro = RECORDS[name]
    path = drawn.draw(st.sampled_from([path for path in places(avro) if path]))
    try:
        made = make_schema(name, 1, [], with_junk(avro, path, drawn.draw(JUNK)))
    except ConfigurationError:
        return
    assert len(made.fields) == len(avro["fields"])
    assert set(ADDED_PROPERTIES) <= made.avro.keys()


SOURCES = [
    {
        "csv": "school",
        "mode": "snapshot",
        "encoding": "cp1252",
        "delimiter": ";",
        "header": ["URN", "EstablishmentName", "Open"],
        "effective": "%Y%m%d.csv",
        "trim": True,
        "min_rows": 5,
        "max_deleted": 0.5,
        "reject_limit": 0.5,
    },
    {"dynamodb": "schools", "alias": "old", "where": {"kind": "SCHOOL#*"}, "table_key": ["URN"]},
]


@given(st.sampled_from(SOURCES), st.data())
def test_junk_anywhere_in_a_source_is_refused_or_harmless(
    source: dict[str, Any], drawn: st.DataObject
) -> None:
    schema = make_schema("school", 1, ["urn"], RECORDS["school"])
    path = drawn.draw(st.sampled_from([path for path in places(source) if path]))
    with suppress(ConfigurationError):
        read_source(1, with_junk(source, path, drawn.draw(JUNK)), schema)


@given(
    st.binary(max_size=30) | st.text(max_size=30).map(str.encode), st.sampled_from(["entity.toml", "v1.avsc"])
)
@example(b"[" * 100_000, "v1.avsc")
@example(b"key = " + b"[" * 100_000, "entity.toml")
@example(b"key = " + b"9" * 5_000, "entity.toml")
@example(b'{"type": ' + b"9" * 5_000, "v1.avsc")
def test_any_bytes_as_a_file_are_refused(written: bytes, file: str) -> None:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "school"
        folder.mkdir()
        for name in ("entity.toml", "v1.avsc"):
            content = (SAMPLE_ENTITIES / "school" / name).read_bytes()
            (folder / name).write_bytes(written if name == file else content)
        with pytest.raises(ConfigurationError):
            load_entity(folder)
