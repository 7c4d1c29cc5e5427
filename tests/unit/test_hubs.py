"""Snapshots from a real HTTP server that speaks the hub's API, and from prepared cache folders."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, TINY_VLM
from tests.hub_server import HubServer, files_of
from vlmake.data import hubs
from vlmake.errors import VlmakeError

NAME = "shapes/tiny-vlm"
FETCH = """
import resource, sys
from pathlib import Path
from vlmake.data import hubs
from vlmake.errors import VlmakeError
hub, limit, *asked = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
for name, revision in zip(asked[::2], asked[1::2]):
    try:
        print(hubs.fetch(hub, name, revision).model_dump_json())
    except VlmakeError as error:
        print(error)
"""


PREPARE = """
import sys
from pathlib import Path
from vlmake.models import checkpoints
from vlmake.registry.model_entries import TransformersEntry
name, adapter, cache = sys.argv[1:]
file = Path(cache) / "checkpoint.json"
if file.is_file():
    found = checkpoints.read(file, "X")
else:
    entry = TransformersEntry(repository=name, adapters=(adapter,))
    found = checkpoints.locate("X", entry, "hf", Path(cache))
    file.write_text(checkpoints.record(found))
print(found.model_dump_json())
"""


@dataclass
class Machine:
    """A home of its own; the hub's client reads its environment once, so every fetch is a process of its own."""

    home: Path
    endpoint: str

    def fetch(self, *asked: str, hub: str = "hf", limit: int = 0, **extra: str) -> list[str]:
        lines = self.run(FETCH, hub, str(limit), *asked, **extra)
        assert len(lines) == len(asked) // 2, lines
        return lines

    def run(self, program: str, *words: str, **extra: str) -> list[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "MODELSCOPE"))}
        environment = kept | {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "PYTHONPATH": str(REPOSITORY / "src"),
        }
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            env=environment | extra,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


def snapshot(line: str) -> hubs.Snapshot:
    return hubs.Snapshot.model_validate_json(line)


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


@pytest.fixture
def machine(server: HubServer, tmp_path: Path) -> Machine:
    return Machine(tmp_path, server.url)


TINY = files_of(TINY_VLM)
DUPLICATES = [
    "original/model.safetensors",
    "consolidated.00.pth",
    "consolidated.safetensors",
    "onnx/model.bin",
    "model.gguf",
    "flax_model.msgpack",
    "tf_model.h5",
    "pytorch_model.bin",
    "model.fp16.safetensors",
    "training_args.bin",
    "checkpoint-100/model.safetensors",
]


def test_only_safetensors_and_no_duplicate_is_downloaded_and_a_second_time_nothing(
    server: HubServer, machine: Machine
) -> None:
    commit = server.publish(NAME, TINY | dict.fromkeys([*DUPLICATES, "figure.png"], b"twice"))
    (line,) = machine.fetch(NAME, "main")
    found = snapshot(line)
    assert found.identity == f"hub:{NAME}@{commit}"
    assert (found.revision, found.folder.name) == (commit, commit)
    assert files_of(found.folder) == {name: content for name, content in TINY.items() if name != "README.md"}
    server.asked.clear()
    assert machine.fetch(NAME, "main", NAME, commit) == [line, line]
    assert server.downloaded() == []
    assert machine.fetch(NAME, "main", HF_HUB_OFFLINE="1") == [line]
    server.stop()
    assert machine.fetch(NAME, "main") == [line], "a hub that is gone leaves the cache"


def test_bin_weights_are_taken_where_there_are_no_others(server: HubServer, machine: Machine) -> None:
    files = {name: content for name, content in TINY.items() if not name.endswith(".safetensors")}
    server.publish(NAME, files | {"pytorch_model.bin": b"weights", "training_args.bin": b"none"})
    found = snapshot(machine.fetch(NAME, "main")[0])
    assert sorted(file.name for file in found.folder.glob("*.bin")) == ["pytorch_model.bin"]
    assert snapshot(machine.fetch(NAME, "main", HF_HUB_OFFLINE="1")[0]) == found


def test_a_torn_download_goes_on_where_it_broke_off(server: HubServer, machine: Machine) -> None:
    weights = bytes(range(256)) * 50_000
    server.publish(NAME, TINY | {"model.safetensors": weights})
    server.repositories[NAME].cut["model.safetensors"] = 11 << 20
    found = snapshot(machine.fetch(NAME, "main")[0])
    assert (found.folder / "model.safetensors").read_bytes() == weights
    ranges = [at for _, path, at in server.asked if path.endswith("model.safetensors") and at]
    assert ranges == [f"bytes={10 << 20}-"], "the client takes 10 MB at a time"


