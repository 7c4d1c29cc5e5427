"""Judges, by the real commands: what they settle, what their failure does, and what never changes silently."""

import csv
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from tests.chat_server import Running, running
from tests.conftest import TINY_VLM, Workplace, make_benchmark, read_tsv, write_tsv

CANARY = "sk-canary-9f8e7d6c5b4a"
NO_KEYS = {"OPENAI_API_KEY": "", "OPENAI_API_BASE": "", "LOCAL_LLM": ""}


def endpoint(url: str, **settings: object) -> dict[str, object]:
    return {"backend": "endpoint", "api_base": url, "served_model": "m", "retry_interval": 0.05, **settings}


def judge(url: str, **settings: object) -> dict[str, object]:
    return {"api_base": url, "served_model": "judge-1", "retry_interval": 0.05, **settings}


def detail(place: Workplace, name: str, dataset: str = "Mini") -> dict[str, Any]:
    file = place.result("Served", f"{dataset}_score{name}.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def verdicts(place: Workplace, name: str) -> list[dict[str, Any]]:
    return pq.read_table(place.result("Served", f"Mini_judgements.{name}.parquet")).to_pylist()


def calls(server: Running) -> int:
    return sum(server.stats()["calls"].values())


def files_with(folder: Path, word: str) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and word.encode() in file.read_bytes()]


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """The command lines of all processes that live meanwhile."""
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            seen.update(" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"]))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


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


def test_two_judges_stand_beside_the_rules_and_nobody_is_asked_twice(place: Workplace, judging: Running) -> None:
    place.judges["first"] = judge(judging.url, price={"input": 1000, "output": 1000})
    place.judges["second"] = judge(judging.url, revision="b")
    done = place.vlmake("run", "--judge", "first", "--self-agreement", "0.5")
    assert done.code == 0, done.output
    assert "judge: first; it was asked for by name" in done.output
    score, rows = detail(place, ".first"), verdicts(place, "first")
    mumbled = [row["index"] for row in place.predictions("Served", "Mini") if row["prediction"].startswith("Well")]
    assert [row["index"] for row in rows] == mumbled, "rules read the others"
    assert score["judge"] == "first"
    told = score["judging"]
    assert (told["asked"], told["found"], told["unresolved"]) == (len(rows), len(rows), 0)
    assert (
        told["self_agreement"]["asked"]
        == told["self_agreement"]["equal"]
        == sum(row["verdict_again"] is not None for row in rows)
    )
    assert 0 < told["self_agreement"]["asked"] < len(rows)
    assert score["protocols"]["strict"]["extraction"] == {"found": 24, "unresolved": 0, "judged": len(rows)}
    assert told["cost"] == pytest.approx(0.101 * told["requests"])
    assert all(json.loads(row["reply"])["answer"] == row["verdict"] for row in rows)
    assert f"judge first decided {len(rows)} of 24 samples" in done.output
    page = (place.folder / "results" / "report" / "index.html").read_text(encoding="utf-8")
    assert f"judge first decided {len(rows)} of 24 samples" in page
    assert "Judge’s reply" in page

    before = calls(judging)
    done = place.vlmake("run", "--judge", "second")
    assert done.code == 0, done.output
    assert calls(judging) > before
    assert detail(place, ".second")["judge"] == "second"
    before, table = calls(judging), place.result("Served", "Mini_score.first.csv").read_text()
    place.result("Served", "Mini_judgements.first.parquet").unlink()
    place.result("Served", "Mini_score.first.csv").unlink()
    done = place.vlmake("run", "--judge", "first", "--self-agreement", "0.5")
    assert done.code == 0, done.output
    assert calls(judging) <= before + 2, "the judge was seen to answer, and asked nothing that its journal has"
    assert place.result("Served", "Mini_score.first.csv").read_text() == table
    done = place.vlmake("run", "--judge", "exact")
    assert done.code == 0, done.output
    assert "judging" not in detail(place, "")
    with (place.folder / "results" / "summary.csv").open(newline="", encoding="utf-8") as lines:
        told = sorted((line["judge"], line["judged"], line["judge_fallback"]) for line in csv.DictReader(lines))
    decided = str(len(mumbled))
    assert told == [("exact_matching", "", ""), ("first", decided, ""), ("second", decided, "")]


