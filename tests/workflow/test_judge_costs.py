"""What judges cost, by the real commands: said before a run, and never more than was allowed."""

from collections.abc import Iterator

import pytest

from tests.chat_server import Running, running
from tests.conftest import Workplace


def replies(place: Workplace) -> int:
    files = (place.folder / "results").glob("*/*/judge/local/*.jsonl")
    return sum(len(file.read_text(encoding="ascii").splitlines()) for file in files)


def totals(output: str) -> list[str]:
    """Samples to infer, calls of judges, tokens and money, as a dry run says them."""
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
        workplace.config.update(models=["Served"], datasets=["Mini"])
        yield workplace


def test_a_limit_stops_the_judge_in_time_and_the_same_command_with_a_higher_one_goes_on(
    place: Workplace, judging: Running
) -> None:
    stopped = place.vlmake("run", "--judge", "local", "--max-judge-cost", "0.35")  # a reply costs 0.1
    assert stopped.code != 0
    assert "max_cost 0.35 would be passed: 0.3000 was spent; raise it" in stopped.output
    assert replies(place) == 3

    planned = place.vlmake("run", "--judge", "local", "--dry-run", "--max-judge-cost", "0.35")
    assert planned.jobs == ["judge Served/Mini/local", "score_judged Served/Mini/local"]
    infer, left, *_ = totals(planned.output)
    assert infer == "0"
    assert "Judge local has cost 0.30 here so far" in planned.output
    assert "the run may stop there before it is done" in " ".join(planned.output.split())

    asked = sum(judging.stats()["calls"].values())
    done = place.vlmake("run", "--judge", "local", "--max-judge-cost", "100")
    assert done.code == 0, done.output
    assert replies(place) == 3 + int(left)
    assert sum(judging.stats()["calls"].values()) == asked + int(left) + 2  # two see whether the judge answers

    over = place.vlmake("run", "--judge", "local", "--dry-run", "--max-judge-cost", "200")
    assert over.jobs == [], over.output
    assert totals(over.output) == ["0", "0", "0", "0.00"]
