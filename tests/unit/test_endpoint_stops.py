"""When a server is asked no more, what one sample alone costs, and what is told of long waits."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import completion
from vlmake.backends.base import Output, StreamingBackend
from vlmake.backends.endpoint import load
from vlmake.data.images import ImageWriter
from vlmake.endpoints.address import chat_url
from vlmake.endpoints.client import Call, Client
from vlmake.endpoints.exchange import Endpoint
from vlmake.endpoints.faults import EndpointStoppedError, RejectedError, TransientError
from vlmake.endpoints.keys import Key
from vlmake.endpoints.notices import Notices
from vlmake.endpoints.spending import Price, Spending
from vlmake.inference import endpoint_turns
from vlmake.inference.answering import Pace
from vlmake.inference.journal import JournalWriter, all_predictions, parse_line, read_journal
from vlmake.inference.loaded_model import LoadedModel, answer_shard, open_model
from vlmake.inference.predictions import shard_table
from vlmake.inference.run_record import read_records, since
from vlmake.inference.shard import Asking, make_question, prediction, prediction_rows
from vlmake.inference.shard_work import Shard, ShardFiles
from vlmake.judges import judge_spec
from vlmake.models.model_spec import ModelSpec, RuntimeOptions
from vlmake.registry.judge_entries import JudgeEndpointEntry
from vlmake.registry.model_entries import EndpointEntry

ASKING = Asking("digest", 16)
PAGE = "<html><h1>Request blocked</h1></html>"
NO_ONE = "http://127.0.0.1:9"  # nothing listens there

Reply = tuple[int, str | dict[str, Any], Mapping[str, str]]


@contextlib.contextmanager
def server(reply: Callable[[str], Reply]) -> Iterator[tuple[str, list[str]]]:
    """A server that replies as a function of the question says; its address, and what it was asked."""
    asked: list[str] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][0]["content"]
            asked.append(question)
            status, content, headers = reply(question)
            body = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            for name, text in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()


def client(url: str, spending: Spending | None = None, **settings: Any) -> Client:
    settings = {"most": 1, "attempts": 12, "timeout": 10.0, "first_wait": 0.001} | settings
    has_answered = settings.pop("has_answered", lambda: False)
    return Client(Endpoint(chat_url(url), Key(None), **settings), spending or Spending(), has_answered)


def ask(asking: Client, questions: list[str]) -> dict[str, Output | Exception]:
    """Ask in this order; what became of each question until then, also where the client was stopped."""
    found: dict[str, Output | Exception] = {}

    def body(question: str) -> Callable[[], bytes]:
        return lambda: json.dumps({"messages": [{"role": "user", "content": question}]}).encode()

    calls = (Call(number, body(question)) for number, question in enumerate(questions))
    asking.ask(calls, lambda group: found.update({questions[answer.number]: answer.result for answer in group}))
    return found


def blocking(question: str) -> Reply:
    """A firewall's page for some questions, answers to the others."""
    return (403, PAGE, {}) if "blocked" in question else (200, completion(question), {})


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


def spec(url: str, name: str = "M", **keys: Any) -> ModelSpec:
    values = {"backend": "endpoint", "api_base": url, "served_model": "m", "nproc": 1, "retry_interval": 0.001, **keys}
    return ModelSpec(name, EndpointEntry.model_validate(values), Path(), "endpoint:m@")


def shard(folder: Path, texts: list[str]) -> Shard:
    journal = folder / "results" / "M" / "D" / "journal"
    files = ShardFiles("D", 0, 1, folder / "samples.parquet", folder / "images.arrow", journal)
    with ImageWriter(files.images):
        pass
    questions = [make_question(ASKING, text, [{"type": "text", "text": text}], None) for text in texts]
    return Shard(files, ASKING, questions, range(len(questions)), 0)


def answered(work: Shard, model: ModelSpec, backend: StreamingBackend | None = None) -> dict[str, str]:
    """Answer a shard's open questions; the status of every row."""
    loaded = LoadedModel(backend or load(model, RuntimeOptions("cpu")), (), Pace(1))
    answer_shard(work, work.todo(None), model, lambda: loaded)
    return {item.index: item.status for item in work.answers().values()}


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


