"""Models that need other libraries than vlmake's own, told by the real Snakemake, uv and package index."""

import json
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.checkpoints import llava_published
from tests.conftest import Workplace
from vlmake.environments import building
from vlmake.environments.locks import shipped_locks

OLD, NEW = "4.49.0", "4.57.6"


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip, aloud, where the packages of the test environments cannot be had."""
    folder = tmp_path_factory.mktemp("index")
    for number, version in enumerate((OLD, NEW)):
        lock = shipped_locks()[f"transformers-{version}"]
        command = ["pip", "install", "--dry-run", "--quiet", "--no-deps", "--target", str(folder / str(number))]
        tried = subprocess.run([building.find_uv(), *command, "-r", str(lock)], capture_output=True, text=True)
        if tried.returncode:
            warnings.warn(f"ENVIRONMENTS ARE NOT TESTED: no package index ({tried.stderr.strip()})", stacklevel=1)
            pytest.skip("no package index: environments are not tested")


@pytest.fixture
def models(workplace: Workplace, tmp_path: Path, index: None) -> Workplace:
    """One checkpoint in vlmake's own environment and in two others."""
    path = str(llava_published.write(tmp_path / "published"))
    plain = {"path": path, "dtype": "float32", "device": "cpu"}
    workplace.models["Own"] = plain
    workplace.models["Old"] = {**plain, "run_in": f"transformers-{OLD}"}
    workplace.models["New"] = {**plain, "run_in": f"transformers-{NEW}"}
    workplace.config["models"] = ["Own", "Old", "New"]
    uv_cache = subprocess.run(
        [building.find_uv(), "cache", "dir"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    workplace.home.joinpath("uv-cache").symlink_to(uv_cache)
    return workplace


def run(place: Workplace, *words: str) -> Any:
    return place.snakemake(*words, UV_CACHE_DIR=str(place.home / "uv-cache"))


def made_by(place: Workplace, model: str) -> dict[str, Any]:
    metadata = pq.read_schema(place.result(model, "Mini_predictions.parquet")).metadata
    content: dict[str, Any] = json.loads(metadata[b"vlmake"])
    return content


def answers(place: Workplace, model: str) -> list[tuple[object, object]]:
    return [(row["prediction"], row["prompt_tokens"]) for row in place.predictions(model, "Mini")]


def markers(place: Workplace) -> list[Path]:
    return sorted((place.folder / "data" / "environments").glob("*.json"))


@pytest.mark.slow
def test_models_with_conflicting_libraries_run_in_one_workflow(models: Workplace) -> None:
    ran = run(models)
    assert ran.code == 0, ran.output
    assert [job for job in ran.jobs if job.startswith("environment")] == [
        f"environment transformers-{version}/{marker.stem[-16:]}"
        for version, marker in zip((OLD, NEW), markers(models), strict=True)
    ]
    versions = {model: made_by(models, model)["versions"]["transformers"] for model in ("Own", "Old", "New")}
    assert (versions["Old"], versions["New"]) == (OLD, NEW)
    assert versions["Own"].startswith("5.")
    assert answers(models, "Old") == answers(models, "New") == answers(models, "Own")
    locked = {model: made_by(models, model)["settings"].get("locked") for model in versions}
    digests = [json.loads(marker.read_text(encoding="utf-8"))["lock"] for marker in markers(models)]
    assert [locked["Own"], locked["Old"], locked["New"]] == [None, *digests]
    detail = json.loads(models.result("Old", "Mini_score.json").read_text(encoding="utf-8"))
    assert detail["provenance"]["predictions"]["settings"]["trust_remote_code"] is False

    python = Path(json.loads(markers(models)[0].read_text(encoding="utf-8"))["python"])
    size = sum(file.lstat().st_size for file in python.parents[1].rglob("*") if not file.is_dir())
    assert size < 200e6, "torch is the core's"
    ran = run(models)
    assert (ran.code, ran.jobs) == (0, []), ran.output

    # Half of an environment is gone: nothing that is finished is made again, and what needs it makes it again.
    next(python.parents[1].glob("lib/*/site-packages/tokenizers")).rename(models.folder / "gone")
    ran = run(models)
    assert (ran.code, ran.jobs) == (0, []), ran.output
    ran = run(models, "--", "results/Old/Mini@2_predictions.parquet")
    assert ran.code == 0, ran.output
    assert [job.split("/")[0] for job in ran.jobs] == ["environment transformers-4.49.0", "infer Old"]

    # Other locked versions ask again; other words about them do not.
    lock = shipped_locks()[f"transformers-{OLD}"].read_text(encoding="utf-8")
    mine = models.folder / "config" / "models" / "transformers-4.49.0.txt"
    mine.write_text(f"# mine\n{lock}", encoding="utf-8")
    models.models["Old"]["run_in"] = "./transformers-4.49.0.txt"
    ran = run(models, "--dry-run")
    assert ran.jobs == [], ran.output
    mine.write_text(lock.replace(OLD, "4.50.3"), encoding="utf-8")
    ran = run(models, "--dry-run")
    assert {"infer Old/Mini", "score Old/Mini"} <= set(ran.jobs)
    assert [job for job in ran.jobs if job.startswith("environment")] != []
    assert not [job for job in ran.jobs if "New" in job or "Own" in job]


def test_an_environment_that_cannot_be_resolved_stops_its_model_alone(models: Workplace) -> None:
    lock = models.folder / "impossible.txt"
    lock.write_text("--no-index\nno-such-package==1.0\n", encoding="utf-8")
    models.models["Old"]["run_in"] = str(lock)
    models.config["models"] = ["Old", "Own"]
    ran = run(models)
    assert ran.code != 0
    said = [line for line in ran.output.splitlines() if line.startswith("vlmake ")]
    assert len(said) == 1, ran.output
    assert said[0].startswith(f"vlmake environment: environment impossible ({lock}) cannot be made: ")
    assert "no-such-package" in said[0]
    assert models.result("Own", "Mini_score.csv").is_file()
    assert not models.result("Old", "Mini_predictions.parquet").exists()
    assert markers(models) == []
