"""What a model is loaded from, from registry layers to a located checkpoint; all files are real, no hub is asked."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.checkpoints import internvl2_original
from tests.conftest import TINY_VLM
from vlmake import converters
from vlmake.data import hubs
from vlmake.errors import VlmakeError
from vlmake.models import checkpoints
from vlmake.models.model_spec import planning_spec, resolve
from vlmake.registry.loading import Registry, load_registry
from vlmake.registry.model_entries import TransformersEntry

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "scope"))


def layered(tmp_path: Path, *layers: dict[str, Any], section: str = "models") -> Registry:
    """The registry of several folders, each with one file of entries."""
    folders = [tmp_path / str(number) for number in range(len(layers))]
    for folder, entries in zip(folders, layers, strict=True):
        (folder / section).mkdir(parents=True, exist_ok=True)
        (folder / section / "here.yaml").write_text(yaml.safe_dump({section: entries}, sort_keys=False))
    return load_registry(folders)


def fault(tmp_path: Path, *layers: dict[str, Any], section: str = "models") -> str:
    with pytest.raises(VlmakeError) as caught:
        layered(tmp_path, *layers, section=section)
    return str(caught.value).replace(str(tmp_path), "")


SHIPPED = {
    "InternVL2-2B": {
        "repository": "OpenGVLab/InternVL2-2B",
        "modelscope": "OpenGVLab/InternVL2-2B",
        "revision": "v1",
        "converter": "internvl2",
        "pixels": {"max_patches": 6, "prompt_patches": 64},
        "system": "Look.",
        "max_new_tokens": 77,
        "aliases": ["internvl"],
        "description": "the published one",
    },
    "Other": {"repository": "a/b"},
}


def test_one_line_says_where_the_weights_lie_and_keeps_the_rest(tmp_path: Path) -> None:
    registry = layered(tmp_path, SHIPPED, {"InternVL2-2B": {"path": "/data/InternVL2-2B", "gpus": 2}})
    entry = registry.model("internvl")
    shipped = TransformersEntry.model_validate(SHIPPED["InternVL2-2B"])
    assert entry == shipped.model_copy(update={"path": "/data/InternVL2-2B", "gpus": 2})
    assert registry.model("Other").repository == "a/b"


def test_a_mapping_is_merged_one_level_and_null_takes_back(tmp_path: Path) -> None:
    own = {"InternVL2-2B": {"pixels": {"max_patches": 12, "prompt_patches": None}, "system": None, "aliases": ["mine"]}}
    entry = layered(tmp_path, SHIPPED, own, {"InternVL2-2B": {"pixels": {"min_patches": 2}}}).model("InternVL2-2B")
    assert entry.pixels.model_dump(exclude_none=True) == {"max_patches": 12, "min_patches": 2}
    assert (entry.system, entry.aliases, entry.max_new_tokens) == (None, ("mine",), 77)


def test_another_repository_ends_what_was_said_of_the_earlier_one(tmp_path: Path) -> None:
    own = {"InternVL2-2B": {"path": "weights"}}
    entry = layered(tmp_path, SHIPPED, own, {"InternVL2-2B": {"repository": "me/mine"}}).model("InternVL2-2B")
    assert (entry.repository, entry.path, entry.modelscope, entry.revision) == ("me/mine", None, None, "main")
    assert entry.converter == "internvl2"


def test_datasets_are_laid_over_each_other_too(tmp_path: Path) -> None:
    shipped = {"D": {"url": "https://example.org/D.tsv", "md5": "0" * 32, "task": "yes_no", "metric": "mme", "rows": 9}}
    registry = layered(tmp_path, shipped, {"D": {"path": "D.tsv", "prompt": "Look. {question}"}}, section="datasets")
    entry = registry.dataset("D")
    assert entry.path == str(tmp_path / "1" / "datasets" / "D.tsv")
    assert (entry.rows, entry.url, entry.md5, entry.prompt) == (9, (), (), "Look. {question}")


def test_a_fine_tuned_checkpoint_is_two_lines(tmp_path: Path) -> None:
    own = {
        "Later": {"based_on": "Mine", "gpus": 4},  # stands above what it is based on
        "Mine": {"based_on": "InternVL2-2B", "path": "/data/runs/7"},
        "Theirs": {"based_on": "InternVL2-2B", "repository": "they/theirs"},
    }
    registry = layered(tmp_path, SHIPPED, own)
    shipped = registry.model("InternVL2-2B")
    assert registry.model("internvl") == shipped, "an alias stays with its own model"
    without = {"aliases": (), "description": ""}
    assert registry.model("Mine") == shipped.model_copy(update={"path": "/data/runs/7", **without})
    assert registry.model("Later") == registry.model("Mine").model_copy(update={"gpus": 4})
    theirs = registry.model("Theirs")
    assert (theirs.repository, theirs.revision, theirs.max_new_tokens) == ("they/theirs", "main", 77)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (
            [SHIPPED, {"X": {"based_on": "InternVL-2B"}}],
            "here.yaml: X: based_on: there is no 'InternVL-2B'; did you mean",
        ),
        ([{"X": {"based_on": "X"}}], "X: based_on goes round in a circle: X → X"),
        ([{"X": {"based_on": "Y"}, "Y": {"based_on": "Z"}, "Z": {"based_on": "Y"}}], "in a circle: Y → Z → Y"),
        ([{"X": {"basedon": "Y"}}], "X: unknown key 'basedon'; did you mean 'based_on'?"),
        ([{"X": {"path": "x", "gpus": -1}}, {"X": {"system": "a"}}], "/0/models/here.yaml: X: gpus:"),
        ([{"X": {"path": "x"}}, {"X": {"gpus": -1}}, {"X": {"system": "a"}}], "/1/models/here.yaml: X: gpus:"),
        (
            [{"X": {"path": "x", "pixels": {"max_pixel": 3}}}, {"X": {"pixels": {"max_pixels": 3}}}],
            "/0/models/here.yaml: X: unknown key 'pixels.max_pixel'; did you mean 'max_pixels'?",
        ),
        ([{"X": {"gpus": 1}}, {"X": {"system": "a"}}], "/1/models/here.yaml: X: give `path`"),
    ],
)
def test_a_fault_names_the_file_that_gave_it(tmp_path: Path, layers: list[dict[str, Any]], expected: str) -> None:
    assert expected in fault(tmp_path, *layers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "models:\n  X: {path: a}\n  Y: {path: b}\n  X: {path: c}\n",
            "line 4: key 'X' is given twice, first in line 2",
        ),
        (
            "models:\n  X:\n    gpus: 1\n    path: a\n    gpus: 2\n",
            "line 5: key 'gpus' is given twice, first in line 3",
        ),
        ("models:\n  X:\n    benchmarks: [{prompt: a, prompt: b}]\n", "line 3: key 'prompt' is given twice"),
    ],
)
def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "here.yaml").write_text(text)
    with pytest.raises(VlmakeError, match=f"here.yaml {expected}"):
        load_registry([tmp_path])


def test_a_name_in_two_files_of_one_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for name in ("a", "b"):
        (tmp_path / "models" / f"{name}.yaml").write_text("models: {X: {path: x}}")
    with pytest.raises(VlmakeError, match=r"b\.yaml: X is in this folder already \(.*a\.yaml: X\)"):
        load_registry([tmp_path])


def test_anchors_and_merge_keys_are_still_yaml(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    text = "models:\n  X: &x {path: /w, gpus: 2}\n  Y: {<<: *x, gpus: 3}\n"
    (tmp_path / "models" / "here.yaml").write_text(text)
    registry = load_registry([tmp_path])
    assert (registry.model("Y").path, registry.model("Y").gpus, registry.model("X").gpus) == ("/w", 3, 2)


def make_adapter(folder: Path, weights: bytes = b"lora") -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def test_adapters_are_folders_where_they_are_and_hub_ids_elsewhere(tmp_path: Path) -> None:
    make_adapter(tmp_path / "0" / "models" / "runs" / "lora")
    adapters = ["runs/lora", "./later", "owner/lora@v1"]
    entry = layered(tmp_path, {"X": {"path": "x", "adapters": adapters}}).model("X")
    here = tmp_path / "0" / "models"
    assert entry.adapters == (str(here / "runs" / "lora"), str(here / "later"), "owner/lora@v1")
    assert checkpoints.is_prepared(entry)
    assert not checkpoints.is_prepared(entry.model_copy(update={"adapters": entry.adapters[:2]}))


def test_adapters_and_their_order_are_part_of_the_identity(tmp_path: Path) -> None:
    first, second = make_adapter(tmp_path / "first"), make_adapter(tmp_path / "second", b"other")

    def identity(*adapters: Path) -> str:
        entry = TransformersEntry(path=str(TINY_VLM), adapters=tuple(map(str, adapters)), device="cpu")
        spec = resolve("X", entry)
        assert spec.adapters == adapters
        return spec.identity

    identities = [identity(), identity(first), identity(second), identity(first, second), identity(second, first)]
    assert len(set(identities)) == 5
    assert all(longer.startswith(identities[0]) for longer in identities)
    (second / "adapter_model.safetensors").unlink()
    with pytest.raises(VlmakeError, match=r"model 'X': .*second is only part of a PEFT adapter: a file of weights"):
        identity(second)


def test_a_half_copied_folder_is_refused(tmp_path: Path) -> None:
    shutil.copytree(TINY_VLM, tmp_path / "half")
    (tmp_path / "half" / "model.safetensors").unlink()
    with pytest.raises(VlmakeError, match=r"model 'X': .*half is only part of a checkpoint: a file of weights"):
        resolve("X", TransformersEntry(path=str(tmp_path / "half"), device="cpu"))


def test_a_record_pins_what_it_was_made_from(tmp_path: Path) -> None:
    """A ModelScope folder that is gone is looked for again; other content under the same name is refused."""
    first, moved = tmp_path / "scope" / "models" / "S" / "Tiny", tmp_path / "scope" / "hub" / "S" / "Tiny"
    shutil.copytree(TINY_VLM, first)
    entry = TransformersEntry(repository="S/Tiny", hub="modelscope", device="cpu")
    located = checkpoints.locate("X", entry, "hf", tmp_path / "cache")
    file = tmp_path / "checkpoint.json"
    file.write_text(checkpoints.record(located))
    assert checkpoints.read(file, "X") == located
    assert json.loads(file.read_text())["identity"] == located.identity == hubs.local(TINY_VLM).identity
    moved.parent.mkdir(parents=True)
    first.rename(moved)
    assert resolve("X", entry, file).folder == moved
    with (moved / "model.safetensors").open("ab") as weights:
        weights.write(b"another training")
    with pytest.raises(VlmakeError, match=r"model 'X': S/Tiny is no longer what .*checkpoint.json pinned"):
        resolve("X", entry, file)
    file.write_text("{}")
    with pytest.raises(VlmakeError, match=r"model 'X': .*checkpoint.json cannot be read \(ValidationError\)"):
        resolve("X", entry, file)


def test_a_published_layout_is_converted_once_for_each_source_and_version(tmp_path: Path) -> None:
    published, cache, file = tmp_path / "published", tmp_path / "cache", tmp_path / "checkpoint.json"
    internvl2_original.write(published, "1B")
    entry = TransformersEntry(path=str(published), converter="internvl2", device="cpu")
    assert checkpoints.is_prepared(entry)
    located = checkpoints.locate("X", entry, "hf", cache)
    assert located.identity == f"{hubs.local(published).identity} + internvl2:{converters.version('internvl2')}"
    assert located.folder.parent == cache
    assert json.loads((located.folder / "config.json").read_text())["model_type"] == "internvl"
    file.write_text(checkpoints.record(located))
    shutil.rmtree(cache)
    assert resolve("X", entry, file).folder == located.folder
    assert located.is_there(), "a cache that was emptied is filled again"

    renamed = published.rename(tmp_path / "renamed")
    assert resolve("X", entry, file).identity == located.identity, "the conversion is all that is loaded"
    again = checkpoints.locate("X", entry.model_copy(update={"path": str(renamed)}), "hf", cache)
    assert (again.identity, again.folder) == (located.identity, located.folder)
    with next(renamed.glob("*.safetensors")).open("r+b") as weights:
        weights.seek(-4, 2)
        weights.write(b"\x00\x3c\x00\x3c")
    other = checkpoints.locate("X", entry.model_copy(update={"path": str(renamed)}), "hf", cache)
    assert other.folder != located.folder
    assert other.identity != located.identity


def test_requirements_are_checked_before_anything_is_looked_for() -> None:
    here = version("transformers")
    environment = ("transformers==4.49.0", "pydantic>=2", "torch<1; python_version<'3'")
    entry = TransformersEntry(path="/nowhere", environment=environment)
    expected = rf"model 'X' needs transformers==4\.49\.0 \(here {here}\), with which vlmake itself does not run"
    with pytest.raises(VlmakeError, match=expected):
        resolve("X", entry)
    with pytest.raises(VlmakeError, match=r"model 'X' needs no-such-package>1 \(not installed here\): install it into"):
        resolve("X", TransformersEntry(path="/nowhere", environment=("no-such-package>1",)))
    with pytest.raises(VlmakeError, match="environment: 'transformers ==' is no requirement"):
        resolve("X", TransformersEntry(path="/nowhere", environment=("transformers ==",)))


def test_a_plan_knows_every_source_without_any_network(tmp_path: Path) -> None:
    adapter = str(make_adapter(tmp_path / "lora"))
    base = TransformersEntry(repository="a/b", modelscope="c/d")
    changes: list[dict[str, Any]] = [
        {},
        {"revision": "v1"},
        {"hub": "modelscope"},
        {"converter": "internvl2"},
        {"adapters": (adapter,)},
        {"adapters": ("e/f",)},
        {"adapters": (adapter, "e/f")},
        {"adapters": ("e/f", adapter)},
        {"path": str(TINY_VLM)},
    ]
    sources = [planning_spec(base.model_copy(update=change))["checkpoint"] for change in changes]
    assert len(set(sources)) == len(changes)
    assert sources[0] == "hub:a/b@main"
    assert planning_spec(base, "modelscope")["checkpoint"] == sources[2] == "modelscope:c/d@main"
    assert planning_spec(base.model_copy(update={"hub": "hf"}), "modelscope")["checkpoint"] == sources[0]
    (tmp_path / "lora" / "adapter_model.safetensors").write_bytes(b"trained on")
    assert planning_spec(base.model_copy(update=changes[4]))["checkpoint"] != sources[4]
