"""Judges, by the real commands: what they settle, what their failure does, and what never changes silently."""

import json
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from tests.chat_server import Running, running
from tests.conftest import Workplace

CANARY = "sk-canary-9f8e7d6c5b4a"


def endpoint(url: str, **settings: object) -> dict[str, object]:
    return {"backend": "endpoint", "api_base": url, "served_model": "m", "retry_interval": 0.05, **settings}


def judge(url: str, **settings: object) -> dict[str, object]:
    return {"api_base": url, "served_model": "judge-1", "retry_interval": 0.05, **settings}


def detail(place: Workplace, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(place.result("Served", f"Mini_score{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def judging() -> Iterator[Running]:
    with running(judges=True) as server:
        yield server


@pytest.fixture
def place(workplace: Workplace) -> Iterator[Workplace]:
    """A work directory with a model that mumbles every other answer."""
    with running(mumbles=True) as server:
        workplace.models["Served"] = endpoint(server.url)
        workplace.config.update(models=["Served"], datasets=["Mini"])
        yield workplace


def test_a_judge_settles_what_rules_leave_open_and_the_score_says_so(place: Workplace, judging: Running) -> None:
    place.judges["local"] = judge(judging.url)
    done = place.vlmake("run", "--judge", "local")
    assert done.code == 0, done.output
    assert "judge: local; it was asked for by name" in done.output
    print(done.output)
    score = detail(place, ".local")
    rows = pq.read_table(place.result("Served", "Mini_judgements.local.parquet")).to_pylist()
    assert score["judge"] == "local"
    assert 0 < len(rows) < 24
    assert score["judging"]["asked"] == len(rows)
