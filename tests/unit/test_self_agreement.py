"""A judge that is asked twice: how often it agrees with itself, and that a second run asks nothing again."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from vlmake.judges.account import about
from vlmake.judges.asking import Case, Judgement
from vlmake.judges.deciding import asked_twice, cases_of, decide
from vlmake.judges.judge_spec import JudgeSpec, resolve
from vlmake.judges.judgements import read_judgements, write_judgements
from vlmake.judges.opening import JudgeAtHand
from vlmake.judges.registry import load_judging
from vlmake.registry.judge_entries import JudgeEndpointEntry
from vlmake.scoring.protocols import ScoringSpec

CHOICE = load_judging("choice")
SPEC = ScoringSpec("MMStar", "multiple_choice", "choice", judge="wavering", judging="choice")


def rows(count: int) -> pd.DataFrame:
    index = [str(number) for number in range(count)]
    raw = [f"It has four legs, said visitor {number}." for number in range(count)]
    return pd.DataFrame({"index": index, "question": "Which?", "A": "dog", "B": "cat", "raw": raw}, dtype=object)


@contextmanager
def wavering(changes: int) -> Iterator[tuple[str, Counter[str]]]:
    """Serve a judge that says A, and B when asked a second time about each of the first ``changes`` rows.

    Yields its address and how often each prompt was asked.
    """
    asked: Counter[str] = Counter()
    lock = threading.Lock()

    class Judge(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            prompt = json.dumps(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"])
            with lock:
                asked[prompt] += "visitor" in prompt  # not the question by which it is seen to answer
                again = asked[prompt] > 1
            moved = again and any(f"visitor {number}." in prompt for number in range(changes))
            content = json.dumps({"answer": "B" if moved else "A"})
            choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 10, "completion_tokens": 1}
            body = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def spec_of(url: str) -> JudgeSpec:
    entry = JudgeEndpointEntry.model_validate(
        {"api_base": url, "api_key": None, "served_model": "m", "price": {"input": 1.0, "output": 1.0}}
    )
    return resolve("wavering", entry)


def ask(
    cases: list[Case], twice: list[Case], judge: JudgeSpec, journal: Path
) -> tuple[list[Judgement], list[Judgement]]:
    with JudgeAtHand(judge, None) as opened:
        return decide(cases, twice, CHOICE, judge, journal, opened, "t")


def judgement(index: str, verdict: str | None, status: str = "found") -> Judgement:
    return Judgement(index, f"k{index}", verdict, status, "judge", "p", "r", 1, 10, 1, 0.1, None)  # type: ignore[arg-type]


def agreement(first: list[Judgement], again: list[Judgement]) -> object:
    return about(first, again, spec_of("http://127.0.0.1:1/v1"), CHOICE, SPEC, len(first))["self_agreement"]


def test_self_agreement_counts_second_verdicts_that_equal_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cases = cases_of(rows(12), CHOICE)
    twice = cases[:8]
    with wavering(changes=3) as (url, asked):
        judge = spec_of(url)
        first, again = ask(cases, twice, judge, tmp_path / "journal")
        assert sum(asked.values()) == 20
        told = about(first, again, judge, CHOICE, SPEC, 12)
        assert told["self_agreement"] == {"asked": 8, "equal": 5}
        assert (told["requests"], told["prompt_tokens"]) == (20, 200)  # the second replies are paid for as well
        second = {one.index: one.verdict for one in again}
        write_judgements(first, second, {}, told, tmp_path / "j.parquet")
        once_more = ask(cases, twice, judge, tmp_path / "journal")
        assert once_more == (first, again) and sum(asked.values()) == 20
        ask(cases, cases, judge, tmp_path / "journal")  # a larger share asks the others alone
        assert sum(asked.values()) == 24
    kept = pq.read_table(tmp_path / "j.parquet").to_pylist()
    assert [row["verdict"] for row in kept] == ["A"] * 12
    assert [row["verdict_again"] for row in kept] == ["B"] * 3 + ["A"] * 5 + [None] * 4
    assert read_judgements(tmp_path / "j.parquet").about["self_agreement"] == {"asked": 8, "equal": 5}


def test_the_first_verdict_stays_when_twice_is_asked_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases = cases_of(rows(4), CHOICE)
    with wavering(changes=4) as (url, asked):
        judge = spec_of(url)
        alone, nothing = ask(cases, [], judge, tmp_path / "journal")
        first, again = ask(cases, cases[:2], judge, tmp_path / "journal")
    assert nothing == [] and first == alone and {one.verdict for one in first} == {"A"}
    assert [one.verdict for one in again] == ["B", "B"] and sum(asked.values()) == 6


def test_failed_calls_count_neither_for_nor_against_a_judge() -> None:
    first = [judgement("0", "A"), judgement("1", "B"), judgement("2", None, "judge_error"), judgement("3", "A")]
    again = [judgement("0", "A"), judgement("1", None, "judge_error"), judgement("2", "A"), judgement("3", "B")]
    assert agreement(first, again) == {"asked": 2, "equal": 1}
    assert agreement(first, []) is None


def test_a_verdict_and_none_at_all_differ_and_two_unreadable_replies_do_not() -> None:
    first = [judgement("0", None, "unresolved"), judgement("1", None, "unresolved")]
    again = [judgement("0", "A"), judgement("1", None, "unresolved")]
    assert agreement(first, again) == {"asked": 2, "equal": 1}


def test_who_is_asked_twice_rests_on_the_prompt_alone_and_comes_near_the_share() -> None:
    cases = cases_of(rows(4000), CHOICE)
    few = asked_twice(cases, 0.05)
    assert 150 <= len(few) <= 250  # 200 ± 3.6 standard errors
    assert asked_twice(list(reversed(cases)), 0.05) == list(reversed(few))
    assert {case.index for case in few} <= {case.index for case in asked_twice(cases, 0.2)}
    assert asked_twice(cases, 0) == [] and asked_twice(cases, 1) == cases
