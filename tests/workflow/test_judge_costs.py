"""What judges cost, by the real commands: said before a run, and never more than was allowed."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.chat_server import Running, running
from tests.conftest import Workplace

A_REPLY = 0.1  # 100 tokens at 1,000 a million


def replies(place: Workplace) -> int:
    files = (place.folder / "results").glob("*/*/judge/local/*.jsonl")
    return sum(len(file.read_text(encoding="ascii").splitlines()) for file in files)


def previewed(place: Workplace, *words: str) -> dict[str, list[str]]:
    """The table of a dry run: the numbers of each line by its first word."""
    ran = place.vlmake("run", "--judge", "local", "--dry-run", *words)
    assert ran.code == 0, ran.output
    table = ran.output.partition("Assuming")[0].partition("SNAKEMAKE")[0]
    return {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.strip()}


@pytest.fixture
def judging() -> Iterator[Running]:
    with running(judges=True) as server:
        yield server


@pytest.fixture
def place(workplace: Workplace, judging: Running) -> Iterator[Workplace]:
    """A work directory with a model that mumbles every other answer, and a judge with a price."""
    with running(mumbles=True) as server:
        asked = {"api_base": server.url, "served_model": "m", "retry_interval": 0.05}
        workplace.models["Served"] = {"backend": "endpoint", "price": {"input": 10.0, "output": 0.0}, **asked}
        priced = {"price": {"input": 1000.0, "output": 0.0}}
        workplace.judges["local"] = {"api_base": judging.url, "served_model": "judge-1", **priced}
        workplace.config.update(models=["Served"], datasets=["Mini"])
        yield workplace


def test_a_limit_holds_over_all_runs_and_a_higher_one_lets_the_same_command_go_on(
    place: Workplace, judging: Running
) -> None:
    table = previewed(place)
    assert table["Served"] == ["24", "?", "≤96", "?"] or table["Served"][:2] == ["Mini", "24"]
    assert not (place.folder / "results").exists()

    stopped = place.vlmake("run", "--judge", "local", "--max-judge-cost", "0.35")
    assert stopped.code != 0
    assert "max_cost 0.35 would be passed: 0.3000 was spent; raise it" in stopped.output
    assert replies(place) == 3

    table = previewed(place, "--max-judge-cost", "0.5")
    left = int(table["total"][1])
    assert table["total"][0] == "0"
    asked = sum(judging.stats()["calls"].values())
    done = place.vlmake("run", "--judge", "local", "--max-judge-cost", "100")
    assert done.code == 0, done.output
    assert replies(place) == 3 + left
    assert sum(judging.stats()["calls"].values()) == asked + left + 2  # and two that see whether it answers
    judged = pq.read_table(place.result("Served", "Mini_judgements.local.parquet"))
    assert len(judged) >= 3 + left
    assert previewed(place)["total"] == ["0", "0", "0", "0.00"]
    assert place.vlmake("run", "--judge", "local", "--max-judge-cost", "200", "-n").jobs == []


def test_what_the_judge_cost_on_other_answers_counts(place: Workplace) -> None:
    place.datasets["Other"] = {**place.datasets["Mini"], "path": str(_other_rows(place))}
    assert place.vlmake("run", "--judge", "local").code == 0
    spent = replies(place)
    limit = spent * A_REPLY + 2.5 * A_REPLY
    stopped = place.vlmake("run", "--data", "Other", "--judge", "local", "--max-judge-cost", f"{limit:.2f}")
    assert stopped.code != 0
    assert f"{(spent + 2) * A_REPLY:.4f} was spent" in stopped.output
    assert replies(place) == spent + 2


def _other_rows(place: Workplace) -> Path:
    """The benchmark with its questions in other words."""
    tsv = Path(str(place.datasets["Mini"]["path"]))
    header, *rows = tsv.read_text(encoding="utf-8").splitlines(keepends=True)
    target = tsv.with_name("Other.tsv")
    target.write_text(header + "".join(row.replace(" there ", " there, do you think, ") for row in rows), encoding="utf-8")
    return target
