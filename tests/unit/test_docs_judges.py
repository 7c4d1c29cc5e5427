"""docs/judges.md: every entry of the page loads, and the shipped judges are those that benchmarks name."""

import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from vlmake.judges.registry import judging_of
from vlmake.registry.loading import load_registry, registry_folders

PAGE = (REPOSITORY / "docs" / "judges.md").read_text(encoding="utf-8")
README = (REPOSITORY / "config" / "README.md").read_text(encoding="utf-8")
BLOCKS = [
    block
    for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE + README, re.MULTILINE | re.DOTALL)
    if "judges:" in block
]


@pytest.mark.parametrize("block", BLOCKS)
def test_an_entry_can_be_copied(tmp_path: Path, block: str) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "judges.yaml").write_text(block, encoding="utf-8")
    registry = load_registry(registry_folders(current=tmp_path))
    assert set(yaml.safe_load(block)["judges"]) <= registry.judges.keys()


def test_there_are_entries_to_copy() -> None:
    assert len(BLOCKS) == 2


def test_every_benchmarks_own_judge_is_registered() -> None:
    registry = load_registry(registry_folders())
    for name, entry in registry.datasets.items():
        if entry.judge and entry.metric and judging_of(entry.metric):
            assert registry.resolve_judge(entry.judge), name
