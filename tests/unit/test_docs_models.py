"""docs/models.md: every entry of the page loads, and every command names a model that is there."""

import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from vlmake.registry.loading import Registry, load_registry, registry_folders
from vlmake.registry.model_entries import EndpointEntry, ModelEntry, ServedEntry, ServerEntry

PAGE = (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def with_shipped(folder: Path, *blocks: str) -> Registry:
    """The shipped registry and over it what a user copied, each block into a file of its own."""
    models = folder / "config" / "models"
    models.mkdir(parents=True)
    for number, block in enumerate(blocks):
        (models / f"mine{number}.yaml").write_text(block, encoding="utf-8")
    return load_registry(registry_folders(current=folder))


def names(block: str) -> list[str]:
    found: list[str] = list(yaml.safe_load(block)["models"])
    return found


def copied(folder: Path) -> dict[str, ModelEntry]:
    registry = with_shipped(folder, *BLOCKS)
    return {name: registry.model(name) for block in BLOCKS for name in names(block)}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: names(block)[0])
def test_an_entry_can_be_copied(tmp_path: Path, block: str) -> None:
    registry = with_shipped(tmp_path, block)
    assert all(name in registry.models for name in names(block))


def test_the_page_shows_every_way(tmp_path: Path) -> None:
    entries = copied(tmp_path)
    assert {entry.backend for entry in entries.values()} == {"transformers", "server", "endpoint", "plugin", "replay"}
    engines = {entry.command.split()[0] for entry in entries.values() if isinstance(entry, ServerEntry)}
    assert engines == {"vllm", "lmdeploy", "swift", "python", "transformers"}
    assert all("{port}" in entry.command for entry in entries.values() if isinstance(entry, ServerEntry))


def test_a_copied_entry_means_what_the_page_says_of_it(tmp_path: Path) -> None:
    entries = copied(tmp_path)
    remote, low = entries["Qwen-remote"], entries["GPT4o_MINI-low"]
    assert isinstance(remote, EndpointEntry)
    assert (remote.max_new_tokens, remote.nproc, remote.revision) == (1024, 64, "3 November")
    assert isinstance(low, EndpointEntry)
    assert (low.served_model, low.img_size, low.img_detail, low.max_cost) == ("gpt-4o-mini-2024-07-18", 512, "low", 5)


def test_commands_name_models_of_the_page_or_of_the_registry(tmp_path: Path) -> None:
    registry = with_shipped(tmp_path, *BLOCKS)
    commands = re.findall(r"^    (?:\w+=\S+ )?vlmake run (.*)$", PAGE, re.MULTILINE)
    assert len(commands) >= 7
    for command in commands:
        words = command.split()
        start, stop = words.index("--model") + 1, words.index("--data")
        for model in words[start:stop]:
            registry.resolve_model(model)
        for dataset in words[stop + 1 :]:
            if dataset.startswith("--"):
                break
            registry.resolve_dataset(dataset)


def test_defaults_are_those_of_the_code() -> None:
    told = re.findall(r"^\|[^|]*\|[^|]*`(\w+)` \(([-\d.]+)\) \|", PAGE, re.MULTILINE)
    assert len(told) >= 6
    for key, default in told:
        assert float(default) == ServedEntry.model_fields[key].default, key


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        file, _, heading = target.partition("#")
        text = (REPOSITORY / "docs" / file).read_text(encoding="utf-8") if file else PAGE
        headings = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        assert not heading or heading in headings, target
