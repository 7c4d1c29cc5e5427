from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.conftest import REPOSITORY
from vlmake.errors import VlmakeError
from vlmake.registry.dataset_entries import DatasetEntry, shards
from vlmake.registry.judge_entries import JudgeEndpointEntry, JudgeServerEntry
from vlmake.registry.loading import Registry, load_registry, registry_folders
from vlmake.registry.model_entries import CheckpointEntry, EndpointEntry, PluginEntry, ServerEntry, TransformersEntry
from vlmake.runs.run_config import RunConfig, configured_pairs, load_config


def write(folder: Path, section: str, text: str) -> Path:
    (folder / section).mkdir(parents=True, exist_ok=True)
    (folder / section / "here.yaml").write_text(text, encoding="utf-8")
    return folder


def fault(folder: Path) -> str:
    with pytest.raises(VlmakeError) as caught:
        load_registry([folder])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def shipped() -> Registry:
    return load_registry(registry_folders(current=Path("/")))


@pytest.mark.parametrize("name", ["MME", "POPE", "HallusionBench", "AMBER", "MMBench_DEV_EN", "CCBench", "ShapesMME"])
def test_shipped_entries_are_there(shipped: Registry, name: str) -> None:
    entry = shipped.dataset(name)
    assert entry.md5
    assert entry.url or entry.path


def test_shipped_paths_exist(shipped: Registry) -> None:
    files = [entry for entry in shipped.models.values() if isinstance(entry, CheckpointEntry)]
    for entry in (*shipped.datasets.values(), *files):
        assert entry.path is None or Path(entry.path).exists(), entry.path


def test_misspelt_key_names_file_entry_and_the_right_key(tmp_path: Path) -> None:
    write(tmp_path, "models", "models:\n  Mine:\n    pathh: x\n")
    message = fault(tmp_path)
    assert "here.yaml: Mine: unknown key 'pathh'; did you mean 'path'?" in message


def test_misspelt_pixel_key(tmp_path: Path) -> None:
    write(tmp_path, "models", "models:\n  Mine:\n    pixels: {max_pixel: 3}\n")
    assert "unknown key 'pixels.max_pixel'; did you mean 'max_pixels'?" in fault(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "datasets:\n  Mine:\n    url: http://x\n",
            "Mine: give `task` (yes_no, multiple_choice, vqa, caption) and `metric`",
        ),
        ("datasets:\n  Mine:\n    metric: mme\n", "Mine: give `url` or `path`"),
        ("datasets:\n  Mine:\n    metric: mme\n    task: essay\n", "Mine: task: Input should be"),
        ("datasets:\n  a/b:\n    metric: mme\n", "'a/b' cannot be a name"),
        ("datasets:\n  report:\n    metric: mme\n", "'report' cannot be a name"),
        ("datasets:\n  Mine: [1\n", "line 3"),
        ("models:\n  Mine: {}\n", "expected 'defaults' and 'datasets', found models"),
        ("datasets:\n  Mine: 7\n", "Mine"),
        ("datasets:\n  Off: {path: x}\n", "YAML reads the name False as a bool; put it in quotes"),
        (
            "datasets:\n  Mine: {path: x, task: yes_no, metric: mme, prompt: Is it so?}\n",
            "prompt: Value error, has no place for {question}",
        ),
        (
            "datasets:\n  Mine: {path: x, pieces: {a: {by: c, else: '{b}'}, b: {by: c, else: B}}}\n",
            "pieces: Value error, 'a' names 'b', which does not come before it",
        ),
        ("datasets:\n  Mine: {path: x, pieces: {a: {by: c, els: B}}}\n", "'pieces.a.els'; did you mean 'else'?"),
        ("datasets:\n  Mine: {path: x, image_order: lst}\n", "found 'lst'; did you mean 'last'?"),
        ("datasets:\n  Mine: {path: x, image_order: {by: c, else: lst}}\n", "found 'lst'; did you mean 'last'?"),
        ("datasets:\n  Mine: {path: x, inserts: {column: c, separator: ;, mark: M}}\n", "no place for {number}"),
        ("datasets:\n  Mine: {path: x, options_from: {column: c, pattern: a.b}}\n", "needs one group"),
    ],
)
def test_faults_are_one_line_each(tmp_path: Path, text: str, expected: str) -> None:
    write(tmp_path, "datasets", text)
    assert expected in fault(tmp_path)


def test_unknown_name_gets_the_closest_one(shipped: Registry) -> None:
    with pytest.raises(VlmakeError, match="unknown dataset 'MMBench_DEV_EM'; did you mean 'MMBench_DEV_EN'"):
        shipped.resolve_dataset("MMBench_DEV_EM@20")
    with pytest.raises(VlmakeError, match="no dataset name"):
        shipped.resolve_dataset("MME@0")