def test_what_cannot_be_had_is_said_in_one_line(server: HubServer, machine: Machine) -> None:
    for name in ("gated", "private", "hidden", "down", "files-gated"):
        server.publish(f"shapes/{name}", TINY)
    server.publish(NAME, TINY)
    server.repositories["shapes/gated"].refusal = (403, "GatedRepo")
    server.repositories["shapes/private"].refusal = (401, "")
    server.repositories["shapes/hidden"].refusal = (401, "RepoNotFound")
    server.repositories["shapes/down"].refusal = (500, "")
    server.repositories["shapes/files-gated"].file_refusal = (403, "GatedRepo")
    server.publish("shapes/empty", {"config.json": b"{}", "README.md": b"none"})
    asked = {
        ("shapes/gated", "main"): "shapes/gated is gated: accept its terms on 127.0.0.1, then log in",
        ("shapes/files-gated", "main"): "shapes/files-gated is gated: accept its terms on 127.0.0.1, then log in",
        ("shapes/private", "main"): "127.0.0.1 refuses shapes/private (401): log in",
        ("shapes/hidden", "main"): "there is no shapes/hidden on 127.0.0.1, or it is private",
        ("shapes/none", "main"): "there is no shapes/none on 127.0.0.1, or it is private",
        ("shapes/down", "main"): f"shapes/down@main is not in the hub cache {machine.home}/hf/hub and 127.0.0.1"
        " answered 500",
        (NAME, "v9"): f"{NAME} has no revision 'v9' on 127.0.0.1",
        ("no id/at all/x", "main"): "'no id/at all/x' is no repository id; it should be owner/name",
        ("shapes/empty", "main"): "a file of weights (*.safetensors or *.bin) is missing",
    }
    endpoint = server.url.replace("http://", "http://user:secret@")
    answers = machine.fetch(*(word for pair in asked for word in pair), HF_ENDPOINT=endpoint, HF_TOKEN="hf_secret")
    for expected, answer in zip(asked.values(), answers, strict=True):
        assert expected in answer
        assert "secret" not in answer


def test_not_cached_and_no_network(server: HubServer, machine: Machine) -> None:
    (answer,) = machine.fetch(NAME, "main", HF_HUB_OFFLINE="1")
    cache = machine.home / "hf" / "hub"
    assert f"{NAME}@main is not in the hub cache {cache} and HF_HUB_OFFLINE forbids to ask 127.0.0.1" in answer
    assert server.asked == []
    server.stop()
    (answer,) = machine.fetch(NAME, "main")
    assert f"{NAME}@main is not in the hub cache {cache} and 127.0.0.1 cannot be reached (ConnectError)" in answer


def test_a_full_disk_is_said_in_one_line(server: HubServer, machine: Machine) -> None:
    server.publish(NAME, TINY)
    (answer,) = machine.fetch(NAME, "main", limit=1_000_000)
    assert answer.startswith(f"cannot write {machine.home}/hf/hub: the disk took no more bytes")
    assert snapshot(machine.fetch(NAME, "main")[0]).folder.is_dir()


def test_a_cache_that_another_tool_left_unfinished_is_refused_offline(machine: Machine) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = machine.home / "hf" / "hub" / "models--shapes--tiny-vlm"
    folder = repository / "snapshots" / commit
    shutil.copytree(TINY_VLM, folder)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    (line,) = machine.fetch(NAME, "main", HF_HUB_OFFLINE="1")
    assert snapshot(line).identity == f"hub:{NAME}@{commit}"
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (answer,) = machine.fetch(NAME, "main", HF_HUB_OFFLINE="1")
    assert answer == (f"{folder} is only part of a checkpoint: model-00002-of-00002.safetensors is missing")


def test_a_cache_that_was_emptied_is_filled_again_at_the_pinned_commits(server: HubServer, machine: Machine) -> None:
    """The model and its adapter come back as they were recorded, though both branches have moved on."""
    adapter = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"lora"}
    commits = [server.publish(NAME, TINY), server.publish("shapes/lora", adapter, branch="v1")]
    (first,) = machine.run(PREPARE, NAME, "shapes/lora@v1", str(machine.home))
    located = json.loads(first)
    assert located["identity"] == f"hub:{NAME}@{commits[0]} + hub:shapes/lora@{commits[1]}"
    shutil.rmtree(machine.home / "hf")
    server.publish(NAME, TINY | {"generation_config.json": b"{}"})
    server.publish("shapes/lora", adapter | {"adapter_model.safetensors": b"trained on"}, branch="v1")
    assert machine.run(PREPARE, NAME, "shapes/lora@v1", str(machine.home)) == [first]
    assert Path(located["folder"], "model.safetensors").is_file()
    assert Path(located["adapters"][0]["folder"], "adapter_model.safetensors").read_bytes() == b"lora"


@pytest.mark.parametrize(
    ("place", "configured"),
    [
        (".cache/modelscope/hub/models/Shapes/Tiny-1___3-VLM", None),
        (".cache/modelscope/hub/Shapes/Tiny-1___3-VLM", None),
        (".cache/modelscope/models/Shapes--Tiny-1.3-VLM/snapshots/master", None),
        ("scope/models/Shapes/Tiny-1___3-VLM", "scope"),
        ("scope/hub/Shapes/Tiny-1.3-VLM", "scope"),
        ("scope/Shapes/Tiny-1___3-VLM", "scope"),
    ],
)
def test_the_cache_of_any_modelscope_release_is_found_without_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, configured: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MODELSCOPE_CACHE", raising=False)
    if configured:
        monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / configured))
    shutil.copytree(TINY_VLM, tmp_path / place)
    found = hubs.fetch("modelscope", "Shapes/Tiny-1.3-VLM", "main")
    assert found.folder == tmp_path / place
    assert found.identity == hubs.local(TINY_VLM).identity, "content, since there is no commit"
    assert found.revision == "master"
    (found.folder / "model.safetensors").unlink()
    with pytest.raises(VlmakeError, match=r"pip install 'vlmake\[modelscope\]'"):
        hubs.fetch("modelscope", "Shapes/Tiny-1.3-VLM", "main")


def test_a_hub_that_is_only_folders_takes_no_repository() -> None:
    with pytest.raises(VlmakeError, match=r"shapes/tiny-vlm is on a hub, but `hub: path` allows local folders only"):
        hubs.fetch("path", NAME, "main")