def test_a_job_tells_why_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    silent, told = threading.Event(), threading.Event()

    def reply(question: str) -> Reply:
        if question == "a":
            return 429, {"error": {"message": "slow down"}}, {"Retry-After": "600"}
        silent.wait(30)
        return 401, {"error": {"message": "no"}}, {}

    with server(reply) as (url, _):
        asking = client(url, most=2)
        asking.notices = Notices(url, lambda line: (print(line), told.set(), silent.set())[0], silence_s=0.5)
        with pytest.raises(EndpointStoppedError, match="does not accept"):
            ask(asking, ["a", "b"])
    assert told.is_set()
    assert "HTTP 429: slow down; the next attempt at this request follows in 600 s" in capsys.readouterr().out


# Money


def untelling(question: str) -> Reply:
    return 200, completion(question) | {"usage": None}, {}


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
    with pytest.raises(EndpointStoppedError, match=r"max_cost 1 would be passed: 1\.0000 was spent"):
        spending.allows_one_more(0)


# Journals and records


def test_an_absurd_count_of_tokens_in_a_journal_is_none(tmp_path: Path) -> None:
    question = make_question(ASKING, "0", [{"type": "text", "text": "?"}], None)
    said = Output("Yes", "stop", 10**30, 2**31, earlier_prompt_tokens=-1, earlier_completion_tokens=10**30)
    writer = JournalWriter(tmp_path)
    writer.append([prediction(question, said, ASKING, 0.5, 0)])
    writer.close()
    answers = read_journal(tmp_path)
    item = answers[question.key]
    assert (item.prediction, item.prompt_tokens, item.completion_tokens) == ("Yes", None, None)
    assert (item.earlier_prompt_tokens, item.earlier_completion_tokens) == (0, 0)
    shard_table(prediction_rows([question], answers), [0], {})
    assert parse_line(b'{"prompt_tokens": 1' + b"0" * 5000 + b"}") is None


