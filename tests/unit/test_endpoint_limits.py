"""How much is asked of a server at once, and for how much money."""

import contextlib
import heapq
import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import running
from vlmake import paths
from vlmake.backends.base import Output
from vlmake.backends.endpoint import load
from vlmake.endpoints.concurrency import Concurrency
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.endpoints.spending import Price, Spending
from vlmake.inference.journal import JournalWriter, parse_line
from vlmake.inference.shard import Asking, Question, accepted_predictions, make_question, prediction, prediction_rows
from vlmake.inference.streaming import answer_streaming
from vlmake.models.model_spec import ModelSpec, RuntimeOptions
from vlmake.registry.model_entries import EndpointEntry

ASKING = Asking("digest", 16)


# Concurrency


class Parallel:
    """A server that works on so many requests at once, each taking a second; others wait for one of them."""

    def __init__(self, places: int) -> None:
        self._free_at = [0.0] * places

    def answers_at(self, now: float, under_way: int) -> float:
        moment = max(now, heapq.heappop(self._free_at)) + 1.0
        heapq.heappush(self._free_at, moment)
        return moment


class Batching:
    """A server that works on all requests at once; each of them makes every answer take longer."""

    def __init__(self, base: float, each: float) -> None:
        self._base, self._each = base, each

    def answers_at(self, now: float, under_way: int) -> float:
        return now + self._base + self._each * under_way


def limits_at(limiter: Concurrency, server: Parallel | Batching, seconds: float, now: float = 0.0) -> list[int]:
    """Ask a server as much as the limit allows for so long; the limit after each answer."""
    limits: list[int] = []
    under_way: list[tuple[float, float]] = []
    end = now + seconds
    while now < end:
        while len(under_way) < limiter.limit:
            heapq.heappush(under_way, (server.answers_at(now, len(under_way) + 1), now))
        now, began = heapq.heappop(under_way)
        limiter.answered(now - began, now)
        limits.append(limiter.limit)
    return limits


def full(most: int) -> Concurrency:
    """A limit that has grown to the most, at second 5."""
    limiter = Concurrency(most)
    assert limits_at(limiter, Parallel(10_000), seconds=4.0)[-1] == most
    return limiter


def test_the_first_answer_opens_the_way_and_the_first_round_leads_to_64() -> None:
    limiter = Concurrency(1000)
    assert limiter.limit == 4
    assert limits_at(limiter, Parallel(10_000), seconds=1.5)[:4] == [16, 16, 16, 64]
    assert limits_at(limiter, Parallel(10_000), seconds=4.0, now=1.5)[-1] == 1000


@pytest.mark.parametrize("most", [1, 2, 10])
def test_no_more_than_the_most_are_under_way(most: int) -> None:
    limiter = Concurrency(most)
    assert limiter.limit == min(4, most)
    limits = limits_at(limiter, Parallel(10_000), seconds=5.0)
    assert (max(limits), limits[-1]) == (most, most)


def test_a_server_that_batches_is_given_more_while_it_answers_more_a_second() -> None:
    at_64, at_256 = (count / (1.0 + 0.03 * count) for count in (64, 256))
    assert at_256 > 1.3 * at_64
    limiter = Concurrency(256)
    assert limits_at(limiter, Batching(base=1.0, each=0.03), seconds=60.0)[-1] == 256  # answers take 9 times as long


@pytest.mark.parametrize(("places", "most_seen"), [(1, 32), (2, 40), (8, 160), (30, 600)])
def test_a_server_that_is_full_gets_a_queue_of_bounded_length(places: int, most_seen: int) -> None:
    assert max(limits_at(Concurrency(100_000), Parallel(places), seconds=3000.0)) <= most_seen


def test_one_answer_from_a_cache_does_not_keep_the_limit_low() -> None:
    limiter = Concurrency(1000)
    limiter.answered(0.001, 0.001)
    assert limits_at(limiter, Parallel(10_000), seconds=6.0)[-1] == 1000


def test_answers_that_come_in_a_bunch_are_no_pace() -> None:
    limiter = Concurrency(100_000)
    for _ in range(500):  # a proxy that held them back
        limiter.answered(seconds=100.0, now=100.0)
    assert limiter.limit <= 64


def throttle(limiter: Concurrency, refused: int, of: int, now: float) -> None:
    """Count so many attempts, ``refused`` of them 429s, spread evenly."""
    for place in range(of):
        if place * refused % of < refused:
            limiter.failed(429, now)
        else:
            limiter.answered(1.0, now)


