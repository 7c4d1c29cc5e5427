"""Who judges, by the real commands: said when a run starts, kept only once it began, planned as it will be."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chat_server import running
from tests.conftest import Workplace, make_benchmark
from vlmake.runs.work_dir import hold_work_dir

SECRET = "canary-5f1c"
NO_KEYS = {"OPENAI_API_KEY": "", "OPENAI_API_BASE": "", "OPENAI_BASE_URL": "", "LOCAL_LLM": ""}
SCORE = "results/Served/Mini_score{}.csv"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A work directory with the scores of rules and of one judge; both servers still answer."""
    base = tmp_path_factory.mktemp("judged")
    place = Workplace(base / "work dir", base / "home")
    place.folder.mkdir()
    place.home.mkdir()
    place.datasets["Mini"] = make_benchmark(base / "tsv", "Mini", 24)
    place.config.update(models=["Served"], datasets=["Mini"])
    with running(mumbles=True) as server, running(judges=True) as judging:
        place.models["Served"] = {"backend": "endpoint", "api_base": server.url, "served_model": "m"}
        place.judges["slow"] = {"api_base": judging.url, "served_model": "judge-1"}
        first = place.vlmake("run", **NO_KEYS)
        assert first.code == 0, first.output
        said = first.output.splitlines()
        assert said[0] == "judge: exact matching; neither OPENAI_API_KEY nor LOCAL_LLM is set"
        yield place


@pytest.fixture
def place(once: Workplace, tmp_path: Path) -> Workplace:
    return once.copy_to(tmp_path / "work dir")


def test_a_target_is_shown_with_the_judge_in_its_name(place: Workplace) -> None:
    done = place.vlmake(SCORE.format(".slow"), **NO_KEYS)
    assert done.code == 0, done.output
    assert done.output.splitlines()[0] == "judge: slow; so says the file's name"
    assert "judge slow decided" in done.output
    lock = place.folder / "judge.lock"
    assert json.loads(lock.read_text(encoding="utf-8"))["judge"] == "exact"
    done = place.vlmake(SCORE.format(""), "--judge", "slow", **NO_KEYS)
    assert json.loads(lock.read_text(encoding="utf-8"))["judge"] == "slow"
    assert done.code == 0, done.output
    assert done.output.splitlines()[0] == "judge: exact matching; so says the file's name"
    assert "Mini  protocol" in done.output
    assert "judge slow decided" not in done.output


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--judge", "own"), "judge: each benchmark's own; it was asked for by name; by rules alone: Mini"),
        (("results/summary.csv",), "judge: exact matching; settled in judge.lock; --judge changes it"),
        (("--mode", "infer"), None),
        (("results/Served/Mini_predictions.parquet",), None),
    ],
)
def test_who_judges_is_said_where_something_is_scored(
    place: Workplace, words: tuple[str, ...], line: str | None
) -> None:
    done = place.vlmake("run", "--dry-run", *words, **NO_KEYS)
    assert done.code == 0, done.output
    assert [said for said in done.output.splitlines() if said.startswith("judge: ")] == ([line] if line else [])


def test_a_run_that_does_not_begin_keeps_no_judge(place: Workplace) -> None:
    lock = place.folder / "judge.lock"
    kept = lock.read_text(encoding="utf-8")
    assert place.vlmake("run", "--judge", "slow", "--data", "Minni", **NO_KEYS).code == 1
    assert lock.read_text(encoding="utf-8") == kept
    with hold_work_dir(place.folder):
        done = place.vlmake("run", "--judge", "slow", **NO_KEYS)
    assert (done.code, done.output.count("\n")) == (1, 1), done.output
    assert f"is in use by pid {os.getpid()}" in done.output
    assert lock.read_text(encoding="utf-8") == kept


def test_a_plan_is_of_the_judge_that_auto_would_settle_on(place: Workplace) -> None:
    place.datasets["Mini"]["judge"] = "slow"
    (place.folder / "results" / "summary.csv").unlink()
    planned = place.vlmake("results/summary.csv", "--judge", "auto", "--dry-run", **NO_KEYS | {"OPENAI_API_KEY": "k"})
    assert planned.code == 0, planned.output
    assert "judge: each benchmark's own; OPENAI_API_KEY is set" in planned.output
    assert "judge Served/Mini/slow" in planned.jobs
    assert json.loads((place.folder / "judge.lock").read_text(encoding="utf-8"))["judge"] == "exact"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (f"http://user:{SECRET}@localhost:9/v1", "api_base 'http://localhost:9/v1' holds a user name or password"),
        (f"http://[{SECRET}", "api_base '…' is no URL: write http(s)://host[:port][/v1]"),
    ],
)
def test_a_wrong_address_of_a_judge_is_one_line_without_the_secret(place: Workplace, address: str, says: str) -> None:
    keyed = NO_KEYS | {"OPENAI_API_KEY": "k", "OPENAI_API_BASE": address}
    done = place.vlmake("run", "--judge", "gpt-4o", **keyed)
    assert (done.code, done.output.count("\n")) == (1, 1), done.output
    assert f"judge 'gpt-4o-2024-11-20': {says}" in done.output or f"judge 'gpt-4o': {says}" in done.output
    assert SECRET not in done.output
    assert json.loads((place.folder / "judge.lock").read_text(encoding="utf-8"))["judge"] == "exact"
