"""A finished evaluation that every test starts from, made once."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Workplace, make_benchmark

PRODUCT = ("src", "workflow", "config", "profiles", "resources")
SCORE = "results/TinyVLM/Mini_score.csv"


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    base = tmp_path_factory.mktemp("finished")
    place = Workplace(base / "work dir", base / "home")
    place.folder.mkdir()
    place.home.mkdir()
    place.datasets["Mini"] = make_benchmark(base / "tsv", "Mini", 24)
    place.config.update(models=["TinyVLM"], datasets=["Mini"])
    place.product = base / "product"
    for name in PRODUCT:
        shutil.copytree(REPOSITORY / name, place.product / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "Snakefile", place.product)
    ran = place.snakemake()
    assert ran.code == 0, ran.output
    assert ran.jobs == [
        "all",
        "decode Mini",
        "download Mini",
        "infer TinyVLM/Mini",
        "report",
        "score TinyVLM/Mini",
        "summary",
    ]
    return place


@pytest.fixture
def finished(finished_once: Workplace, tmp_path: Path) -> Workplace:
    """A copy of the finished work directory, free to be changed; its product is shared."""
    return finished_once.copy_to(tmp_path / "work dir")


@pytest.fixture
def own_product(finished: Workplace, tmp_path: Path) -> Workplace:
    """A finished work directory whose product may be changed as well."""
    shutil.copytree(finished.product, tmp_path / "product")
    finished.product = tmp_path / "product"
    return finished


@pytest.fixture
def without_torch(tmp_path: Path) -> str:
    """A PYTHONPATH entry under which importing torch or transformers fails: no model can be loaded."""
    folder = tmp_path / "no torch"
    for name in ("torch", "transformers"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise ImportError('a model would be loaded')", encoding="utf-8")
    return str(folder)