def test_a_fifth_of_429s_halves_the_limit() -> None:
    limiter = full(32)
    throttle(limiter, refused=8, of=32, now=10.0)
    assert limiter.limit == 16
    assert limiter.history[-1].reason == "429"


def test_fewer_429s_cut_nothing() -> None:
    limiter = full(32)
    throttle(limiter, refused=4, of=32, now=10.0)
    throttle(limiter, refused=4, of=32, now=20.0)
    assert limiter.limit == 32


def test_the_limit_is_halved_once_a_second_and_never_below_one() -> None:
    limiter = full(32)
    for _ in range(200):
        limiter.failed(429, 10.0)
    assert limiter.limit == 16
    for _ in range(16):
        limiter.failed(429, 10.5)
    assert limiter.limit == 16
    for second in range(11, 31):
        for _ in range(32):
            limiter.failed(429, float(second))
    assert limiter.limit == 1


def test_after_a_cut_a_round_adds_a_quarter() -> None:
    limiter = full(64)
    for _ in range(64):
        limiter.failed(429, 10.0)
    assert limiter.limit == 32
    limits = limits_at(limiter, Parallel(10_000), seconds=20.0, now=20.0)
    assert limits[-1] == 64
    growing = limits[limits.index(33) :]
    rounds = [growing[0]]
    while (place := sum(rounds)) < len(growing):
        rounds.append(growing[place])
    assert all(earlier < later <= earlier * 1.25 + 1 for earlier, later in pairwise(rounds) if earlier < 64)


def test_a_server_error_pauses_growth_and_no_reply_at_all_does_not() -> None:
    paused, lost = Concurrency(64), Concurrency(64)
    paused.failed(503, 0.0)
    lost.failed(None, 0.0)
    for limiter in (paused, lost):
        for _ in range(4):
            limiter.answered(1.0, 1.0)
    assert (paused.limit, lost.limit) == (4, 64)
    paused.answered(1.0, 1.0)
    assert paused.limit == 64


def test_the_history_holds_cuts_and_the_tops_between_them() -> None:
    limiter = Concurrency(32)
    for moment in [1.234] * 8:
        limiter.answered(1.0, moment)
    for _ in range(32):
        limiter.failed(429, 2.0)
    limits_at(limiter, Parallel(100), seconds=1.0, now=3.0)
    limits_at(limiter, Parallel(100), seconds=20.0, now=14.5)
    assert [(change.limit, change.reason) for change in limiter.history] == [
        (4, "start"), (32, "grown"), (16, "429"), (32, "grown"),
    ]  # fmt: skip
    assert [change.seconds for change in limiter.history][:3] == [0.0, 1.23, 2.0]


# Money


def test_a_price_is_for_a_million_tokens() -> None:
    assert Price(2.5, 10.0).of(1_000_000, 100_000) == 3.5
    assert Spending().cost() is None


def test_tokens_that_are_not_told_cost_nothing() -> None:
    spending = Spending(Price(1.0, 1.0), most=1.0)
    spending.add(None, None)
    spending.add(400_000, None)
    assert (spending.cost(), spending.prompt_tokens, spending.replies) == (0.4, 400_000, 2)


def test_the_limit_is_not_passed_by_what_is_under_way() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0)
    assert [spending.allows_one_more(count) for count in (0, 1, 1000)] == [True, False, False]  # the first goes alone
    spending.add(250_000, 10)
    assert [spending.allows_one_more(count) for count in (0, 1, 2, 3)] == [True, True, True, False]
    spending.add(250_000, 10)
    spending.add(250_000, 10)
    assert spending.allows_one_more(0)
    assert not spending.allows_one_more(1)
    spending.add(250_000, 10)
    with pytest.raises(EndpointStoppedError, match=r"limit on money, 1 .* would be passed: 1\.0000 was spent"):
        spending.allows_one_more(0)


def test_what_was_spent_before_counts() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0, before=0.9)
    spending.add(100_000, 0)
    with pytest.raises(EndpointStoppedError, match=r"1\.0000 was spent"):
        spending.allows_one_more(0)


def test_every_request_is_taken_to_cost_as_much_as_the_dearest_reply() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0, before=0.2, replies_before=20, dearest=0.05)
    assert spending.allows_one_more(15)
    assert not spending.allows_one_more(16)
    spending.add(300_000, 0)
    assert spending.allows_one_more(0)
    assert not spending.allows_one_more(1)


