"""A model from a hub: fetched by a job of its own, pinned for all inference, told by the real Snakemake."""

import json
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from tests.conftest import TINY_VLM, Workplace
from tests.hub_server import HubServer, files_of

NAME = "shapes/tiny-vlm"
RECORD = "data/models/Hub/checkpoint.json"
SCORE = "results/Hub/Mini_score.csv"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        running.publish(NAME, files_of(TINY_VLM))
        yield running


@pytest.fixture
def hub_model(workplace: Workplace) -> Workplace:
    workplace.models["Hub"] = {
        "repository": NAME,
        "dtype": "float32",
        "device": "cpu",
        "gpus": 0,
        "max_new_tokens": 16,
    }
    workplace.config["models"] = ["Hub"]
    workplace.datasets["Mini"]["rows_per_shard"] = 12
    return workplace


def online(server: HubServer) -> dict[str, str]:
    return {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": server.url}


def identity(place: Workplace, dataset: str) -> str:
    """Which checkpoint the finished predictions say they are of."""
    metadata = pq.read_schema(place.result("Hub", f"{dataset}_predictions.parquet")).metadata
    return str(json.loads(metadata[b"vlmake"])["identity"])


@pytest.mark.slow
def test_fetched_once_and_pinned_until_asked(hub_model: Workplace, server: HubServer) -> None:
    commit = server.repositories[NAME].branches["main"]
    ran = hub_model.snakemake("--", RECORD, **online(server))
    assert (ran.code, ran.jobs) == (0, ["checkpoint Hub"]), ran.output
    assert server.downloaded() == sorted(set(files_of(TINY_VLM)) - {"README.md"})

    moved = server.publish(NAME, files_of(TINY_VLM) | {"generation_config.json": b"{}"})
    server.asked.clear()
    ran = hub_model.snakemake("--", SCORE, **online(server))
    assert ran.code == 0, ran.output
    shards = ["infer_shard Hub/Mini/000/002", "infer_shard Hub/Mini/001/002"]
    assert [job for job in ran.jobs if "Hub" in job] == [*shards, "merge Hub/Mini", "score Hub/Mini"]
    assert identity(hub_model, "Mini") == f"hub:{NAME}@{commit}"
    assert [row["status"] for row in hub_model.predictions("Hub", "Mini")] == ["ok"] * 24
    assert server.asked == [], "inference asks no hub"

    ran = hub_model.snakemake("--", SCORE)
    assert (ran.code, ran.jobs) == (0, []), ran.output

    ran = hub_model.vlmake("run", "--data", "Mini@2", "--mode", "infer", "--forcerun", "checkpoint", **online(server))
    assert ran.code == 0, ran.output
    assert identity(hub_model, "Mini@2") == f"hub:{NAME}@{moved}"
    ran = hub_model.snakemake("--dry-run", "--", SCORE)
    assert {*shards, "score Hub/Mini"} <= set(ran.jobs), "scores of another commit are stale"


def test_one_line_says_where_the_weights_lie(hub_model: Workplace) -> None:
    """No network, no job before inference: the entry keeps everything but where its weights are."""
    mine = hub_model.folder / "mine" / "models"
    mine.mkdir(parents=True)
    (mine / "here.yaml").write_text(f"models: {{Hub: {{path: {json.dumps(str(TINY_VLM))}}}}}")
    ran = hub_model.vlmake("run", "--data", "Mini@4", "--mode", "infer", "--registry", "mine", "--verbose")
    assert ran.code == 0, ran.output
    assert [job for job in ran.jobs if "Hub" in job] == ["infer Hub/Mini@4"]
    assert not (hub_model.folder / RECORD).exists()


def test_what_cannot_be_had_stops_before_inference(hub_model: Workplace) -> None:
    ran = hub_model.snakemake("--", "results/Hub/Mini@2_predictions.parquet")
    assert ran.code != 0
    assert f"vlmake checkpoint: model 'Hub': {NAME}@main is not in the hub cache" in ran.output
    assert not (hub_model.folder / RECORD).exists()
    assert hub_model.journal_lines("Hub", "Mini") == []


def test_doctor_says_what_is_to_be_downloaded(hub_model: Workplace) -> None:
    hub_model.models["Elsewhere"] = {"repository": "a/b"}
    hub_model.models["Demanding"] = {"repository": "a/b", "environment": "transformers==4.49.0"}
    hub_model.config["models"] = ["Hub", "TinyVLM", "Demanding"]
    ran = hub_model.vlmake("doctor")
    assert f"model Hub: hub:{NAME}@main is to be downloaded" in ran.output
    assert f"ok    model TinyVLM: {TINY_VLM}, " in ran.output
    assert "WRONG model Demanding: model 'Demanding' needs transformers==4.49.0 (here " in ran.output
    assert "more are registered and not configured" in ran.output
    assert "Elsewhere" not in ran.output
