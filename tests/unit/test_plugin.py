"""Models that are a class of the user's own: real modules in files, asked as a job asks them."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.user_models import IMAGES, SHOWS, Modules, answers, ask, load, made_shard, module_of, request
from vlmake.backends.base import SampleName


@pytest.fixture
def modules(tmp_path: Path) -> Modules:
    return Modules(tmp_path)


def test_plain_class_sees_original_bytes_in_files_that_are_removed(modules: Modules) -> None:
    spec = modules.spec(SHOWS, arguments={"prefix": "> "})
    backend = load(spec)
    (text,) = answers(backend, request("one", "What?", "two"))
    digests = {name: sha256_of(data) for name, data in IMAGES.items()}
    assert json.loads(text.removeprefix("> ")) == [[".png", digests["one"]], "What?", [".jpg", digests["two"]]]
    path = Path(module_of(spec).Mine.last)
    folder = path.parent.parent
    assert folder.is_dir()
    assert not path.exists()
    backend.prepare([request("one", "never asked")])
    backend.close()
    assert not folder.exists()


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_class_is_told_what_its_signature_takes(modules: Modules) -> None:
    takes = "class Mine:\n    def generate(self, messages, dataset=None, max_new_tokens=1):\n"
    backend = modules.load(takes + "        return f'{dataset} {max_new_tokens}'")
    assert answers(backend, request("?", sample=SampleName("MME", "1"))) == ["MME 7"]
    inner = "class Mine:\n    def generate_inner(self, message, dataset=None):\n        return f'{dataset}'"
    assert answers(modules.load(inner), request("?", sample=SampleName("MME", "1"))) == ["MME"]


def test_batch_form_gets_lists_and_a_faulty_sample_costs_itself(modules: Modules, tmp_path: Path) -> None:
    source = """
class Mine:
    sizes = []
    def generate_batch(self, messages):
        self.sizes.append(len(messages))
        if any('poison' in m[-1]['value'] for m in messages):
            raise ValueError('no\\nway')
        return [m[-1]['value'].upper() for m in messages]
"""
    spec = modules.spec(source, batch_size=8)
    shard, store = made_shard(tmp_path / "data", spec, [f"text {n}" if n != 5 else "poison" for n in range(16)])
    found = ask(shard, store, spec, tmp_path / "journal")
    module = module_of(spec)
    assert [one.prediction for one in found] == [f"TEXT {n}" if n != 5 else None for n in range(16)]
    assert found[5].status == "model_error"
    name = module.__name__
    assert found[5].error == f"PluginError: {name}:Mine: generate_batch: ValueError: no way ({name}.py line 7)"
    assert module.Mine.sizes[:3] == [8, 4, 4]
    assert len(module.Mine.sizes) == 8, "the faulty sample is found by halving"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("def generate(self, m): return None", "generate returned NoneType, not a text"),
        ("def generate(self, m): return ['a']", "generate returned list, not a text"),
        ("def generate(self, m): raise SystemExit(3)", "generate: SystemExit: 3"),
        ("def generate_batch(self, ms): return 'a'", "generate_batch returned str for 1 messages"),
        ("def generate_batch(self, ms): return ['a', 'b']", "generate_batch returned 2 answers for 1 messages"),
        ("def generate_batch(self, ms): return [7]", "generate_batch returned int, not a text"),
    ],
)
def test_fault_names_the_class(modules: Modules, tmp_path: Path, body: str, fault: str) -> None:
    spec = modules.spec(f"class Mine:\n    {body}\n")
    shard, store = made_shard(tmp_path / "data", spec, ["text"])
    (found,) = ask(shard, store, spec, tmp_path / "journal")
    assert found.status == "model_error"
    assert f"PluginError: {module_of(spec).__name__}:Mine: {fault}" in str(found.error)


def test_one_by_one_only_the_faulty_sample_fails(modules: Modules) -> None:
    source = "class Mine:\n    def generate(self, m):\n        return {'good': 'fine'}[m[-1]['value']]\n"
    good, bad, last = answers(modules.load(source), request("good"), request("bad"), request("good"))
    assert (good, last) == ("fine", "fine")
    assert bad.startswith("PluginError: ")
    assert "generate: KeyError: 'bad'" in bad


def test_traceback_of_a_fault_is_printed_once(modules: Modules, capsys: pytest.CaptureFixture[str]) -> None:
    backend = modules.load("class Mine:\n    def generate(self, m):\n        raise RuntimeError('broken')\n")
    answers(backend, *[request("text")] * 5)
    assert capsys.readouterr().err.count("Traceback") == 1


def test_prints_do_not_disturb_stdout(modules: Modules, capsys: pytest.CaptureFixture[str]) -> None:
    source = """
print('imported')
class Mine:
    def __init__(self): print('made')
    def generate(self, messages):
        print('asked')
        return 'yes'
"""
    assert answers(modules.load(source), request("text")) == ["yes"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.split() == ["imported", "made", "asked"]


SINGLE = """
import json
class Mine:
    INTERLEAVE = False
    def generate(self, messages):
        return json.dumps([m['value'] if m['type'] == 'text' else m['value'][-4:] for m in messages])
"""


def test_class_without_interleaving_gets_one_image_and_one_text(modules: Modules) -> None:
    (text,) = answers(modules.load(SINGLE), request("Look:", "two", "and", "one", "?"))
    assert json.loads(text) == [".jpg", "Look:\nand\n?"]
    assert json.loads(answers(modules.load(SINGLE), request("No", "image"))[0]) == ["No\nimage"]


def test_max_images_refuses_a_sample(modules: Modules) -> None:
    backend = modules.load(SHOWS, max_images=1)
    assert answers(backend, request("one", "two")) == ["PluginError: 2 images, and the entry's max_images is 1"]


def test_no_model_library_is_loaded_for_a_class_that_needs_none(modules: Modules) -> None:
    spec = modules.spec(SHOWS)
    program = (
        "import sys\nfrom vlmake import backends\nfrom vlmake.models.model_spec import RuntimeOptions, resolve\n"
        "from vlmake.registry.model_entries import PluginEntry\n"
        f"entry = PluginEntry.model_validate({spec.entry.model_dump(mode='json')!r})\n"
        "backends.load(resolve('M', entry), RuntimeOptions('cpu')).close()\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
