"""InternVL2-2B by its registered name, from its published layout: one command, wherever the weights are."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.checkpoints import internvl2_original
from tests.conftest import Workplace
from tests.hub_server import HubServer, files_of

NAME = "OpenGVLab/InternVL2-2B"
SCORE = "results/InternVL2-2B/MME_score.csv"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return internvl2_original.write(tmp_path_factory.mktemp("published") / "InternVL2-2B", "2B")


@pytest.fixture
def place(workplace: Workplace) -> Workplace:
    """MME is the shipped entry with the rows of a small file; the model is the shipped entry as it is."""
    workplace.datasets = {"MME": workplace.datasets["Mini"] | {"md5": []}}
    workplace.config = {}
    return workplace


def cached(place: Workplace, published: Path) -> dict[str, str]:
    """Lay the checkpoint out as the hub's own client does."""
    folder = place.home / "hf" / "hub" / f"models--{NAME.replace('/', '--')}"
    shutil.copytree(published, folder / "snapshots" / COMMIT)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT, encoding="ascii")
    return {"HF_HOME": str(place.home / "hf")}


def answers(place: Workplace) -> tuple[str, list[object]]:
    table = pq.read_table(place.result("InternVL2-2B", "MME_predictions.parquet"))
    identity = json.loads(table.schema.metadata[b"vlmake"])["identity"]
    return str(identity), table.column("prediction").to_pylist()


def record(place: Workplace) -> dict[str, object]:
    (file,) = (place.folder / "results" / "InternVL2-2B" / "MME" / "journal").glob("*.record.json")
    found: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))["backend"]
    return found


@pytest.mark.slow
def test_one_command_from_the_hub_cache_a_path_or_the_hub(place: Workplace, published: Path, tmp_path: Path) -> None:
    from_path = place.copy_to(tmp_path / "from path")
    from_hub = place.copy_to(tmp_path / "from hub")

    ran = place.vlmake(SCORE, **cached(place, published))
    assert ran.code == 0, ran.output
    identity, given = answers(place)
    assert identity.startswith(f"hub:{NAME}@{COMMIT}")
    assert len(set(given)) > 1
    assert record(place)["class"] == "InternVLForConditionalGeneration"
    assert record(place)["image_groups"] == {"prefix": "equal", "features": "unchecked"}

    from_path.models["InternVL2-2B"] = {"path": str(published)}
    ran = from_path.vlmake(SCORE)
    assert ran.code == 0, ran.output
    assert answers(from_path)[0].startswith("local:")
    assert answers(from_path)[1] == given

    with HubServer() as server:
        server.publish(NAME, files_of(published))
        ran = from_hub.vlmake(SCORE, HF_HUB_OFFLINE="0", HF_ENDPOINT=server.url, HF_HOME=str(tmp_path / "empty"))
    assert ran.code == 0, ran.output
    assert answers(from_hub)[1] == given


def test_weights_that_cannot_be_had_are_one_line(place: Workplace) -> None:
    ran = place.vlmake(SCORE, HF_HOME=str(place.home / "hf"))
    assert ran.code != 0
    told = [line for line in ran.output.splitlines() if NAME in line]
    assert len(told) == 1
    assert "InternVL2-2B" in told[0]
    assert "Traceback" not in ran.output
