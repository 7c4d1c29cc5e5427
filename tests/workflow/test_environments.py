"""Models that need other libraries than vlmake's own, told by the real Snakemake, uv and package index."""

import json
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.checkpoints import llava_published
from tests.conftest import REPOSITORY, TINY_VLM, Workplace
from tests.tiny_class import SOURCE
from tests.unit.test_environments import write_wheel
from vlmake.environments import building
from vlmake.environments.locks import read_lock, shipped_locks

OLD, NEW, NEWEST = "4.49.0", "4.57.6", "5.23.0"

# An engine that is nowhere but in its environment; its answers tell that environment's version of it.
ENGINE = f"""
import json, runpy, sys

__version__ = "0.2"

def main():
    message = {{"role": "assistant", "content": f"Yes, says {{__version__}}"}}
    body = {{"choices": [{{"index": 0, "message": message, "finish_reason": "stop"}}]}}
    sys.argv = ["server", json.dumps({{"port": int(sys.argv[1]), "fixed": {{"body": body}}}})]
    runpy.run_path({str(REPOSITORY / "tests" / "chat_server.py")!r}, run_name="__main__")
"""
CLASS = """
import tiny_engine

class Mine:
    def generate(self, messages):
        return f"Yes, says {tiny_engine.__version__}"
"""


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip, aloud, where the packages of the test environments cannot be had."""
    folder = tmp_path_factory.mktemp("index")
    for number, version in enumerate((OLD, NEW, NEWEST)):
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


def test_an_engine_and_a_class_run_in_an_environment_of_their_own(workplace: Workplace, tmp_path: Path) -> None:
    write_wheel(tmp_path, "tiny_engine", "0.2", ENGINE, command="tiny-engine")
    lock = tmp_path / "engine.txt"
    lock.write_text(f"--no-index\n--find-links {tmp_path}\ntiny_engine==0.2\n", encoding="utf-8")
    folder = workplace.folder / "config" / "models"
    folder.mkdir(parents=True)
    (folder / "my_module.py").write_text(CLASS, encoding="utf-8")
    engine = {"backend": "server", "path": str(TINY_VLM), "command": "tiny-engine {port}", "start_timeout": 60}
    workplace.models["Served"] = {**engine, "gpus": 0, "run_in": str(lock)}
    workplace.models["Class"] = {"backend": "plugin", "model": "my_module:Mine", "gpus": 0, "run_in": str(lock)}
    workplace.models["Without"] = {**engine, "gpus": 0}
    workplace.config["models"] = ["Served", "Class"]
    ran = workplace.snakemake()
    assert ran.code == 0, ran.output
    assert len([job for job in ran.jobs if job.startswith("environment engine")]) == 1
    for model in ("Served", "Class"):
        assert {row["prediction"] for row in workplace.predictions(model, "Mini")} == {"Yes, says 0.2"}
        assert made_by(workplace, model)["settings"]["locked"] == read_lock(lock).digest
    ran = workplace.snakemake("--", "results/Without/Mini_predictions.parquet")
    assert ran.code != 0
    assert "vlmake infer: the server ended before it answered: exit status 127: tiny-engine: No such file" in ran.output


@pytest.mark.slow
def test_a_class_and_an_engine_run_with_other_libraries(models: Workplace) -> None:
    path = models.models["Own"]["path"]
    (models.folder / "config" / "models").mkdir(parents=True)
    (models.folder / "config" / "models" / "my_module.py").write_text(SOURCE, encoding="utf-8")
    arguments = {"model_path": path, "do_sample": False, "max_new_tokens": 4}
    command = "transformers serve {path} --device cpu --dtype float32 --port {port}"
    models.models["Class"] = {"backend": "plugin", "model": "my_module:Tiny", "arguments": arguments}
    models.models["Engine"] = {"backend": "server", "path": path, "command": command}
    models.models["Class"] |= {"gpus": 0, "run_in": f"transformers-{NEW}"}
    models.models["Engine"] |= {"gpus": 0, "run_in": f"transformers-{NEWEST}"}
    models.config["models"] = ["Own", "Class", "Engine"]
    ran = run(models)
    assert ran.code == 0, ran.output
    texts = {model: [row["prediction"] for row in models.predictions(model, "Mini")] for model in ("Own", "Class")}
    assert texts["Class"] == texts["Own"]
    assert [row["prediction"] for row in models.predictions("Engine", "Mini")] == texts["Own"]
    record = json.loads(next(models.result("Class", "Mini/journal").glob("*.record.json")).read_text("utf-8"))
    assert record["backend"]["libraries"]["transformers"] == NEW
    log = models.result("Engine", "_server.log").read_text(encoding="utf-8")
    assert "/v1/chat/completions" in log


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