def test_later_folder_wins_and_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    first = write(tmp_path / "one", "models", "models:\n  Mine: {path: weights}\n  Other: {repository: a/b}\n")
    second = write(tmp_path / "two", "models", "models:\n  Mine: {path: ../weights, aliases: my-model}\n")
    registry = load_registry([first, second])
    assert registry.model("my-model").path == str(tmp_path / "two" / "weights")
    assert registry.model("Other").repository == "a/b"


@pytest.mark.parametrize("lower", ["url: http://x/y.tsv, md5: abc", "source: 'hf:a/b', columns: {hint: h}"])
def test_a_path_of_a_later_folder_ends_where_the_earlier_file_came_from(tmp_path: Path, lower: str) -> None:
    first = write(tmp_path / "one", "datasets", f"datasets:\n  Mine: {{{lower}, task: vqa, metric: anls, rows: 5}}\n")
    second = write(tmp_path / "two", "datasets", "datasets:\n  Mine: {path: mine.tsv}\n")
    entry = load_registry([first, second]).dataset("Mine")
    assert (entry.path, entry.md5, entry.url, entry.source) == (str(tmp_path / "two/datasets/mine.tsv"), (), (), None)
    assert (entry.rows, entry.metric) == (5, "anls")
    checked = write(tmp_path / "two", "datasets", "datasets:\n  Mine: {path: mine.tsv, md5: def}\n")
    assert load_registry([first, checked]).dataset("Mine").md5 == ("def",)


def test_shards_are_a_property_of_the_data(shipped: Registry) -> None:
    entry = shipped.dataset("MME")
    assert shards(entry, None) == 5
    assert shards(entry, 20) == 1
    assert shards(entry, 5000) == 5
    assert shards(entry, None, rows_per_shard=100) == 24
    assert shards(shipped.dataset("POPE"), None) == 1


def test_limit_goes_to_every_dataset_without_one_of_its_own(shipped: Registry, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("models: TinyVLM\ndatasets: [ShapesMME, ShapesPOPE@7]\nlimit: 20\n", encoding="utf-8")
    pairs = configured_pairs(load_config({}, [file]), shipped)
    assert pairs == [("TinyVLM", "ShapesMME@20"), ("TinyVLM", "ShapesPOPE@7")]


def test_misspelt_configuration_key(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("modells: [TinyVLM]\n", encoding="utf-8")
    with pytest.raises(VlmakeError, match=r"config.yaml: unknown key 'modells'; did you mean 'models'\?"):
        load_config({}, [file])
    with pytest.raises(VlmakeError, match="limit"):
        load_config({"limit": "many"}, [])


SERVED = "models:\n  Mine: {backend: endpoint, api_base: http://h, served_model: m"


def test_max_tokens_is_another_name_of_max_new_tokens_for_a_server(tmp_path: Path) -> None:
    lower = write(tmp_path / "one", "models", f"{SERVED}, max_new_tokens: 7}}\n")
    upper = write(tmp_path / "two", "models", "models:\n  Mine: {max_tokens: 9}\n")
    assert load_registry([lower]).model("Mine").max_new_tokens == 7
    assert load_registry([lower, upper]).model("Mine").max_new_tokens == 9
    assert load_registry([upper, lower]).model("Mine").max_new_tokens == 7
    both = write(tmp_path / "three", "models", f"{SERVED}, max_tokens: 7, max_new_tokens: 8}}\n")
    assert fault(both).endswith("Mine: max_tokens and max_new_tokens are two names of one key: give one of them")
    local = write(tmp_path / "four", "models", "models:\n  Mine: {path: x, max_tokens: 7}\n")
    assert "unknown key 'max_tokens'; did you mean 'max_new_tokens'?" in fault(local)


def test_a_temperature_may_be_none_and_null_is_the_default(tmp_path: Path) -> None:
    def temperature(text: str) -> object:
        return load_registry([write(tmp_path, "models", f"{SERVED}{text}}}\n")]).model("Mine").temperature

    assert (temperature(", temperature: none"), temperature(", temperature: 0.7"), temperature("")) == (None, 0.7, 0.0)
    assert temperature(", temperature: null") == 0.0
    assert "temperature" in fault(write(tmp_path, "models", f"{SERVED}, temperature: hot}}\n"))
    assert "temperature" in fault(write(tmp_path, "models", f"{SERVED}, temperature: -1}}\n"))


@pytest.mark.parametrize(
    "kind",
    [
        DatasetEntry,
        TransformersEntry,
        EndpointEntry,
        ServerEntry,
        PluginEntry,
        JudgeEndpointEntry,
        JudgeServerEntry,
        RunConfig,
    ],
)
def test_every_key_is_explained(kind: type[BaseModel]) -> None:
    explained = (REPOSITORY / "config" / "README.md").read_text(encoding="utf-8")
    for key in kind.model_fields:
        assert f"| `{key}` |" in explained, key
