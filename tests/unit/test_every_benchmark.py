"""Every registered image benchmark, from a TSV in its layout to what a run of it ends in."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import write_tsv
from tests.made_up import ROWS, THINGS, answer_of, cells, picture
from vlmake.data.decode import decode
from vlmake.data.download import source_record
from vlmake.inference.prompts import FRAMES, Frames, places
from vlmake.inference.questions import read_questions
from vlmake.inference.shard import Asking
from vlmake.metrics.registry import METRICS
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.loading import load_registry, registry_folders
from vlmake.registry.readiness import readiness
from vlmake.scoring.protocols import ScoringSpec, score
from vlmake.submissions.registry import load_writer

REGISTRY = load_registry(registry_folders(current=Path("/")))
RUN = {name: entry for name, entry in REGISTRY.datasets.items() if entry.input == "image" and not entry.parts}
SCORED = [name for name, entry in RUN.items() if readiness(entry).result == "score"]
HANDED_IN = [name for name, entry in RUN.items() if readiness(entry).result == "submission"]
BROKEN = "broken base64: characters that are not base64"
OWN = {"yes_no", "yes_no_any_case"}  # of benchmarks that nobody published


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Decode a benchmark's made-up TSV; those that look the same are decoded once."""
    known: dict[str, Path] = {}

    def samples_of(name: str) -> Path:
        rows = [cells(RUN[name], row) for row in range(ROWS)]
        if (key := json.dumps(rows)) not in known:
            folder = tmp_path_factory.mktemp("benchmark")
            tsv, samples = folder / "x.tsv", folder / "samples.parquet"
            write_tsv(tsv, [list(rows[0]), *(list(row.values()) for row in rows)])
            done = decode(tsv, source_record("x", tsv), folder, samples, folder / "images.arrow")
            assert (done.rows, done.broken) == (ROWS, 0)
            known[key] = samples
        return known[key]

    return samples_of


def predictions(samples: pd.DataFrame, texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"index": samples["index"], "prediction": texts, "status": "ok"})


def right_texts(entry: DatasetEntry) -> list[str]:
    if entry.task in ("yes_no", "multiple_choice"):
        return [answer_of(entry, row) for row in range(ROWS)]
    return ["red"] * ROWS if entry.task == "vqa" else [f"a {thing} on red ground" for thing in THINGS]


def test_every_published_benchmark_is_registered() -> None:
    assert len(RUN) > 380
    assert len(SCORED) > 85
    assert {RUN[name].metric for name in SCORED} >= {name for name, entry in METRICS.items() if not entry.grader} - OWN


@pytest.mark.parametrize("name", RUN)
def test_it_is_asked(name: str, decoded: Callable[[str], Path]) -> None:
    entry = RUN[name]
    asked, _ = read_questions(decoded(name), entry, Asking("m", 8), frames=Frames(), limit=None, shard=0, shards=1)
    assert len(asked) == ROWS
    for question in asked:
        kinds = [part["type"] for part in question.messages]
        assert kinds.count("image") == (0 if entry.image_order == "none" else 1) and "text" in kinds
        text = "".join(part.get("text", "") for part in question.messages)
        assert not set(places(text)) & {"question", "choices", "options", *entry.pieces}
        if entry.options_from or ("choices" in places(entry.prompt or FRAMES[entry.task]) and entry.task != "vqa"):
            assert "red" in text and "white" in text


def test_rows_without_an_image_are_asked_where_the_benchmark_does(tmp_path: Path) -> None:
    tsv, samples = tmp_path / "x.tsv", tmp_path / "samples.parquet"
    write_tsv(
        tsv,
        [["index", "image", "question"], ["1", picture(1), "Seen?"], ["2", "", "Read?"], ["3", "b" * 70 + "!", "?"]],
    )
    decode(tsv, source_record("x", tsv), tmp_path, samples, tmp_path / "images.arrow")

    def asked(name: str) -> list[tuple[str | None, int, str]]:
        found, _ = read_questions(samples, RUN[name], Asking("m", 8), frames=Frames(), limit=None, shard=0, shards=1)
        return [(q.image_error, len(q.messages), q.messages[-1]["text"][:5]) for q in found]

    assert [error for error, _, _ in asked("AyaVisionBench")] == [None, "no image", BROKEN]
    assert asked("hle") == [(None, 2, "Seen?"), (None, 1, "Read?"), (BROKEN, 1, "?\nPle")]


@pytest.mark.parametrize("name", SCORED)
def test_it_is_scored(name: str, decoded: Callable[[str], Path]) -> None:
    entry = RUN[name]
    if entry.metric == "vcr_zh":
        pytest.importorskip("zh_core_web_sm", reason="VCR_ZH NOT SCORED: it needs the model zh_core_web_sm")
    samples = pd.read_parquet(decoded(name))
    assert entry.metric is not None
    spec = ScoringSpec(name, entry.task, entry.metric)
    right = score(samples, predictions(samples, right_texts(entry)), spec)
    wrong = score(samples, predictions(samples, ["none of that"] * ROWS), spec)
    for protocol, numbers in right.detail["protocols"].items():
        best, worst = numbers["overall"]["value"], wrong.detail["protocols"][protocol]["overall"]["value"]
        assert best > worst, protocol
        assert numbers["rows"]


@pytest.mark.parametrize("name", HANDED_IN)
def test_it_is_handed_in(name: str, decoded: Callable[[str], Path], tmp_path: Path) -> None:
    samples = pd.read_parquet(decoded(name))
    target = tmp_path / "submission"
    submission = RUN[name].submission
    assert submission is not None
    load_writer(submission).write(samples, predictions(samples, right_texts(RUN[name])), target)
    assert target.stat().st_size > 0


def test_a_published_name_has_its_aliases() -> None:
    assert REGISTRY.resolve_dataset("GMAI_mm_bench_VAL@7") == "GMAI-MMBench_VAL@7"
