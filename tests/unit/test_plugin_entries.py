"""The entry of a user's model: what the model is known by, and entries that lead to none."""

import json
import ssl
import sys
from pathlib import Path

import pytest

from tests.user_models import CPU, Modules, answers, load, request
from vlmake import backends
from vlmake.backends.base import Row, SampleName
from vlmake.backends.plugin import PluginBackend
from vlmake.errors import VlmakeError
from vlmake.models.model_spec import planning_spec, resolve
from vlmake.registry.loading import load_registry
from vlmake.registry.model_entries import PluginEntry


@pytest.fixture
def modules(tmp_path: Path) -> Modules:
    return Modules(tmp_path)


def test_identity_is_the_source_arguments_and_revision_and_nothing_is_imported(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from helper import x\nraise SystemExit\n", encoding="utf-8")
    (tmp_path / "helper.py").write_text("x = 1\n", encoding="utf-8")

    def planned(**given: object) -> str:
        entry = {"backend": "plugin", "model": "mine:Mine", "python_path": str(tmp_path)} | given
        return json.dumps(planning_spec(PluginEntry.model_validate(entry)), sort_keys=True)

    first = planned()
    assert planned(gpus=4, batch_size=9, max_images=3, description="other") == first
    others = [planned(arguments={"a": 1}), planned(revision="b"), planned(model="mine:Other")]
    (tmp_path / "helper.py").write_text("x = 2\n", encoding="utf-8")
    assert len({first, *others, planned()}) == 5
    with pytest.raises(VlmakeError, match=r"there is no gone\.py in .*python_path"):
        planned(model="gone:Mine")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("class Mine: pass", r"Mine has no method generate\(self, messages\)"),
        ("Mine = 7", "has no class Mine"),
        ("import nothing_of_that_name", "import: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("class Mine:\n    def __init__(self): raise OSError('no weights')", r"__init__: OSError: no weights \(user_m"),
    ],
)
def test_class_that_cannot_be_made_is_one_line(modules: Modules, source: str, fault: str) -> None:
    with pytest.raises(VlmakeError, match=fault) as caught:
        modules.load(source)
    assert str(caught.value).startswith("model 'M': ")
    assert "\n" not in str(caught.value)


def test_module_that_is_called_as_a_loaded_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("class Mine: pass", encoding="utf-8")
    entry = PluginEntry(backend="plugin", model="json:Mine", python_path=str(tmp_path))
    with pytest.raises(VlmakeError, match=r"another module is called 'json' .*: rename json\.py"):
        backends.load(resolve("M", entry), CPU)
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("model: nothing", "model: Value error, write my_module:MyModel, or vlmevalkit:NAME"),
        ("model: 'vlmevalkit:'", "write my_module:MyModel"),
        ("model: 'a:B', system: Be kind", "no place for `system`"),
        ("model: 'a:B', pixels: {max_pixels: 3}", "give `pixels` as one of its `arguments`"),
        ("model: 'a:B', benchmarks: [{datasets: MME, pixels: {max_pixels: 3}}]", "give `pixels`"),
        ("model: 'a:B', argument: {}", "unknown key 'argument'; did you mean 'arguments'"),
    ],
)
def test_faults_of_an_entry(tmp_path: Path, keys: str, fault: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.yaml").write_text(f"models:\n  M: {{backend: plugin, {keys}}}\n", encoding="utf-8")
    with pytest.raises(VlmakeError) as caught:
        load_registry([tmp_path])
    assert fault in str(caught.value)


VLMEVAL = """
import ssl
from functools import partial
ssl._create_default_https_context = ssl._create_unverified_context

class Api:
    is_api, fail_msg = True, 'Failed to obtain answer via API.'
    def __init__(self, size, temperature=0): self.size = size
    def set_dump_image(self, func): self.dump = func
    def use_custom_prompt(self, dataset): return False
    def generate(self, message, **kwargs):
        text = message[-1]['value']
        return self.fail_msg if text == 'bad' else f"{self.size} {kwargs['dataset']} {text}"

supported_VLM = {'Qwen2-VL-2B': partial(Api, 2)}
"""


def test_model_of_an_installed_vlmeval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_named(name: str, **keys: object) -> PluginBackend:
        entry = PluginEntry.model_validate({"backend": "plugin", "model": f"vlmevalkit:{name}", **keys})
        return load(resolve("M", entry))

    with pytest.raises(VlmakeError, match=r"vlmeval is not installed in .*run_in"):
        load_named("Qwen2-VL-2B")
    (tmp_path / "vlmeval").mkdir()
    (tmp_path / "vlmeval" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "vlmeval" / "config.py").write_text(VLMEVAL, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    checked = ssl._create_default_https_context
    backend = load_named("Qwen2-VL-2B", arguments={"temperature": 1})
    assert ssl._create_default_https_context is checked, "certificates are still checked"
    sample = SampleName("MME", "1", Row({"question": "?"}, ()))
    good, bad = answers(backend, request("good", sample=sample), request("bad", sample=sample))
    assert good == "2 MME good"
    assert bad == "PluginError: vlmevalkit:Qwen2-VL-2B: Failed to obtain answer via API."
    with pytest.raises(VlmakeError, match="vlmeval knows no model 'Qwen2-VL-2b'; did you mean 'Qwen2-VL-2B'"):
        load_named("Qwen2-VL-2b")
