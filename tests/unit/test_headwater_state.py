"""What a state folder is checked for before anything starts."""

from __future__ import annotations

import shutil
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import pytest

from headwater.embedded.state import StateFolder, scratch
from headwater.polling.shard_places import Places
from schemas.errors import ConfigurationError, TransientError

Usage = namedtuple("Usage", "total used free")


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, size))


def test_a_new_state_has_no_origin_and_the_next_one_says_how_it_ended(tmp_path: Path) -> None:
    with closing(StateFolder(tmp_path / "s")) as new:
        assert new.origin is None
        new.stopped()
    with closing(StateFolder(tmp_path / "s")) as stopped:
        assert "clean stop of 2" in (stopped.origin or "")
    with closing(StateFolder(tmp_path / "s")) as killed:
        assert "did not stop cleanly" in (killed.origin or "")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mine.txt", "holds no state.json, but mine.txt"),
        ("headwater-state.zip", "older version of Headwater"),
    ],
)
def test_a_folder_of_something_else_is_refused_and_stays_as_it_is(
    tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(ConfigurationError, match=says):
        StateFolder(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_place_that_is_no_folder_or_can_not_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place, says in [(tmp_path / "file", "is not a folder"), (Path("/proc/state"), "can't be used")]:
        with pytest.raises(ConfigurationError, match=says):
            StateFolder(place)


def test_a_state_of_another_moto_or_region_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StateFolder(tmp_path / "s").close()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    with pytest.raises(ConfigurationError, match="with region eu-west-1, but this is region us-west-2"):
        StateFolder(tmp_path / "s")


def test_a_full_disk_is_refused_at_the_start_and_found_while_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(StateFolder(tmp_path / "s")) as state:
        state.check()
        free(monkeypatch, 1_000_000)
        with pytest.raises(TransientError, match="976 KiB left"):
            state.check()
    with pytest.raises(ConfigurationError, match="has only 976 KiB left on its disk, and needs 65536"):
        StateFolder(tmp_path / "t")


def test_a_temporary_folder_in_use_stays_and_an_abandoned_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned, foreign = tmp_path / "headwater-old", tmp_path / "headwater-other"
    for folder in (abandoned, foreign):
        folder.mkdir()
    (abandoned / "lock").touch()
    with scratch() as first, scratch() as second:
        assert first.exists()
        assert second.exists()
        assert not abandoned.exists()
        assert foreign.exists()
    assert [folder.name for folder in tmp_path.iterdir()] == ["headwater-other"]


def test_places_are_there_again(tmp_path: Path) -> None:
    places = Places(tmp_path / "places.json")
    places.took({"a": "1", "b": "2"})
    places.took({"a": "3"})
    assert Places(tmp_path / "places.json").all() == {"a": "3", "b": "2"}
