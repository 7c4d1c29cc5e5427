"""Every registered image benchmark, from a TSV in its layout to what a run of it ends in."""

import base64
import io
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.conftest import write_tsv
from vlmake.decode import decode
from vlmake.download import source_record
from vlmake.inference import Asking
from vlmake.metrics.registry import METRICS
from vlmake.prompts import FRAMES, Frames
from vlmake.questions import read_questions
from vlmake.readiness import readiness
from vlmake.registry import DatasetEntry, load_registry, registry_folders
from vlmake.scoring import ScoringSpec, score
from vlmake.submissions.registry import load_writer

REGISTRY = load_registry(registry_folders(current=Path("/")))
RUN = {name: entry for name, entry in REGISTRY.datasets.items() if entry.input == "image" and not entry.parts}
SCORED = [name for name, entry in RUN.items() if readiness(entry).result == "score"]
HANDED_IN = [name for name, entry in RUN.items() if readiness(entry).result == "submission"]
ROWS = 8
THINGS = ("square", "circle", "star", "line", "moon", "cross", "ring", "arrow")


def picture(number: int) -> str:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (30 * number % 256, 90, 10)).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def answer_of(entry: DatasetEntry, row: int) -> str:
    if entry.task == "yes_no":
        return ("Yes", "No")[row % 2]
    if entry.task == "multiple_choice":
        return "ABCD"[row % 4]
    if entry.task == "caption":
        return f"['a {THINGS[row]} on red ground', 'one {THINGS[row]}']"
    return "red" if entry.metric == "mtvqa" else "['red', 'crimson']"


def cells(entry: DatasetEntry, row: int) -> dict[str, str]:
    """One row as benchmarks of this metric publish it."""
    index = str(row % 2 + 1_000_000 * (row // 2)) if entry.metric == "choice_circular" else str(row)
    if entry.metric == "hallusion":
        index = f"VS_map_{row % 2}_{row // 4}_{row // 2}_{row % 4}"
    made = {"index": index, "image": picture(row // 2), "category": ("Regular Text Recognition", "b")[row % 2]}
    made |= {"l2-category": "visual_recognition", "split": ("dev", "test")[row % 2], "image_path": f"{row // 2}.jpg"}
    if entry.metric in ("ocrbench", "mme"):
        made["category"] = {"ocrbench": "Regular Text Recognition", "mme": "OCR"}[entry.metric]
    if entry.question is None:
        made["question"] = f"What is in picture {row}?"
    if entry.task == "multiple_choice":
        made |= {"A": "red", "B": "green", "C": "blue", "D": "white"}
    if entry.answers:
        made["answer"] = answer_of(entry, row)
    if entry.metric == "vizwiz":
        made["answers"] = "['red', 'red', 'red', 'blue']"
    return made


def decoded(name: str, folder: Path) -> tuple[Path, pd.DataFrame]:
    entry = RUN[name]
    rows = [cells(entry, row) for row in range(ROWS)]
    write_tsv(folder / "x.tsv", [list(rows[0]), *(list(row.values()) for row in rows)])
    samples = folder / "samples.parquet"
    done = decode(folder / "x.tsv", source_record(name, folder / "x.tsv"), folder, samples, folder / "images.arrow")
    assert (done.rows, done.broken) == (ROWS, 0)
    return samples, pd.read_parquet(samples)


def predictions(samples: pd.DataFrame, texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"index": samples["index"], "prediction": texts, "status": "ok"})


def right_texts(entry: DatasetEntry) -> list[str]:
    if entry.task in ("yes_no", "multiple_choice"):
        return [answer_of(entry, row) for row in range(ROWS)]
    return ["red"] * ROWS if entry.task == "vqa" else [f"a {thing} on red ground" for thing in THINGS]


def test_every_published_benchmark_is_registered() -> None:
    assert len(RUN) > 380
    assert len(SCORED) > 85
    assert {RUN[name].metric for name in SCORED} >= {name for name, entry in METRICS.items() if entry.module} - {"yes_no"}


@pytest.mark.parametrize("name", RUN)
def test_it_is_asked(name: str, tmp_path: Path) -> None:
    entry = RUN[name]
    rows = [cells(entry, row) for row in range(2)]
    write_tsv(tmp_path / "x.tsv", [list(rows[0]), *(list(row.values()) for row in rows)])
    samples = tmp_path / "samples.parquet"
    decode(tmp_path / "x.tsv", source_record(name, tmp_path / "x.tsv"), tmp_path, samples, tmp_path / "images.arrow")
    asked, _ = read_questions(samples, entry, Asking("m", 8), frames=Frames(), limit=None, shard=0, shards=1)
    assert len(asked) == 2
    for question in asked:
        kinds = [part["type"] for part in question.messages]
        assert kinds.count("image") == 1 and "text" in kinds
        text = "".join(part.get("text", "") for part in question.messages)
        assert "{question}" not in text and "{choices}" not in text
        if entry.task == "multiple_choice" and "{choices}" in (entry.prompt or FRAMES[entry.task]):
            assert "red" in text and "white" in text


@pytest.mark.parametrize("name", SCORED)
def test_it_is_scored(name: str, tmp_path: Path) -> None:
    entry = RUN[name]
    if entry.metric == "vcr_zh":
        pytest.importorskip("zh_core_web_sm", reason="VCR_ZH NOT SCORED: it needs the model zh_core_web_sm")
    _, samples = decoded(name, tmp_path)
    assert entry.metric is not None
    spec = ScoringSpec(name, entry.task, entry.metric)
    right = score(samples, predictions(samples, right_texts(entry)), spec)
    wrong = score(samples, predictions(samples, ["none of that"] * ROWS), spec)
    for protocol, numbers in right.detail["protocols"].items():
        best, worst = numbers["overall"]["value"], wrong.detail["protocols"][protocol]["overall"]["value"]
        assert best > worst, protocol
        assert numbers["rows"]


@pytest.mark.parametrize("name", HANDED_IN)
def test_it_is_handed_in(name: str, tmp_path: Path) -> None:
    _, samples = decoded(name, tmp_path)
    target = tmp_path / "submission"
    submission = RUN[name].submission
    assert submission is not None
    load_writer(submission).write(samples, predictions(samples, right_texts(RUN[name])), target)
    assert target.stat().st_size > 0


def test_a_published_name_has_its_aliases() -> None:
    assert REGISTRY.resolve_dataset("GMAI_mm_bench_VAL@7") == "GMAI-MMBench_VAL@7"
