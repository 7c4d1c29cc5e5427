"""A user's model that makes its own prompts: what it is shown of a row, and when that makes another question."""

import json
import sys
from pathlib import Path

import pytest

from tests.user_models import IMAGES, SHOWS, TSV, Modules, ask, base64_of, made_shard
from vlmake.errors import VlmakeError
from vlmake.model_classes.source import may_build_prompts
from vlmake.models.model_spec import ModelSpec
from vlmake.registry.model_entries import PluginEntry


@pytest.fixture
def modules(tmp_path: Path) -> Modules:
    return Modules(tmp_path)


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
