"""The endpoint client against a server that misbehaves in every way at once."""

import gc
import json
import threading
import time

import pytest

from tests.chat_server import completion, running
from vlmake.backends.base import Output
from vlmake.endpoints.address import chat_url
from vlmake.endpoints.client import Answer, Call, Client
from vlmake.endpoints.exchange import Endpoint
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.endpoints.keys import Key
from vlmake.endpoints.spending import Price, Spending

SAMPLES = 2374
QUESTIONS = [f"Is there a dog in picture {number}?" for number in range(SAMPLES)]
CANARY = "sk-canary-0123456789abcdef"


def client(server, *, most=32, spending=None, **settings):
    settings = {"attempts": 12, "timeout": 0.5, "first_wait": 0.05} | settings
    return Client(Endpoint(chat_url(server.url), Key("CANARY_KEY", CANARY), most, **settings), spending or Spending())


def ask(client, questions):
    """Return the results by question."""
    found: dict[str, Answer] = {}

    def body(question):
        return lambda: json.dumps({"model": "m", "messages": [{"role": "user", "content": question}]}).encode()

    calls = (Call(number, body(question)) for number, question in enumerate(questions))
    client.ask(calls, lambda group: found.update({questions[answer.number]: answer for answer in group}))
    return {question: answer.result for question, answer in found.items()}


def texts(results):
    return {question: result.text for question, result in results.items() if isinstance(result, Output)}


def expected(questions):
    return {question: completion(question)["choices"][0]["message"]["content"] for question in questions}


def test_a_server_without_faults_is_asked_once_for_every_sample():
    with running(latency=0.05) as server:
        assert texts(ask(client(server, timeout=30), QUESTIONS)) == expected(QUESTIONS)
        assert set(server.stats()["calls"].values()) == {1}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_every_sample_is_answered_as_without_faults(seed):
    with running(latency=0.05, fault_share=0.3, seed=seed) as server:
        results = ask(client(server), QUESTIONS)
        answered = texts(results)
        calls = server.stats()["calls"].values()
    assert results.keys() == set(QUESTIONS)
    assert answered == {question: expected([question])[question] for question in answered}
    assert all("gave up after 12 attempts" in str(results[question]) for question in results.keys() - answered.keys())
    assert len(results) - len(answered) <= 1
    assert max(calls) <= 12


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, {"error": {"message": f"Incorrect API key provided: {CANARY}."}}, "does not accept .* CANARY_KEY"),
        (403, {"error": "forbidden"}, "does not accept the key in CANARY_KEY"),
        (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, "quota"),
        (402, {"error": {"message": "Insufficient Balance"}}, "quota"),
        (404, {"error": {"message": "The model `m` does not exist"}}, "no such model"),
        (400, {"error": {"message": "Unsupported parameter: max_tokens"}}, "answered none of the first 5"),
        (200, {"error": {"message": "No auth credentials found", "code": 401}}, "does not accept"),
    ],
)
def test_what_no_retry_mends_stops_the_run_at_once(status, body, says):
    with running(fixed={"status": status, "body": body}, latency=0.05) as server:
        with pytest.raises(EndpointStoppedError, match=says) as stopped:
            ask(client(server), QUESTIONS[:200])
        assert sum(server.stats()["calls"].values()) <= (8 if status == 400 else 5)
        assert CANARY not in str(stopped.value)


def test_an_address_where_nothing_answers_stops_the_run_after_a_few_attempts(caplog):
    with running() as gone:
        pass
    nowhere = client(gone, attempts=11, first_wait=0.001)
    with pytest.raises(EndpointStoppedError, match=r"nothing answers at .* start the server or correct `api_base`"):
        ask(nowhere, QUESTIONS)
    assert nowhere.counts["calls"] <= 20
    gc.collect()
    assert "Task exception was never retrieved" not in caplog.text  # of the others that found the same


def test_a_throttling_server_is_asked_as_much_as_it_takes():
    with running(latency=0.02, most=8) as server:
        throttled = client(server, most=64)
        assert texts(ask(throttled, QUESTIONS[:600])) == expected(QUESTIONS[:600])
        assert max(server.stats()["calls"].values()) <= 12
        assert [change.reason for change in throttled.concurrency.history].count("429") >= 1
        assert throttled.concurrency.limit < 64


def test_a_later_asking_goes_on_with_what_was_learnt():
    with running(latency=0.02, most=4) as server:
        throttled = client(server, most=64)
        for start in (0, 300):
            part = QUESTIONS[start : start + 300]
            assert texts(ask(throttled, part)) == expected(part)
            seconds = [change.seconds for change in throttled.concurrency.history]
            assert seconds == sorted(seconds)
    assert len(seconds) >= 4


def test_an_outage_is_waited_for():
    with running(latency=0.01) as first:
        port = first.port
        asking = client(first, first_wait=0.2)
        assert texts(ask(asking, QUESTIONS[:20])) == expected(QUESTIONS[:20])
    with running(fixed={"status": 503, "body": {}}, port=port) as down:
        results = {}
        thread = threading.Thread(target=lambda: results.update(ask(asking, QUESTIONS[20:60])))
        thread.start()
        time.sleep(1)
        assert down.stats()["calls"]
    with running(latency=0.01, port=port):
        thread.join(60)
    assert texts(results) == expected(QUESTIONS[20:60])


def test_an_empty_answer_that_stays_empty_is_the_models_own():
    with running(fixed={"body": completion("", text="")}) as server:
        results = ask(client(server), QUESTIONS[:3])
        assert [result.text for result in results.values()] == ["", "", ""]
        assert set(server.stats()["calls"].values()) == {4}


def test_a_rejected_sample_costs_only_itself():
    with running(latency=0.0) as server:
        good = client(server)
        ask(good, QUESTIONS[:5])
    with running(fixed={"status": 400, "body": {"error": {"message": "image too large"}}}, port=server.port) as bad:
        results = ask(good, QUESTIONS[5:15])
        assert all("image too large" in str(result) for result in results.values())
        assert set(bad.stats()["calls"].values()) == {1}


def test_requests_a_minute_are_kept():
    with running() as server:
        ask(client(server, per_minute=600), QUESTIONS[:12])
        started = sorted(server.stats()["started"])
        assert started[-1] - started[0] >= 11 * 0.1 * 0.9


def test_the_cost_limit_is_not_passed():
    with running(latency=0.01) as server:
        spending = Spending(Price(input=1000.0, output=0.0), most=5.0)  # a reply has 100 tokens of prompt: 0.1 each
        with pytest.raises(EndpointStoppedError, match="limit on money, 5"):
            ask(client(server, spending=spending), QUESTIONS[:200])
        assert spending.cost() == pytest.approx(5.0)


def test_memory_does_not_grow_with_the_samples():
    made = 0

    def calls():
        nonlocal made
        for number in range(400):
            made += 1
            yield Call(number, lambda: b'{"messages": [{"content": "q"}]}')

    ahead: list[int] = []
    done = 0

    def deliver(group):
        nonlocal done
        done += len(group)
        ahead.append(made - done)

    with running(latency=0.01) as server:
        client(server, most=8).ask(calls(), deliver)
    assert done == 400
    assert max(ahead) <= 64