def test_empty_answers_of_a_sample_that_is_given_up_are_in_its_journal_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    times = dict.fromkeys("abc", 0)

    def reply(question: str) -> Reply:
        times[question] += 1
        if question == "a" or times[question] > 2:
            return (200, completion(question), {}) if question != "b" else (400, {"error": {"message": "odd"}}, {})
        return 200, completion(question, text=""), {}

    with server(reply) as (url, _):
        work = shard(tmp_path, ["a", "b", "c"])
        answered(work, spec(url, retry=2))
        assert answered(work, spec(url, retry=3)) == {"a": "ok", "b": "model_error", "c": "ok"}
    items = all_predictions(work.files.journal)
    spent = sorted((item.index, item.status, item.earlier_prompt_tokens) for item in items)
    assert spent == [
        ("a", "ok", 0), ("b", "model_error", 0), ("b", "model_error", 200), ("c", "model_error", 200), ("c", "ok", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "keys", "says"),
    [
        (lambda _: (401, {"error": {"message": "who?"}}, {}), {}, "does not accept"),
        (untelling, {"price": {"input": 1, "output": 1}, "max_cost": 1}, "cannot be kept"),
        (None, {}, "nothing answers at"),
    ],
)
def test_a_run_that_is_stopped_leaves_its_record(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reply: Callable[[str], Reply] | None,
    keys: dict[str, Any],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    work = shard(tmp_path, ["a", "b"])
    with server(reply or blocking) as (url, _), pytest.raises(EndpointStoppedError, match=says):
        answered(work, spec(url if reply else NO_ONE, **keys))
    (record,) = read_records(work.files.journal, "D")
    assert record["backend"]["samples"]["calls"] >= 1
    (event,) = record["events"]
    assert event.startswith("stopped: ")
    assert says in event


def test_records_tell_of_their_own_shard_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with server(lambda question: (200, completion(question), {})) as (url, _):
        model = spec(url, nproc=8, price={"input": 1000.0, "output": 0.0})  # 0.1 a reply
        backend = load(model, RuntimeOptions("cpu"))
        for folder, texts in (("one", ["a", "b", "c", "d", "e"]), ("two", ["f", "g"])):
            (tmp_path / folder).mkdir()
            answered(shard(tmp_path / folder, texts), model, backend)
    records = [read_records(shard(tmp_path / name, []).files.journal, "D")[0]["backend"] for name in ("one", "two")]
    assert [record["cost"] for record in records] == pytest.approx([0.5, 0.2])
    assert [record["samples"]["prompt_tokens"] for record in records] == [500, 200]
    assert [len(record["concurrency"]) for record in records] == [2, 1]
    assert records[1]["concurrency"][0] == records[0]["concurrency"][-1]


def test_changes_since_then_follow_the_limit_that_held() -> None:
    first, second, third = ({"seconds": at, "limit": at, "reason": "grown"} for at in (1, 2, 3))
    before = {"concurrency": [first, second], "cost": 1.5}
    now = {"concurrency": [first, second, third], "cost": 1.75}
    assert since(before, now) == {"concurrency": [second, third], "cost": 0.25}
    assert since({"concurrency": [], "cost": None}, {"concurrency": [first], "cost": None}) == {
        "concurrency": [first], "cost": None,
    }  # fmt: skip


# Turns


def locks(folder: Path) -> set[str]:
    return {file.name for file in folder.glob("results/_endpoints/*.lock")}


def a_judge(url: str, key: str | None) -> ModelSpec:
    return judge_spec.resolve("J", JudgeEndpointEntry(api_base=url, served_model="j", api_key=key))


def test_models_and_judges_behind_one_address_and_key_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    base = "https://Api.example.com"
    together = [
        spec(base, "A", api_key="ONE"),
        spec("https://api.example.com/v1/", "B", api_key="ONE", served_model="other"),
        spec("https://api.example.com/v1/chat/completions?token=secret", "C", api_key="ONE"),
        a_judge(base, "ONE"),
    ]
    for model in together:
        with endpoint_turns.turn(model):
            assert len(locks(tmp_path)) == 1
    apart = [spec(base, "A", api_key="TWO"), spec(base, "A"), spec(f"{base}:8443", "A", api_key="ONE")]
    for count, model in enumerate(apart, start=2):
        with endpoint_turns.turn(together[0]), endpoint_turns.turn(model):
            assert len(locks(tmp_path)) == count


def test_a_second_model_behind_the_same_key_waits_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    order: list[str] = []

    def second() -> None:
        with endpoint_turns.turn(spec(NO_ONE, "B")):
            order.append("B")

    with endpoint_turns.turn(spec(NO_ONE, "A")):
        waiting = threading.Thread(target=second)
        waiting.start()
        while "B: another job asks its server; waiting for it" not in capsys.readouterr().err:
            assert waiting.is_alive()
        order.append("A")
    waiting.join()
    assert order == ["A", "B"]


def test_a_wrong_key_is_tried_by_one_of_the_models_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_KEY", "sk-0a1b2c3d4e5f")
    with server(lambda _: (401, {"error": {"message": "who?"}}, {})) as (url, asked):
        with pytest.raises(EndpointStoppedError, match="does not accept the key in MY_KEY"):
            answered(shard(tmp_path, ["a", "b"]), spec(url, "A", api_key="MY_KEY"))
        for other in (spec(url, "B", api_key="MY_KEY"), a_judge(url, "MY_KEY")):
            with ExitStack() as stack, pytest.raises(EndpointStoppedError, match="does not accept the key in MY_KEY"):
                open_model(other, 1, 0, stack)
        with ExitStack() as stack:
            open_model(spec(url, "B"), 1, 0, stack)  # without a key it is another matter
    assert asked == ["a"]


def test_a_model_that_is_not_there_stops_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refusal = {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}
    with server(lambda _: (404, refusal, {})) as (url, _):
        with pytest.raises(EndpointStoppedError, match="no such model"):
            answered(shard(tmp_path, ["a"]), spec(url, "A"))
        with ExitStack() as stack:
            open_model(spec(url, "B"), 1, 0, stack)
        with ExitStack() as stack, pytest.raises(EndpointStoppedError, match="no such model"):
            open_model(spec(url, "A"), 1, 0, stack)


def test_an_attempt_without_a_connection_says_so() -> None:
    assert TransientError("x").reached
    assert not TransientError("x", reached=False).reached
