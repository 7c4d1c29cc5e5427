"""When a server is asked no more, what one sample alone costs, and what is told of long waits."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import completion
from tests.replying_server import NO_ONE, PAGE, Reply, answered, blocking, server, shard, spec
from vlmake.backends.base import Output
from vlmake.endpoints.address import chat_url
from vlmake.endpoints.client import Call, Client
from vlmake.endpoints.exchange import Endpoint
from vlmake.endpoints.faults import EndpointStoppedError, RejectedError
from vlmake.endpoints.keys import Key
from vlmake.endpoints.notices import Notices
from vlmake.endpoints.spending import Price, Spending


def client(url: str, spending: Spending | None = None, **settings: Any) -> Client:
    settings = {"most": 1, "attempts": 12, "timeout": 10.0, "first_wait": 0.001} | settings
    return Client(Endpoint(chat_url(url), Key(None), **settings), spending or Spending())


def ask(asking: Client, questions: list[str]) -> dict[str, Output | Exception]:
    """Ask in this order; what became of each question until then, also where the client was stopped."""
    found: dict[str, Output | Exception] = {}

    def body(question: str) -> Callable[[], bytes]:
        return lambda: json.dumps({"messages": [{"role": "user", "content": question}]}).encode()

    calls = (Call(number, body(question)) for number, question in enumerate(questions))
    asking.ask(calls, lambda group: found.update({questions[answer.number]: answer.result for answer in group}))
    return found


# One sample's own


@pytest.mark.parametrize(("status", "body"), [(403, PAGE), (404, {"error": {"message": "image url not found"}})])
def test_a_sample_that_a_firewall_blocks_costs_itself_alone(status: int, body: str | dict[str, Any]) -> None:
    def reply(question: str) -> Reply:
        return (status, body, {}) if "blocked" in question else (200, completion(question), {})

    questions = ["a", "blocked 1", "blocked 2", "b", "blocked 3", "c", "blocked 4", "blocked 5", "d"]
    with server(reply) as (url, asked):
        found = ask(client(url), questions)
    assert asked == questions
    assert [type(found[question]) for question in "abcd"] == [Output] * 4
    refused = [found[f"blocked {number}"] for number in range(1, 6)]
    assert all(isinstance(one, RejectedError) and str(one).startswith(f"HTTP {status}: ") for one in refused)


def test_three_such_refusals_in_a_row_stop_everything() -> None:
    with server(blocking) as (url, asked), pytest.raises(EndpointStoppedError, match="HTTP 403: <html>"):
        ask(client(url), ["a", "blocked 1", "b", "blocked 2", "blocked 3", "blocked 4", "c"])
    assert asked[-1] == "blocked 4"


def test_before_any_answer_the_first_one_stops_everything() -> None:
    with server(blocking) as (url, asked), pytest.raises(EndpointStoppedError, match="HTTP 403: <html>"):
        ask(client(url), ["blocked 1", "a"])
    assert asked == ["blocked 1"]


def test_a_refusal_that_names_the_key_stops_everything_at_any_time() -> None:
    def reply(question: str) -> Reply:
        refusal = {"error": {"message": "This API key was revoked"}}
        return (403, refusal, {}) if question == "b" else (200, completion(question), {})

    with server(reply) as (url, asked), pytest.raises(EndpointStoppedError, match="was revoked"):
        ask(client(url), ["a", "b", "c"])
    assert asked == ["a", "b"]


def test_a_blocked_sample_that_is_asked_again_alone_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with server(blocking) as (url, asked):
        for _ in range(2):
            assert answered(shard(tmp_path, ["a", "blocked"]), spec(url)) == {"a": "ok", "blocked": "model_error"}
    assert asked == ["a", "blocked", "blocked"]


# Nothing there


def test_an_address_where_nothing_listens_is_given_up_after_five_attempts_at_one_request() -> None:
    nowhere = client(NO_ONE, most=4)
    with pytest.raises(
        EndpointStoppedError, match=r"nothing answers at http://127\.0\.0\.1:9/\S+ \(.*Cannot connect"
    ) as no:
        ask(nowhere, ["a", "b", "c", "d", "e"])
    assert no.value.whole_account
    assert 5 <= nowhere.counts["calls"] <= 4 * 5


def test_a_name_that_leads_nowhere_is_given_up_as_soon() -> None:
    nowhere = client("http://no-such-host.invalid")
    with pytest.raises(EndpointStoppedError, match=r"nothing answers at http://no-such-host\.invalid"):
        ask(nowhere, ["a", "b"])
    assert nowhere.counts["calls"] <= 6


def test_a_server_that_was_there_once_is_tried_to_the_last_attempt() -> None:
    with server(lambda question: (200, completion(question), {})) as (url, _):
        asking = client(url, attempts=7)
        ask(asking, ["a"])
    found = ask(asking, ["b"])
    assert "gave up after 7 attempts" in str(found["b"])


# Long waits


def test_silence_is_told_once_with_what_is_waited_for() -> None:
    said: list[str] = []
    notices = Notices("http://h/v1", said.append)
    assert notices.silent(3.0, under_way=4) == 5.0
    assert said == []
    assert notices.silent(8.2, under_way=4) is None
    assert notices.silent(9.0, under_way=4) is None
    assert said == ["http://h/v1 has answered nothing yet after 8 s (4 requests under way); still trying"]


def test_a_long_wait_is_told_once_for_each_reason() -> None:
    said: list[str] = []
    notices = Notices("http://h/v1", said.append)
    for wait in (2.0, 30.0, 40.0):
        notices.failed("HTTP 429", "HTTP 429: slow down", wait)
    notices.failed("HTTP 503", "HTTP 503: full", 16.0)
    assert said == [
        "http://h/v1: HTTP 429: slow down; the next attempt at this request follows in 30 s",
        "http://h/v1: HTTP 503: full; the next attempt at this request follows in 16 s",
    ]


def test_a_job_tells_of_a_long_wait_and_of_silence() -> None:
    said: list[str] = []
    both = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            both.set()

    def reply(question: str) -> Reply:
        if question == "a":
            return 429, {"error": {"message": "slow down"}}, {"Retry-After": "600"}
        both.wait(30)
        return 401, {"error": {"message": "no"}}, {}

    with server(reply) as (url, _):
        asking = client(url, most=2)
        asking.notices = Notices(url, say, silence_s=0.5)
        with pytest.raises(EndpointStoppedError, match="does not accept"):
            ask(asking, ["a", "b"])
    assert said[0] == f"{url}: HTTP 429: slow down; the next attempt at this request follows in 600 s"
    assert said[1].startswith(f"{url} has answered nothing yet after ")
    assert said[1].endswith("(the last attempt: HTTP 429: slow down); still trying")


# Money


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0}, {"completion_tokens": 5}])
def test_a_limit_on_money_stops_at_a_server_that_tells_no_tokens(usage: dict[str, int] | None) -> None:
    with server(lambda question: (200, completion(question) | {"usage": usage}, {})) as (url, asked):
        limited = client(url, Spending(Price(1.0, 1.0), most=5.0), most=8)
        with pytest.raises(EndpointStoppedError, match=r"does not tell how many tokens .* max_cost cannot be kept"):
            ask(limited, [str(number) for number in range(20)])
        assert len(asked) <= 4
        unlimited = client(url, Spending(Price(1.0, 1.0)), most=8)
        assert len(ask(unlimited, [str(number) for number in range(20)])) == 20


def test_a_reply_without_tokens_among_others_counts_like_the_dearest() -> None:
    spending = Spending(Price(1.0, 0.0), most=1.0)
    spending.add(100_000, 5)
    spending.add(300_000, 5)
    spending.add(None, None)
    assert spending.allows_one_more(0)  # 0.4 + 0.3 + 0.3
    spending.add(None, 5)
    with pytest.raises(EndpointStoppedError, match=r"limit on money, 1 .* would be passed: 1\.0000 was spent"):
        spending.allows_one_more(0)