def test_a_shell_without_the_key_never_replaces_a_judged_score(place: Workplace, judging: Running) -> None:
    place.datasets["Mini"]["judge"] = "gpt-4o-mini"
    address = f"{judging.url}/v1/chat/completions?secret={CANARY}"
    keyed = {**NO_KEYS, "OPENAI_API_KEY": CANARY, "OPENAI_API_BASE": address}
    with command_lines() as seen:
        done = place.vlmake("run", **keyed)
    assert done.code == 0, done.output
    assert any("judge.py" in line for line in seen)
    assert not [line for line in seen if CANARY in line], "a key in a process list is a key for everybody"
    assert CANARY not in done.output
    assert "judge: each benchmark's own; OPENAI_API_KEY is set" in done.output
    assert judging.stats()["keys"] == [f"Bearer {CANARY}"]
    assert judging.stats()["last"]["model"] == "gpt-4o-mini-2024-07-18"
    assert judging.stats()["last"]["temperature"] == 0
    assert "response_format" in judging.stats()["last"]
    assert not files_with(place.folder, CANARY)
    before, table = calls(judging), place.result("Served", "Mini_score.gpt-4o-mini.csv").read_text()

    done = place.vlmake("run", **NO_KEYS)
    assert done.code == 0, done.output
    assert "settled in judge.lock; --judge changes it" in done.output
    assert "judge gpt-4o-mini decided" in done.output
    assert calls(judging) == before
    assert place.result("Served", "Mini_score.gpt-4o-mini.csv").read_text() == table
    assert not place.result("Served", "Mini_score.csv").exists()

    done = place.vlmake("run", "--judge", "auto", **NO_KEYS)
    assert done.code == 0, done.output
    assert place.result("Served", "Mini_score.csv").exists()
    assert json.loads((place.folder / "judge.lock").read_text())["judge"] == "exact"
    done = place.snakemake(**keyed)
    assert done.jobs == ["all", "report", "summary"] or done.jobs == []
    assert calls(judging) == before, "what was settled stays settled, with a key as well"


@pytest.mark.slow
def test_a_local_judge_as_users_of_vlmevalkit_name_it(place: Workplace, judging: Running) -> None:
    (place.folder / ".env").write_text(
        f"OPENAI_API_KEY=sk-123456\nOPENAI_API_BASE={judging.url}/v1/chat/completions\nLOCAL_LLM='/models/internlm'\n"
    )
    done = place.snakemake(**NO_KEYS)
    assert done.code == 0, done.output
    assert "judge Served/Mini/LOCAL_LLM" in done.jobs
    assert judging.stats()["last"]["model"] == "/models/internlm"
    assert detail(place, ".LOCAL_LLM")["judging"]["identity"] == "endpoint:/models/internlm@"


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, f"Incorrect API key provided: {CANARY}", "does not accept the key in MY_KEY"),
        pytest.param(429, "insufficient_quota", "the quota of the key in MY_KEY is used up", marks=pytest.mark.slow),
        pytest.param(404, "no such model", "check `api_base` and the model", marks=pytest.mark.slow),
    ],
)
def test_a_judge_that_does_not_answer_stops_the_run_before_any_inference(
    place: Workplace, status: int, error: str, says: str
) -> None:
    body = {"error": {"message": error, "code": error if status == 429 else None}}
    with running(fixed={"status": status, "body": body}) as server:
        place.judges["strict"] = judge(f"{server.url}/v1?secret={CANARY}", api_key="MY_KEY")
        done = place.vlmake("run", "--judge", "strict", MY_KEY=CANARY)
        assert done.code != 0
        assert says in done.output
        assert "Traceback" not in done.output
        assert calls(server) <= 5
        assert not place.result("Served", "Mini_predictions.parquet").exists()
        assert CANARY not in done.output
        assert {file.name for file in files_with(place.folder, CANARY)} <= {"judges.yaml"}

        done = place.vlmake("run", "--judge", "strict", "--judge-fallback", "exact", MY_KEY=CANARY)
        assert done.code == 0, done.output
        assert says in done.output
        assert "rules alone have scored" in done.output
        assert says in detail(place, ".strict")["judging"]["fallback"]
        assert CANARY not in done.output
        assert {file.name for file in files_with(place.folder, CANARY)} <= {"judges.yaml"}
    with running(judges=True, port=server.port):
        done = place.vlmake("run", MY_KEY=CANARY)
        assert done.code == 0, done.output
        assert detail(place, ".strict")["judging"]["found"] > 0
        assert "fallback" not in detail(place, ".strict")["judging"]