def test_a_limit_that_was_reached_before_lets_no_request_pass() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0, before=1.0, replies_before=4)
    with pytest.raises(EndpointStoppedError, match=r"1\.0000 was spent"):
        spending.allows_one_more(0)


class NoPictures:
    """For questions without a picture."""

    def bytes(self, image_id: str) -> bytes:
        raise KeyError(image_id)


def asked_into(journal: Path, questions: list[Question], spec: ModelSpec) -> list[dict[str, Any]]:
    """Ask a model and return the rows of its predictions without their seconds."""
    writer = JournalWriter(journal)
    model = load(spec, RuntimeOptions("cpu"))
    try:
        answer_streaming(questions, model, NoPictures(), writer, ASKING, epoch=0, advance=lambda _: None)
    finally:
        writer.close()
    rows = prediction_rows(questions, accepted_predictions(journal, questions, epoch=0))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_empty_answers_that_were_asked_again_count_in_later_runs_and_are_in_no_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [f"Is there a dog in picture {number}?" for number in range(40)]
    questions = [make_question(ASKING, text, [{"type": "text", "text": text}], None) for text in texts]

    def spec(url: str, max_cost: float) -> ModelSpec:
        priced = {"price": {"input": 1000.0, "output": 0.0}, "max_cost": max_cost}  # 0.1 a reply of 100 tokens
        values = {"api_base": url, "served_model": "m", "nproc": 1, "retry_interval": 0.001, **priced}
        return ModelSpec("M", EndpointEntry.model_validate({"backend": "endpoint", **values}), Path(), "endpoint:m@")

    with running() as good, running(fault_share=0.3, faults=["empty"], seed=1) as bad:
        expected = asked_into(tmp_path / "elsewhere", questions, spec(good.url, 100.0))
        assert asked_into(Path(paths.journal("M", "Set")), questions, spec(bad.url, 100.0)) == expected
        calls = sum(bad.stats()["calls"].values())
        assert calls > 45
        with pytest.raises(EndpointStoppedError, match=rf"{calls / 10:.4f} was spent"):
            asked_into(Path(paths.journal("M", "Other")), questions, spec(good.url, 5.0))


def test_a_journal_line_without_the_tokens_of_empty_answers_is_read() -> None:
    line = asdict(prediction(make_question(ASKING, "1", [], None), Output("Yes", "stop", 1, 1), ASKING, 0.5, epoch=0))
    item = parse_line(json.dumps(line).encode())
    assert item is not None
    del line["earlier_prompt_tokens"], line["earlier_completion_tokens"]
    assert parse_line(json.dumps(line).encode()) == item
    assert parse_line(json.dumps(line | {"earlier_prompt_tokens": "1"}).encode()) is None
    del line["epoch"]
    assert parse_line(json.dumps(line).encode()) is None


@pytest.mark.parametrize(("max_cost", "answered"), [(0.25, 2), (0.5, 5), (0.55, 5)])
def test_a_limit_stops_what_is_left_and_nothing_where_all_is_answered(
    max_cost: float, answered: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [f"Is there a cat in picture {number}?" for number in range(5)]
    questions = [make_question(ASKING, text, [{"type": "text", "text": text}], None) for text in texts]
    with running(latency=0.02) as server:
        priced = {"price": {"input": 1000.0, "output": 0.0}, "max_cost": max_cost}  # 0.1 a reply of 100 tokens
        values = {"api_base": server.url, "served_model": "m", **priced}
        entry = EndpointEntry.model_validate({"backend": "endpoint", **values})
        with pytest.raises(EndpointStoppedError) if answered < 5 else contextlib.nullcontext():
            asked_into(Path("journal"), questions, ModelSpec("M", entry, Path(), "endpoint:m@"))
        assert sum(server.stats()["calls"].values()) == answered


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"max_cost": 5}, "max_cost needs a price"),
        ({"extra_body": {"stream": True}}, "leave `stream` out"),
        ({"extra_body": {"messages": []}}, "`messages` is not for extra_body"),
        ({"max_tokens": 5, "max_new_tokens": 5}, "two names of one key"),
    ],
)
def test_an_entry_that_asks_for_what_cannot_be_is_refused(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        EndpointEntry.model_validate({"backend": "endpoint", "api_base": "http://h", "served_model": "m", **keys})


@pytest.mark.parametrize("spending", [Spending(), Spending(Price(1.0, 1.0)), Spending(most=0.1)])
def test_without_a_price_or_a_limit_nothing_is_stopped(spending: Spending) -> None:
    spending.add(10_000_000, 10_000_000)
    assert spending.allows_one_more(1000)
