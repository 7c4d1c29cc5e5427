"""A judge that misbehaves in every way, is killed, or is asked by two at once: no verdict differs, none is made up."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.chat_server import MIX, Running, running
from tests.conftest import REPOSITORY
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.judges.asking import Case, Judgement
from vlmake.judges.deciding import asked_twice, cases_of, decide, refuse_errors
from vlmake.judges.judge_spec import JudgeSpec, resolve
from vlmake.judges.judgements import read_judgements
from vlmake.judges.opening import JudgeAtHand
from vlmake.judges.registry import load_judging
from vlmake.registry.judge_entries import JudgeEndpointEntry

SAMPLES = 2374


def rows(count: int = SAMPLES) -> pd.DataFrame:
    """Answers that no rule can read, each of its own."""
    return pd.DataFrame(
        {
            "index": [str(number) for number in range(count)],
            "question": [f"Is there a dog in picture {number}?" for number in range(count)],
            "answer": "Yes",
            "category": "existence",
            "image_path": [f"{number // 2}.png" for number in range(count)],
            "raw": [f"Well, number {number} could be seen like that." for number in range(count)],
        }
    )


def judge(server: Running, **settings: Any) -> JudgeSpec:
    keys = {"api_base": server.url, "served_model": "judge-1", "timeout": 0.5, "retry_interval": 0.05, **settings}
    return resolve("shaky", JudgeEndpointEntry.model_validate({**keys, "api_key": None}))


def decided(server: Running, journal: Path, **settings: Any) -> list[Judgement]:
    judging = load_judging("yes_no")
    return decided_of(cases_of(rows(), judging), [], judge(server, **settings), journal)[0]


def decided_of(
    cases: Sequence[Case], twice: Sequence[Case], spec: JudgeSpec, journal: Path
) -> tuple[list[Judgement], list[Judgement]]:
    with JudgeAtHand(spec, None) as opened:
        return decide(cases, twice, load_judging("yes_no"), spec, journal, opened, "judge shaky")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """Without faults."""
    folder = tmp_path_factory.mktemp("faultless")
    os.chdir(folder)
    with running(judges=True) as server:
        found = {one.index: one.verdict for one in decided(server, folder / "journal", timeout=30)}
        assert max(server.stats()["calls"].values()) == 1
    assert len(found) == SAMPLES
    assert set(found.values()) == {"Yes", "No", "none"}
    return found


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_every_item_is_judged_as_without_faults_or_is_a_judge_error(
    seed: int, verdicts: dict[str, str | None], tmp_path: Path
) -> None:
    faults = [*MIX, "wrong schema"]
    with running(judges=True, latency=0.05, fault_share=0.3, faults=faults, seed=seed) as server:
        found = decided(server, tmp_path / "journal")
        calls = server.stats()["calls"].values()
    assert len(found) == SAMPLES
    assert {one.status for one in found} <= {"found", "judge_error"}
    assert {one.index: one.verdict for one in found if one.status == "found"} == {
        one.index: verdicts[one.index] for one in found if one.status == "found"
    }
    assert sum(one.status == "judge_error" for one in found) <= 1
    assert max(calls) <= 12
    assert any(one.asks > 1 for one in found), "some replies were no verdicts and were asked again"


def test_a_reply_that_never_is_a_verdict_leaves_the_sample_unresolved(tmp_path: Path) -> None:
    reply = {"choices": [{"message": {"content": "I would rather not say."}, "finish_reason": "stop"}]}
    judging = load_judging("yes_no")
    with running(fixed={"body": reply}) as server:
        cases = cases_of(rows(3), judging)
        found = decided_of(cases, [], judge(server), tmp_path / "journal")[0]
        assert sorted(server.stats()["calls"].values()) == [1] * 16, (
            "each five times, in five different ways, and a check"
        )
    assert {(one.status, one.rule, one.verdict, one.asks) for one in found} == {
        ("unresolved", "judge_unreadable", None, 5)
    }
    refuse_errors(found, 0, "judge shaky")


def test_a_server_without_schemas_is_asked_without(tmp_path: Path) -> None:
    judging = load_judging("yes_no")
    with running(judges=True, takes_schemas=False) as server:
        found = decided_of(cases_of(rows(20), judging), [], judge(server), tmp_path / "j")[0]
        assert "response_format" not in server.stats()["last"]
    assert {one.status for one in found} == {"found"}


def test_asking_twice_costs_nothing_when_it_is_done_again(tmp_path: Path) -> None:
    judging = load_judging("yes_no")
    cases = cases_of(rows(200), judging)
    twice = asked_twice(cases, 0.25)
    assert 20 < len(twice) < 80
    assert asked_twice(cases[:100], 0.25) == [case for case in twice if case in cases[:100]]
    with running(judges=True) as server:
        first = decided_of(cases, twice, judge(server), tmp_path / "j")
        calls = sum(server.stats()["calls"].values())
        assert calls == 200 + len(twice) + 1
        assert decided_of(cases, twice, judge(server), tmp_path / "j") == first
        assert sum(server.stats()["calls"].values()) == calls


def command(folder: Path, server: Running) -> list[str]:
    """The stage's own program on files in ``folder``."""
    samples = rows(400).drop(columns=["raw"]).assign(image_error=None, group=[str(n // 2) for n in range(400)])
    predictions = pd.DataFrame({"index": samples["index"], "prediction": rows(400)["raw"], "status": "ok"})
    for name, frame in (("samples", samples), ("predictions", predictions)):
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / f"{name}.parquet")
    registry = folder / "registry"
    registry.mkdir()
    entry = {"api_base": server.url, "served_model": "judge-1", "nproc": 4, "timeout": 5}
    (registry / "judges.yaml").write_text(json.dumps({"judges": {"slow": entry}}), encoding="utf-8")
    spec = {"dataset": "Mini", "task": "yes_no", "metric": "mme", "judge": "slow", "judging": "yes_no"}
    files = [f"--{name}={folder / name}.parquet" for name in ("samples", "predictions", "judgements")]
    script = REPOSITORY / "workflow" / "scripts" / "judge.py"
    return [
        *(sys.executable, str(script), f"--registry={registry}", "--judge=slow", "--model=M"),
        *(f"--spec={json.dumps(spec)}", f"--journal={folder / 'journal'}", *files),
    ]


def journaled(folder: Path) -> list[str]:
    lines = [line for file in (folder / "journal").glob("*.jsonl") for line in file.read_text("ascii").splitlines()]
    return [json.loads(line)["key"] for line in lines if line.endswith("}")]


def test_kills_at_any_moment_lose_no_verdict_and_double_none(tmp_path: Path) -> None:
    with running(judges=True, latency=0.02) as server:
        words = command(tmp_path, server)
        for reached in (1, 40, 150, 300):
            process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL)
            while process.poll() is None and len(journaled(tmp_path)) < reached:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert not (tmp_path / "judgements.parquet").exists()
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        asked = server.stats()["calls"]
    keys = journaled(tmp_path)
    assert len(keys) == len(set(keys)) == 400
    found = read_judgements(tmp_path / "judgements.parquet")
    assert len(found.rows) == 400
    assert sum(asked.values()) <= 400 + 5 + 4 * 16, "what was under way at a kill is asked again, and nothing else"


def test_two_at_once_share_the_work(tmp_path: Path) -> None:
    with running(judges=True, latency=0.01) as server:
        words = command(tmp_path, server)
        other = [word.replace("judgements.parquet", "others.parquet") for word in words]
        both = [subprocess.Popen(each, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for each in (words, other)]
        said = [process.communicate()[1] for process in both]
        assert [process.returncode for process in both] == [0, 0], said
        assert any("another process asks about these" in text for text in said)
        assert sum(server.stats()["calls"].values()) <= 402
    one, two = (read_judgements(tmp_path / f"{name}.parquet") for name in ("judgements", "others"))
    assert one.rows == two.rows


def test_a_judge_that_gives_no_verdict_at_all_is_stopped_after_a_few_samples(tmp_path: Path) -> None:
    reply = {"choices": [{"message": {"content": "What a nice picture!"}, "finish_reason": "stop"}]}
    with running(fixed={"body": reply}) as server:
        cases = cases_of(rows(200), load_judging("yes_no"))
        for _ in range(2):  # the second time its journal says it
            with pytest.raises(EndpointStoppedError, match=r"no verdict on the first 8 samples.*What a nice picture!"):
                decided_of(cases, [], judge(server), tmp_path / "journal")
            assert sum(server.stats()["calls"].values()) == 8 * 5 + 1