@pytest.mark.slow
def test_a_judge_error_is_no_score_and_is_asked_again(place: Workplace) -> None:
    with running(judges=True, fault_share=0.6, faults=["500", "cut json"], seed=3) as server:
        place.judges["shaky"] = judge(server.url, retry=3, nproc=1)
        done = place.vlmake("run", "--judge", "shaky")
        assert done.code != 0
        assert "samples failed (judge_error)" in done.output or "does not answer" in done.output
        assert not place.result("Served", "Mini_score.shaky.csv").exists()
    with running(judges=True, port=server.port) as repaired:
        done = place.vlmake("run")
        assert done.code == 0, done.output
        assert {row["status"] for row in verdicts(place, "shaky")} == {"found"}
        assert calls(repaired) <= len(verdicts(place, "shaky")) + 2


def test_a_grader_sees_every_answer_and_nothing_is_scored_without_it(place: Workplace, tmp_path: Path) -> None:
    rows = read_tsv(Path(str(place.datasets["Mini"]["path"])))
    header = [*rows[0][: rows[0].index("category")], "category"] if "category" in rows[0] else rows[0]
    cells = [dict(zip(rows[0], row, strict=True)) for row in rows[1:13]]
    graded = [header, *[[{**row, "category": "rec,ocr"}[name] for name in header] for row in cells]]
    write_tsv(tmp_path / "Graded.tsv", graded)
    place.datasets["Graded"] = {"path": str(tmp_path / "Graded.tsv"), "metric": "mmvet", "rows": 12}
    done = place.vlmake("run", "--data", "Graded", **NO_KEYS)
    assert done.code == 0, done.output
    assert "an LLM judge has to read its answers: name one with --judge" in done.output
    with running(judges=True) as server:
        place.judges["grader"] = judge(server.url)
        done = place.vlmake("run", "--data", "Graded", "--judge", "grader", **NO_KEYS)
        assert done.code == 0, done.output
    score = detail(place, ".grader", "Graded")
    assert (score["metric"], score["judging"]["asked"], score["judging"]["found"]) == ("mmvet", 12, 12)
    judged = pq.read_table(place.result("Served", "Graded_judgements.grader.parquet")).to_pylist()
    grades = [float(row["verdict"]) for row in judged]
    assert (len(grades), {row["status"] for row in judged}) == (12, {"found"})
    assert len(set(grades)) > 1
    for numbers in score["protocols"].values():
        assert numbers["extraction"] == {"found": 12, "unresolved": 0, "judged": 12}
        assert numbers["rows"][-1] == ["Overall", 12, pytest.approx(100 * sum(grades) / 12)]
    assert score["protocols"]["strict"]["overall"]["value"] == pytest.approx(100 * sum(grades) / 12)


@pytest.mark.slow
def test_a_judge_that_is_none_is_told_and_one_without_work_is_not_asked(place: Workplace) -> None:
    place.judges["gpt-mine"] = judge("http://127.0.0.1:9")
    done = place.vlmake("run", "--judge", "gpt-mein")
    assert done.code == 1
    assert "unknown judge 'gpt-mein'; did you mean 'gpt-mine'?" in done.output
    place.datasets["Open"] = {**place.datasets["Mini"], "task": "vqa", "metric": "vqa_exact"}
    done = place.vlmake("results/Served/Open_score.gpt-mine.csv")
    assert done.code == 1
    assert "leaves a judge nothing to do" in done.output
    done = place.vlmake("run", "--data", "Open", "--judge", "gpt-mine")
    assert done.code == 0, done.output
    assert place.result("Served", "Open_score.csv").exists()


