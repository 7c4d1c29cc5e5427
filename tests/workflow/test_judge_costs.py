"""What judges cost, by the real commands: said before a run, and never more than was allowed."""

from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from tests.chat_server import Running, running
from tests.conftest import Workplace
from vlmake.runs.preview_tokens import text_tokens


def replies(place: Workplace) -> int:
    files = (place.folder / "results").glob("*/*/judge/local/*.jsonl")
    return sum(len(file.read_text(encoding="ascii").splitlines()) for file in files)


def totals(output: str) -> list[str]:
    """Samples to infer, calls of judges, tokens and money over all targets, as a dry run says them."""
    return next(line.split()[1:] for line in output.splitlines() if line.startswith("total "))


@pytest.fixture
def judging() -> Iterator[Running]:
    with running(judges=True) as server:
        yield server


@pytest.fixture
def place(workplace: Workplace, judging: Running) -> Iterator[Workplace]:
    """A work directory with a model that mumbles every other answer, and a judge with a price."""
    with running(mumbles=True) as server:
        asked = {"api_base": server.url, "served_model": "m", "retry_interval": 0.05}
        workplace.models["Served"] = {"backend": "endpoint", **asked}
        priced = {"price": {"input": 1000.0, "output": 0.0}}
        workplace.judges["local"] = {"api_base": judging.url, "served_model": "judge-1", **priced}
        workplace.judges["other"] = {"api_base": "http://127.0.0.1:9", "served_model": "judge-2", **priced}
        workplace.config.update(models=["Served"], datasets=["Mini"])
        yield workplace


def test_a_limit_stops_the_judge_in_time_and_the_same_command_with_a_higher_one_goes_on(
    place: Workplace, judging: Running
) -> None:
    stopped = place.vlmake("run", "--judge", "local", "--max-judge-cost", "0.35")  # a reply costs 0.1
    assert stopped.code != 0
    assert "0.35 (max_cost, max_judge_cost), would be passed: 0.3000 was spent; raise it" in stopped.output
    assert replies(place) == 3

    asked = sum(judging.stats()["calls"].values())
    done = place.vlmake("run", "--judge", "local", "--max-judge-cost", "100")
    assert done.code == 0, done.output
    judged = pq.read_table(place.result("Served", "Mini_judgements.local.parquet")).to_pylist()
    prompts = {row["prompt"] for row in judged}  # equal ones are asked once
    open_answers = len(prompts)
    assert replies(place) == open_answers
    assert sum(judging.stats()["calls"].values()) == asked + open_answers - 3 + 2  # two see whether the judge answers

    scores = [f"results/Served/Mini_score.{name}.csv" for name in ("local", "other")]
    planned = place.vlmake("run", "--dry-run", "--judge", "local", "--max-judge-cost", "200", *scores)
    assert planned.jobs == ["judge Served/Mini/other", "score_judged Served/Mini/other"], planned.output
    infer, calls, _, cost = totals(planned.output)
    assert (infer, calls) == ("0", str(open_answers))
    assert cost == f"≤{sum(map(text_tokens, prompts)) / 1_000:.2f}"
    assert f"Judge local has cost {open_answers / 10:.2f} here so far, 0.00 are to come" in planned.output
