"""Folders that a run writes to are looked at before anything is done."""

from pathlib import Path

import pytest

from vlmake.errors import VlmakeError
from vlmake.runs.work_dir import check_folders


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_not_there_yet_can_be_made(tmp_path: Path) -> None:
    check_folders(tmp_path / "some" / "where", ["results/M", "data/D"])
    assert not (tmp_path / "some").exists()


@pytest.mark.parametrize("place", ["", "results", "results/M", "results/M/D", "data/D"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, place: str) -> None:
    file = tmp_path / "work" / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    with pytest.raises(VlmakeError, match=f"{file} is a file where a folder should be"):
        check_folders(tmp_path / "work", ["results/M", "results/M/D", "data", "data/D"])


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, cache: Path) -> None:
    cache.touch()
    with pytest.raises(VlmakeError, match="set XDG_CACHE_HOME to a folder"):
        check_folders(tmp_path)