def test_a_judge_of_ones_own_is_started_for_judging_and_stopped_after(place: Workplace) -> None:
    command = (
        f"{Path(sys.executable).parent / 'transformers'} serve {{path}} --device cpu --dtype float32 --port {{port}}"
    )
    entry = {"backend": "server", "path": str(TINY_VLM), "command": command, "gpus": 0, "max_new_tokens": 8}
    place.judges["tiny"] = entry
    done = place.vlmake("run", "--judge", "tiny", "--limit", "8")
    assert done.code == 0, done.output
    told = detail(place, ".tiny", "Mini@8")["judging"]
    assert told["asked"] == told["found"] + told["unresolved"] > 0, "what it says is a verdict or none, never a guess"
    assert told["judge_error"] == 0
    assert not [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(place.folder)], "it was stopped"
    for kind in ("judgements.tiny.parquet", "score.tiny.csv"):
        place.result("Served", f"Mini@8_{kind}").unlink()
    logs = {file: file.stat().st_size for file in (place.folder / "results" / "_judges").rglob("*.log")}
    assert logs
    done = place.vlmake("run", "--limit", "8")
    assert done.code == 0, done.output
    assert {file: file.stat().st_size for file in logs} == logs, "nothing is left to ask, so nothing is started"


@pytest.mark.slow
def test_one_judge_of_ones_own_serves_all_benchmarks_of_a_run(place: Workplace, tmp_path: Path) -> None:
    place.datasets["Other"] = make_benchmark(tmp_path / "tsv", "Other", 40)
    server = Path(__file__).resolve().parents[1] / "chat_server.py"
    command = f"""{sys.executable} {server} '{{"judges": true, "port": {{port}}}}'"""
    entry = {"backend": "server", "path": str(TINY_VLM), "command": command, "gpus": 0}
    place.judges["mine"] = entry
    done = place.vlmake("run", "--judge", "mine", "--data", "Mini", "Other")
    assert done.code == 0, done.output
    logs = [*(place.folder / "results" / "_judges").rglob("*.log")]
    started = [line for log in logs for line in log.read_text().splitlines() if line.strip().isdigit()]
    assert len(started) == 1, "it was started once"
    assert {detail(place, ".mine", name)["judging"]["judge_error"] for name in ("Mini", "Other")} == {0}


@pytest.mark.slow
def test_looking_takes_nothing_away_and_a_limit_on_money_is_no_silence(place: Workplace, judging: Running) -> None:
    place.judges["dead"] = judge("http://127.0.0.1:9")
    place.judges["dear"] = judge(judging.url, price={"input": 1000, "output": 0})
    place.judges["free"] = judge(judging.url)
    done = place.vlmake("run", "--judge", "dead", "--judge-fallback", "exact")
    assert done.code == 0, done.output
    asked = ("--config", "judge=dead", "judge_fallback=exact", "--")
    place.snakemake("--summary", *asked, "results/Served/Mini_score.dead.csv")
    assert "fallback" in detail(place, ".dead")["judging"], "a list of files takes none of them away"
    done = place.vlmake("run", "--judge", "dear", "--max-judge-cost", "0.35", "--judge-fallback", "exact")
    assert done.code != 0
    assert "the limit on money, 0.35 (max_cost, max_judge_cost), would be passed" in done.output
    assert not place.result("Served", "Mini_score.dear.csv").exists()
    assert "fallback" in detail(place, ".dead")["judging"], "another judge's score is none of this run's business"
    done = place.vlmake("run", "--judge", "free", "--max-judge-cost", "1", "--judge-fallback", "exact")
    assert done.code != 0
    assert "max_judge_cost needs the price of judge 'free'" in done.output


@pytest.mark.slow
def test_a_dead_judge_that_has_said_everything_is_not_missed(place: Workplace) -> None:
    with running(judges=True) as server:
        place.judges["mortal"] = judge(server.url)
        done = place.vlmake("run", "--judge", "mortal", "--self-agreement", "0.5")
        assert done.code == 0, done.output
    done = place.vlmake("run", "--self-agreement", "0.2")
    assert done.code == 0, done.output
    assert "judge mortal decided" in done.output


@pytest.mark.slow
def test_a_judge_that_gives_no_verdict_is_stopped_after_a_few(place: Workplace) -> None:
    reply = {"choices": [{"message": {"content": "What a nice picture!"}, "finish_reason": "stop"}]}
    with running(fixed={"body": reply}) as server:
        place.judges["useless"] = judge(server.url)
        done = place.vlmake("run", "--judge", "useless")
        assert done.code != 0
        assert "gave no verdict on the first 8 samples" in done.output
        assert "What a nice picture!" in done.output
        assert calls(server) <= 8 * 5 + 2
    assert not place.result("Served", "Mini_score.useless.csv").exists()
