"""What is kept of how a server was asked, and whose turn it is to ask it."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import completion
from tests.replying_server import ASKING, NO_ONE, Reply, answered, blocking, server, shard, spec
from vlmake.backends.base import Output
from vlmake.backends.endpoint import load
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.inference import endpoint_turns
from vlmake.inference.journal import JournalWriter, all_predictions, parse_line, read_journal
from vlmake.inference.loaded_model import open_model
from vlmake.inference.predictions import shard_table
from vlmake.inference.run_record import read_records, since
from vlmake.inference.shard import make_question, prediction, prediction_rows
from vlmake.judges import judge_spec
from vlmake.models.model_spec import ModelSpec, RuntimeOptions
from vlmake.registry.judge_entries import JudgeEndpointEntry


def untelling(question: str) -> Reply:
    return 200, completion(question) | {"usage": None}, {}


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
