"""Models behind servers, by the real commands: what stops a run, what goes on, and what equals what."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.chat_server import running
from tests.conftest import TINY_VLM, Workplace, make_benchmark
from tests.tiny_class import SOURCE
from vlmake.endpoints.keys import Key
from vlmake.endpoints.messages import Wording
from vlmake.servers.process import start
from vlmake.servers.readiness import wait_until_ready

CANARY = "sk-canary-0a1b2c3d4e5f"
SERVE = f"{Path(sys.executable).parent / 'transformers'} serve {{path}} --device cpu --dtype float32 --port {{port}}"


def endpoint(url: str, **settings: object) -> dict[str, object]:
    return {"backend": "endpoint", "api_base": url, "served_model": "m", "retry_interval": 0.05, **settings}


def scores(place: Workplace, model: str, dataset: str) -> str:
    return place.result(model, f"{dataset}_score.csv").read_text(encoding="utf-8")


def texts(place: Workplace, model: str, dataset: str) -> list[object]:
    return [row["prediction"] for row in place.predictions(model, dataset)]


def files_with(folder: Path, word: str) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and word.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, f"Incorrect API key provided: {CANARY}"),
        pytest.param(429, "You exceeded your current quota, insufficient_quota", marks=pytest.mark.slow),
    ],
)
def test_a_wrong_key_or_an_empty_account_stops_all_jobs_after_few_calls(workplace: Workplace, status, error) -> None:
    with running(fixed={"status": status, "body": {"error": {"message": error}}}, latency=0.05) as server:
        workplace.models["Served"] = endpoint(server.url, api_key="MY_KEY")
        workplace.config["rows_per_shard"] = 4
        done = workplace.vlmake("run", "--model", "Served", "--data", "Mini", MY_KEY=CANARY)
        calls = sum(server.stats()["calls"].values())
        assert server.stats()["keys"] == [f"Bearer {CANARY}"]
    assert done.code != 0
    assert "MY_KEY" in done.output
    assert calls <= 5
    assert CANARY not in done.output
    assert not files_with(workplace.folder, CANARY)


def test_a_key_that_is_nowhere_is_named_and_one_in_dotenv_is_found(workplace: Workplace) -> None:
    with running() as server:
        workplace.models["Served"] = endpoint(server.url, api_key="MY_KEY")
        done = workplace.vlmake("run", "--model", "Served", "--data", "Mini")
        assert done.code != 0
        assert "set the environment variable MY_KEY, or write MY_KEY=... into .env" in done.output
        (workplace.folder / ".env").write_text(f'# keys\nMY_KEY="{CANARY}"\n', encoding="utf-8")
        done = workplace.vlmake("run", "--model", "Served", "--data", "Mini")
        assert done.code == 0, done.output
        assert server.stats()["keys"] == [f"Bearer {CANARY}"]
    assert files_with(workplace.folder, CANARY) == [workplace.folder / ".env"]


def test_a_repaired_server_is_asked_only_what_failed(workplace: Workplace) -> None:
    with running(fault_share=0.4, faults=["500", "cut json"], seed=3) as server:
        workplace.models["Served"] = endpoint(server.url, retry=2)
        done = workplace.vlmake("run", "--model", "Served", "--data", "Mini")
        assert done.code != 0
        assert "run the same command again to ask only these" in done.output
        failed = {line for line in workplace.journal_lines("Served", "Mini") if '"model_error"' in line}
        assert 1 <= len(failed) < 24
    with running(port=server.port) as repaired:
        done = workplace.vlmake("run", "--model", "Served", "--data", "Mini")
        assert done.code == 0, done.output
        assert sum(repaired.stats()["calls"].values()) == len(failed)
    assert {row["status"] for row in workplace.predictions("Served", "Mini")} == {"ok"}


@pytest.mark.slow
def test_the_address_is_not_part_of_what_was_answered(workplace: Workplace) -> None:
    with running() as server:
        workplace.models["Served"] = endpoint(server.url)
        assert workplace.vlmake("run", "--model", "Served", "--data", "Mini").code == 0
    workplace.models["Served"] = endpoint("http://127.0.0.1:9/v1/chat/completions", nproc=3, timeout=5.0)
    done = workplace.vlmake("run", "--model", "Served", "--data", "Mini")
    assert (done.code, done.jobs) == (0, []), done.output
    workplace.models["Served"] = endpoint("http://127.0.0.1:9", revision="2026-11", retry=1)
    assert workplace.vlmake("run", "--model", "Served", "--data", "Mini").code != 0


@pytest.mark.slow
def test_the_cost_of_earlier_runs_counts_towards_the_limit(workplace: Workplace) -> None:
    price = {"input": 1000.0, "output": 0.0}  # a reply has 100 tokens of prompt: 0.1 each
    with running() as server:
        workplace.models["Served"] = endpoint(server.url, price=price, max_cost=1.0)
        done = workplace.vlmake("run", "--model", "Served", "--data", "Mini")
        assert done.code != 0
        assert "the limit on money, 1 (max_cost, max_judge_cost), would be passed" in done.output
        assert len(workplace.journal_lines("Served", "Mini")) == 10
        workplace.models["Served"] = endpoint(server.url, price=price, max_cost=1.5)
        assert workplace.vlmake("run", "--model", "Served", "--data", "Mini").code != 0
        assert len(workplace.journal_lines("Served", "Mini")) == 15
        assert workplace.vlmake("run", "--model", "Served", "--data", "Mini").code != 0
        assert sum(server.stats()["calls"].values()) == 15


def test_pictures_are_sent_as_they_are(workplace: Workplace) -> None:
    with running() as server:
        workplace.models["Served"] = endpoint(server.url, system="Be brief.", temperature=0.5, max_new_tokens=7)
        workplace.datasets["Mini"].pop("max_new_tokens")
        assert workplace.vlmake("run", "--model", "Served", "--data", "Mini").code == 0
        body = server.stats()["last"]
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    picture, question = body["messages"][1]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert question["type"] == "text"
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.5, 7)


@pytest.fixture
def elsewhere(tmp_path: Path):
    """A server of TinyVLM that nobody of the run started."""
    server = start(SERVE, {"path": str(TINY_VLM)}, tmp_path / "elsewhere.log", {})
    try:
        wait_until_ready(server, Wording(str(TINY_VLM)), str(TINY_VLM), 120, Key(None))
        yield server.root
    finally:
        server.stop()


def test_one_model_by_every_backend_has_one_score(workplace: Workplace, elsewhere: str) -> None:
    here = {"path": str(TINY_VLM), "device": "cpu", "dtype": "float32"}
    (workplace.folder / "config" / "models").mkdir(parents=True)
    (workplace.folder / "config" / "models" / "my_module.py").write_text(SOURCE, encoding="utf-8")
    workplace.models |= {
        "Local": here,
        "Engine": {"backend": "server", "path": here["path"], "command": SERVE, "gpus": 0},
        "Elsewhere": {"backend": "endpoint", "api_base": elsewhere, "served_model": str(TINY_VLM)},
        "Class": {
            "backend": "plugin",
            "model": "my_module:Tiny",
            "arguments": {"model_path": here["path"], "do_sample": False, "max_new_tokens": 4},
            "gpus": 0,
        },
    }
    workplace.datasets["Choice"] = {
        **make_benchmark(workplace.folder.parent / "tsv", "Choice", 24, "ShapesBench"),
        "task": "multiple_choice",
        "metric": "choice",
    }
    assert workplace.vlmake("run", "--model", "Local", "--data", "Mini", "Choice").code == 0
    finished = workplace.folder / "outputs" / "Peer"
    finished.mkdir(parents=True)
    for name in ("Mini", "Choice"):
        shutil.copy(workplace.result("Local", f"{name}_predictions.parquet"), finished / f"Peer_{name}.parquet")
    imported = workplace.vlmake("import", str(finished), "--as", "Replayed")
    assert imported.code == 0, imported.output
    models = ("Local", "Engine", "Elsewhere", "Class", "Replayed")
    done = workplace.vlmake("run", "--model", *models, "--data", "Mini", "Choice")
    assert done.code == 0, done.output
    for name in ("Mini", "Choice"):
        found = {model: scores(workplace, model, name) for model in models}
        assert set(found.values()) == {found["Local"]}
        answers = {model: texts(workplace, model, name) for model in models}
        assert all(answer == answers["Local"] for answer in answers.values())
        assert len(set(answers["Local"])) > 1
    record = next((workplace.folder / "results/Engine/Mini/journal").glob("*.record.json")).read_text()
    assert '"starts":1' in record
    assert "127.0.0.1" not in workplace.result("Elsewhere", "Mini_score.json").read_text()
