"""A model as a class of the user's own, beside the same checkpoint run by vlmake itself."""

import os
from pathlib import Path

import pytest

from tests.conftest import TINY_VLM, Workplace
from tests.tiny_class import SOURCE


@pytest.fixture
def place(workplace: Workplace) -> Workplace:
    folder = workplace.folder / "config" / "models"
    folder.mkdir(parents=True)
    (folder / "my_module.py").write_text(SOURCE, encoding="utf-8")
    arguments = {"model_path": str(TINY_VLM), "do_sample": False, "max_new_tokens": 16}
    workplace.models["Mine"] = {"backend": "plugin", "model": "my_module:Tiny", "arguments": arguments, "gpus": 0}
    workplace.config.update(models=["TinyVLM", "Mine"], datasets=["ShapesMME@20"])
    workplace.datasets.clear()
    return workplace


@pytest.mark.slow
def test_class_gives_the_answers_of_the_transformers_backend(place: Workplace) -> None:
    ran = place.snakemake(TMPDIR=str(made(place.folder.parent / "tmp")))
    assert ran.code == 0, ran.output
    assert "the class was made" in ran.output
    ours, mine = (place.predictions(model, "ShapesMME@20") for model in ("TinyVLM", "Mine"))
    assert [row["prediction"] for row in mine] == [row["prediction"] for row in ours]
    assert {row["status"] for row in mine} == {"ok"}
    assert len({row["prediction"] for row in mine}) > 1
    ours_score, mine_score = (
        place.result(model, "ShapesMME@20_score.csv").read_text() for model in ("TinyVLM", "Mine")
    )
    assert mine_score == ours_score
    assert not list((place.folder.parent / "tmp").glob(".class-*")), "the images' folder is removed"
    assert not list((place.folder / "config" / "models").glob("__pycache__")), "nothing is written beside the class"

    module = place.folder / "config" / "models" / "my_module.py"
    os.utime(module)
    assert place.snakemake().jobs == [], "nothing is made twice: the source counts, not its time"
    module.write_text(SOURCE.replace("skip_special_tokens=True)", "skip_special_tokens=True) + '!'"), encoding="utf-8")
    again = place.snakemake()
    assert "infer Mine/ShapesMME@20" in again.jobs
    assert "infer TinyVLM/ShapesMME@20" not in again.jobs
    changed = place.predictions("Mine", "ShapesMME@20")
    assert [row["prediction"] for row in changed] == [f"{row['prediction']}!" for row in ours]


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder
