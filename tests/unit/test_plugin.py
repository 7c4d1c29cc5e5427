"""Models that are a class of the user's own: real modules in files, asked as a job asks them."""

import base64
import hashlib
import io
import json
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import REPOSITORY, write_tsv
from vlmake import backends
from vlmake.backends.base import Output, Request, Row, SampleName, Turn
from vlmake.backends.plugin import PluginBackend
from vlmake.data.decode import decode
from vlmake.data.download import source_record
from vlmake.data.images import ImageStore
from vlmake.errors import VlmakeError
from vlmake.inference.answering import Pace, answer, askable
from vlmake.inference.journal import JournalWriter, Prediction
from vlmake.inference.shard import accepted_predictions
from vlmake.inference.shard_work import Shard, ShardFiles, read_shard
from vlmake.model_classes.source import may_build_prompts
from vlmake.models.model_spec import ModelSpec, RuntimeOptions, planning_spec, resolve
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.loading import load_registry
from vlmake.registry.model_entries import PluginEntry
from vlmake.vlmeval import (
    BaseModel,
    cn_string,
    concat_images_vlmeval,
    get_cache_path,
    parse_file,
    splitlen,
    version_cmp,
)

CPU = RuntimeOptions("cpu")


def picture(form: str, colour: tuple[int, int, int] = (200, 30, 10)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(buffer, form)
    return buffer.getvalue()


IMAGES = {"one": picture("PNG"), "two": picture("JPEG")}


def load(spec: ModelSpec) -> PluginBackend:
    loaded = backends.load(spec, CPU)
    assert isinstance(loaded, PluginBackend)
    return loaded


class Modules:
    """A folder of user modules; each has a name that no other test has imported."""

    made = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def spec(self, source: str, **keys: object) -> ModelSpec:
        Modules.made += 1
        name = f"user_module_{Modules.made}"
        (self.folder / f"{name}.py").write_text(source, encoding="utf-8")
        given = {"backend": "plugin", "model": f"{name}:Mine", "python_path": str(self.folder), "gpus": 0}
        return resolve("M", PluginEntry.model_validate(given | keys))

    def load(self, source: str, **keys: object) -> PluginBackend:
        return load(self.spec(source, **keys))


@pytest.fixture
def modules(tmp_path: Path) -> Modules:
    return Modules(tmp_path)


def request(*parts: str, sample: SampleName | None = None) -> Request:
    """Parts that are names of IMAGES are images."""
    shown = [{"type": "image", "image": part} if part in IMAGES else {"type": "text", "text": part} for part in parts]
    return Request([Turn("user", shown)], IMAGES, 7, sample=sample)


def answers(backend: PluginBackend, *requests: Request) -> list[str]:
    """Texts, and the words of exceptions."""
    results: Sequence[Output | Exception] = backend.generate(backend.prepare(list(requests)))
    return [one.text if isinstance(one, Output) else f"{type(one).__name__}: {one}" for one in results]


SHOWS = """
import hashlib, json
from pathlib import Path

class Mine:
    def __init__(self, prefix=''):
        self.prefix = prefix

    def generate(self, messages):
        shown = [m['value'] if m['type'] == 'text' else self.about(m['value']) for m in messages]
        return self.prefix + json.dumps(shown)

    def about(self, path):
        Mine.last = path
        return [Path(path).suffix, hashlib.sha256(Path(path).read_bytes()).hexdigest()]
"""


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


def module_of(spec: ModelSpec) -> Any:
    assert isinstance(spec.entry, PluginEntry)
    return sys.modules[spec.entry.model.partition(":")[0]]


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


GUIDE = """
import warnings
from vlmake.vlmeval import *   # was: from ..base import BaseModel; from ..smp import *; from ...dataset import ...

class Mine(BaseModel):

    INSTALL_REQ = False
    INTERLEAVE = False

    def __init__(self, model_path='x', **kwargs):
        assert osp.exists(model_path)
        self.kwargs = kwargs
        warnings.warn('Following kwargs received')

    def use_custom_prompt(self, dataset):
        assert dataset is not None
        return listinstr(['MCQ', 'Y/N'], DATASET_TYPE(dataset))

    def build_prompt(self, line, dataset=None):
        assert self.use_custom_prompt(dataset)
        assert dataset is None or isinstance(dataset, str)
        tgt_path = self.dump_image(line, dataset)
        question = line['question']
        hint = line['hint'] if ('hint' in line and not pd.isna(line['hint'])) else None
        if hint is not None:
            question = hint + '\\n' + question
        options = {
            cand: line[cand]
            for cand in string.ascii_uppercase
            if cand in line and not pd.isna(line[cand])
        }
        for key, item in options.items():
            question += f'\\n{key}. {item}'
        prompt = question + ('请直接回答' if cn_string(question) else '\\nAnswer directly.')
        return [*tgt_path, prompt]

    def generate_inner(self, message, dataset=None):
        prompt, image_path = self.message_to_promptimg(message, dataset=dataset)
        image = Image.open(image_path).convert('RGB')
        return f'{dataset}|{image.size}|{osp.splitext(image_path)[1]}|{prompt}'
"""

TSV = [
    ["index", "image", "image_path", "question", "hint", "A", "B", "category"],
    ["0", "ONE", "a.jpg", "What?", "Look.", "red", "blue", "x"],
    ["1", "TWO", "b.jpg", "Where?", "", "", "", "y"],
]


def test_guides_class_runs_with_its_own_prompts(modules: Modules, tmp_path: Path) -> None:
    spec = modules.spec(GUIDE, arguments={"model_path": "/", "max_new_tokens": 5})
    shard, store = made_shard(tmp_path / "data", spec, [], dataset="MMBench_DEV_EN", tsv=TSV)
    first, second = ask(shard, store, spec, tmp_path / "journal")
    shown = "MMBench_DEV_EN|(30, 20)|{}|{}\nAnswer directly."
    assert first.prediction == shown.format(".png", "Look.\nWhat?\nA. red\nB. blue")
    assert second.prediction == shown.format(".jpg", "Where?")


def test_guides_class_without_own_prompts_is_asked_the_benchmarks(modules: Modules, tmp_path: Path) -> None:
    spec = modules.spec(GUIDE, arguments={"model_path": "/"})
    shard, store = made_shard(tmp_path / "data", spec, [], dataset="OCRBench", tsv=TSV, task="vqa")
    first, _ = ask(shard, store, spec, tmp_path / "journal")
    assert first.prediction == "OCRBench|(30, 20)|.png|What?"


def test_row_is_a_series_of_the_tsvs_columns(modules: Modules, tmp_path: Path) -> None:
    source = """
import json
class Mine:
    def use_custom_prompt(self, dataset): return True
    def build_prompt(self, line, dataset):
        kept = {name: value for name, value in line.items() if name != 'image'}
        same = line['image'] == IMAGE
        return json.dumps([kept, same], default=str)
    def generate(self, messages): return messages[0]['value']
"""
    tsv = [[*TSV[0], "images"], [*TSV[1], "own"]]
    spec = modules.spec(source.replace("IMAGE", repr(base64_of(IMAGES["one"]))))
    shard, store = made_shard(tmp_path / "data", spec, [], tsv=tsv)
    (found,) = ask(shard, store, spec, tmp_path / "journal")
    row, same = json.loads(str(found.prediction))
    assert same
    assert row == {"index": 0} | dict(zip(tsv[0][2:], tsv[1][2:], strict=True))


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def keys(spec: ModelSpec, folder: Path, tsv: list[list[str]], dataset: str = "Mine") -> list[str]:
    return [question.key for question in made_shard(folder, spec, [], dataset=dataset, tsv=tsv)[0].questions]


def test_a_changed_row_is_asked_again_only_where_prompts_may_depend_on_it(modules: Modules, tmp_path: Path) -> None:
    changed = [*TSV[:2], [*TSV[2][:-1], "z"]]
    own, plain = modules.spec(GUIDE), modules.spec(SHOWS)
    before, after = keys(own, tmp_path / "a", TSV), keys(own, tmp_path / "b", changed)
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert keys(plain, tmp_path / "a", TSV) == keys(plain, tmp_path / "b", changed)
    assert not set(keys(plain, tmp_path / "a", TSV)) & set(keys(plain, tmp_path / "c", TSV, dataset="Other"))


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


def test_inherited_prompts_from_a_package_are_refused(modules: Modules) -> None:
    Modules.made += 1
    package = modules.folder / "elsewhere" / f"packaged_{Modules.made}.py"
    package.parent.mkdir()
    package.write_text("class Base:\n    def use_custom_prompt(self, d): return True\n", encoding="utf-8")
    sys.path.append(str(package.parent))
    source = f"from {package.stem} import Base\nclass Mine(Base):\n    def generate(self, m): return ''\n"
    with pytest.raises(VlmakeError, match="inherits use_custom_prompt from a package; define it"):
        modules.load(source)
    again = source + "    use_custom_prompt = Base.use_custom_prompt\n"
    entry = modules.spec(again).entry
    assert isinstance(entry, PluginEntry)
    assert may_build_prompts(entry)
    modules.load(again)


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


def test_max_images_refuses_a_sample(modules: Modules) -> None:
    backend = modules.load(SHOWS, max_images=1)
    assert answers(backend, request("one", "two")) == ["PluginError: 2 images, and the entry's max_images is 1"]


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


def test_messages_of_every_form(tmp_path: Path) -> None:
    file = tmp_path / "a.webp"
    file.write_bytes(b"")
    model, image = BaseModel(), {"type": "image", "value": str(file)}
    text = {"type": "text", "value": "What?"}
    forms = {"What?": [text], (str(file), "What?"): [image, text]}
    for given, expected in forms.items():
        assert model.preproc_content(list(given) if isinstance(given, tuple) else given) == expected
    assert model.preproc_content(text) == [text]
    assert model.preproc_content([image, text]) == [image, text]
    assert model.preproc_content([text, "mixed"]) is None
    assert [model.check_content(one) for one in ("a", text, ["a"], [text], 7)] == [
        "str", "dict", "liststr", "listdict", "unknown",
    ]  # fmt: skip
    assert model.concat_tilist([image, text]) == (" <image> What?", [str(file)])
    assert model.message_to_promptimg([text, image, text]) == ("What?\nWhat?", str(file))
    assert model.message_to_promptimg([text]) == ("What?", None)
    with pytest.raises(ValueError, match="no parts of type 'audio'"):
        model.generate([{"type": "audio", "value": "x"}])
    assert parse_file("x" * 5000) == (None, "x" * 5000)
    assert (cn_string("图"), cn_string("a"), splitlen("a/b")) == (True, False, 2)
    assert (version_cmp("4.9", "4.10", "lt"), version_cmp("4.10", "4.9", "le")) == (True, False)
    assert get_cache_path("nobody/nothing-of-that-name") is None


def test_blinks_images_are_put_side_by_side(tmp_path: Path) -> None:
    files = []
    for name, size in (("a", (30, 20)), ("b", (10, 40))):
        Image.new("RGB", size, (250, 0, 0)).save(tmp_path / f"{name}.png")
        files.append(str(tmp_path / f"{name}.png"))
    assert concat_images_vlmeval(files, return_image=True).size == (40, 40)
    assert concat_images_vlmeval(files, mode="v", return_image=True).size == (30, 60)
    message = [{"type": "image", "value": file} for file in files]
    _, shown = BaseModel().message_to_promptimg(message, dataset="BLINK")
    assert Path(str(shown)).parent == tmp_path
    assert Image.open(str(shown)).size == (768 + 128, 512)


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


def made_shard(
    folder: Path,
    spec: ModelSpec,
    questions: Sequence[str],
    *,
    dataset: str = "Mine",
    tsv: list[list[str]] | None = None,
    task: str = "vqa",
) -> tuple[Shard, Path]:
    """Decode a TSV of questions, or a whole one in which ONE and TWO stand for images; return its only shard."""
    rows = tsv or [["index", "image", "question"], *([str(n), "ONE", text] for n, text in enumerate(questions))]
    encoded = {"ONE": base64_of(IMAGES["one"]), "TWO": base64_of(IMAGES["two"])}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{dataset}.tsv"
    write_tsv(file, [[encoded.get(cell, cell) for cell in row] for row in rows])
    samples, images = folder / "samples.parquet", folder / "images.arrow"
    decode(file, source_record(dataset, file), folder, samples, images)
    entry = DatasetEntry.model_validate({"path": str(file), "task": task, "metric": "anls"})
    files = ShardFiles(dataset, 0, 1, samples, images, folder / "journal")
    return read_shard(files, spec, entry), images


def ask(shard: Shard, images: Path, spec: ModelSpec, journal: Path) -> list[Prediction]:
    """Ask a shard's questions of a model as a job does; return what its journal then holds, by row."""
    backend = load(spec)
    with ImageStore(images) as store:
        answer(
            askable(shard.questions), backend, store, JournalWriter(journal), shard.asking,
            Pace(spec.entry.batch_size), epoch=0, advance=lambda _: None,
        )  # fmt: skip
    backend.close()
    found = accepted_predictions(journal, shard.questions, 0)
    return [found[question.key] for question in shard.questions]
