"""What a shard's progress says in the end: every row is finished, however many rows share a question."""

from pathlib import Path

import pytest

from tests.unit.test_inference import ASKING, Echo
from vlmake.data.images import ImageWriter
from vlmake.inference.answering import Pace
from vlmake.inference.loaded_model import LoadedModel, answer_shard
from vlmake.inference.shard import make_question
from vlmake.inference.shard_work import Shard, ShardFiles
from vlmake.models.model_spec import ModelSpec
from vlmake.registry.model_entries import ReplayEntry

SPEC = ModelSpec("M", ReplayEntry(backend="replay", path="x"), Path("x"), "identity")


def shard(folder: Path, texts: list[str], broken: tuple[str, ...] = ()) -> Shard:
    files = ShardFiles("D", 0, 1, folder / "samples.parquet", folder / "images.arrow", folder / "journal")
    with ImageWriter(files.images):
        pass
    questions = [
        make_question(ASKING, str(row), [{"type": "text", "text": text}], "cut off" if text in broken else None)
        for row, text in enumerate(texts)
    ]
    return Shard(files, ASKING, questions, range(len(questions)), 0)


def said(asked: Shard, capsys: pytest.CaptureFixture[str], backend: Echo) -> str:
    answer_shard(asked, asked.todo(None), SPEC, lambda: LoadedModel(backend, (), Pace(2)))
    return capsys.readouterr().err.splitlines()[-1].split(",")[0]


def test_rows_with_one_prompt_count_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backend = Echo()
    asked = shard(tmp_path, ["a", "b", "a", "lost", "b", "a", "lost", "c"], broken=("lost",))
    assert said(asked, capsys, backend) == "M D: 8/8 samples"
    assert sum(backend.batches) == 3


def test_what_was_known_before_counts_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(shard(tmp_path, ["a", "a"]), capsys, Echo()) == "M D: 2/2 samples"
    backend = Echo()
    assert said(shard(tmp_path, ["a", "b", "a", "b", "a"]), capsys, backend) == "M D: 5/5 samples"
    assert sum(backend.batches) == 1
