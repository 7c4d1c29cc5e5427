"""A server that dies: it is started again, and the sample at which it dies costs only itself."""

import json
import sys
from pathlib import Path

import psutil
import pytest

from tests.chat_server import completion
from vlmake.backends.base import Output, Request, Turn
from vlmake.backends.server import ServerBackend, load
from vlmake.errors import VlmakeError
from vlmake.models.model_spec import ModelSpec, RuntimeOptions
from vlmake.registry.model_entries import ServerEntry

PROGRAM = Path(__file__).parents[1] / "chat_server.py"


def backend(folder: Path, **settings) -> ServerBackend:
    options = json.dumps(settings)[1:-1]
    options = f", {options}" if options else ""
    command = f"""{sys.executable} {PROGRAM} '{{"port": {{port}}{options}}}'"""
    values = {"backend": "server", "path": str(folder), "command": command, "gpus": 0, "retry_interval": 0.05}
    entry = ServerEntry.model_validate(values | {"start_timeout": 30.0, "nproc": 8})
    return load(ModelSpec("Served", entry, folder, "local:x"), RuntimeOptions("cpu"))


def request(text):
    return lambda: Request([Turn("user", [{"type": "text", "text": text}])], {}, 8)


def ask(made, questions):
    found = {}
    made.stream(
        (request(question) for question in questions),
        lambda answers: found.update({questions[number]: result for number, result, _ in answers}),
    )
    return found


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_request_is_answered_and_the_server_is_stopped(tmp_path):
    made = backend(tmp_path)
    questions = [f"question {number}" for number in range(40)]
    assert {question: result.text for question, result in ask(made, questions).items()} == {
        question: completion(question)["choices"][0]["message"]["content"] for question in questions
    }
    children = psutil.Process().children(recursive=True)
    assert len(children) >= 2  # the keeper and the server
    made.close()
    assert not any(child.is_running() and child.status() != "zombie" for child in children)


def test_a_sample_that_kills_the_server_costs_only_itself(tmp_path, capsys):
    made = backend(tmp_path, dies_at="poison", latency=0.01)
    questions = [*(f"early {number}" for number in range(20)), "poison", *(f"late {number}" for number in range(20))]
    try:
        found = ask(made, questions)
    finally:
        made.close()
    assert found.keys() == set(questions)
    assert "died at this sample alone" in str(found["poison"])
    assert all(isinstance(found[question], Output) for question in questions if question != "poison")
    assert made.facts()["starts"] == 3  # at first, after the crowd, after the poison alone
    told = capsys.readouterr().err.splitlines()
    assert [line.startswith("Served: the server died (exit status 1): ") for line in told] == [True, True]
    assert [line[-15:] for line in told] == ["start 2 follows", "start 3 follows"]
    assert all("(results/Served/_server.log)" in line for line in told)


def test_a_server_that_never_comes_up_ends_in_one_line(tmp_path):
    with pytest.raises(VlmakeError, match=r"the server ended before it answered: .*unexpected keyword.*_server\.log"):
        backend(tmp_path, nonsense=1)


def test_a_server_that_only_dies_is_given_up(tmp_path):
    made = backend(tmp_path, dies_at="question")
    try:
        with pytest.raises(VlmakeError, match="died 4 times without an answer"):
            ask(made, [f"question {number}" for number in range(20)])
    finally:
        made.close()


def test_servers_of_one_model_side_by_side_have_a_log_each(tmp_path):
    folder = tmp_path / "results" / "Served"
    one, other = backend(tmp_path), backend(tmp_path)
    try:
        assert sorted(file.name for file in folder.iterdir()) == ["_server-2.log", "_server.log"]
        assert one.facts()["server"] != other.facts()["server"]
        for made, name in ((one, "_server.log"), (other, "_server-2.log")):
            port = (folder / name).read_text().strip()  # what the server says when it starts
            assert f":{port}/" in made.facts()["server"]
        one.close()
        one = backend(tmp_path)
        assert sorted(file.name for file in folder.iterdir()) == ["_server-2.log", "_server.log"]
    finally:
        one.close()
        other.close()


def test_a_server_that_answers_in_another_form_ends_in_one_line(tmp_path):
    with pytest.raises(VlmakeError, match=r"refuses a question about a picture: 200 without a choice: \{\}"):
        backend(tmp_path, fixed={"body": {}})


def test_a_server_that_refuses_pictures_ends_in_one_line(tmp_path):
    with pytest.raises(VlmakeError, match="refuses a question about a picture: HTTP 400"):
        backend(tmp_path, fixed={"status": 400, "body": {"error": "no vision"}})
