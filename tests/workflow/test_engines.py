"""Engines that no device is leased for: one at a time, however many jobs a run has at once."""

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY_VLM, Workplace
from vlmake.inference.loaded_model import has_unleased_engine
from vlmake.registry.model_entries import EndpointEntry, ModelEntry, ServerEntry

ENGINE = Path(__file__).parents[1] / "chat_server.py"
RUN = ("run", "--model", "Served", "--data", "Mini", "--cores", "6", "--keep-going")


def engine(settings: str = "") -> dict[str, object]:
    command = f"""{sys.executable} {ENGINE} '{{"port": {{port}}{settings}}}'"""
    return {"backend": "server", "path": str(TINY_VLM), "command": command, "gpus": 0, "start_timeout": 60}


@pytest.fixture
def place(workplace: Workplace) -> Workplace:
    workplace.config["rows_per_shard"] = 8
    return workplace


def test_one_engine_answers_the_shards_of_all_jobs(place: Workplace) -> None:
    place.models["Served"] = engine()
    done = place.vlmake(*RUN)
    assert done.code == 0, done.output
    assert len(place.predictions("Served", "Mini")) == 24
    records = [json.loads(file.read_bytes()) for file in place.result("Served", "Mini/journal").glob("*.record.json")]
    assert len(records) == 3, "there were several shards"
    assert len({record["process"] for record in records}) == 1
    assert [file.name for file in place.result("Served", "").glob("_server*.log")] == ["_server.log"]
    assert len(place.result("Served", "_server.log").read_text().split()) == 1, "an engine says its port when it starts"


def test_an_engine_that_does_not_start_is_tried_once_a_run(place: Workplace) -> None:
    place.models["Served"] = engine(', "nonsense": 1')
    done = place.vlmake(*RUN)
    assert done.code != 0
    assert "the server ended before it answered: exit status 1" in done.output
    assert place.result("Served", "_server.log").read_text().count("Traceback") == 1


SERVED = {"backend": "server", "path": "/x", "command": "vllm serve"}
REMOTE = EndpointEntry.model_validate({"backend": "endpoint", "api_base": "http://h", "served_model": "m"})


@pytest.mark.parametrize(
    ("entry", "devices", "expected"),
    [
        (ServerEntry.model_validate({**SERVED, "gpus": 0}), "GPU-1,GPU-2", True),
        (ServerEntry.model_validate({**SERVED, "gpus": 1}), "GPU-1,GPU-2", False),
        (ServerEntry.model_validate({**SERVED, "gpus": 1}), "", True),
        (REMOTE, "", False),
    ],
)
def test_leased_devices_allow_an_engine_each(
    entry: ModelEntry, devices: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    assert has_unleased_engine(entry) is expected
