"""Published benchmarks by name, from TSV to score, file to hand in, or predictions, by one command."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import Workplace, write_tsv
from tests.made_up import cells
from vlmake.registry.loading import load_registry, registry_folders
from vlmake.registry.readiness import readiness

ROWS = 4
NAMES = ("COCO_VAL", "MMMU_DEV_VAL", "MMT-Bench_VAL", "OCRBench", "TextVQA_VAL", "MMVP", "MMVet", "MMBench_TEST_EN")
"""One for each kind of task, prompt and ending; all of them are tried without Snakemake in another test."""


def with_made_up(place: Workplace, folder: Path, names: Sequence[str]) -> None:
    """Let the published names stand for small files in their layout."""
    published = load_registry(registry_folders(current=Path("/"))).datasets
    place.datasets = {}
    for name in names:
        rows = [cells(published[name], row) for row in range(ROWS)]
        write_tsv(folder / f"{name}.tsv", [list(rows[0]), *(list(row.values()) for row in rows)])
        place.datasets[name] = {"path": str(folder / f"{name}.tsv"), "md5": [], "rows": ROWS, "max_new_tokens": 4}
    place.config = {}


@pytest.mark.slow
def test_published_benchmarks_by_one_command(workplace: Workplace, tmp_path: Path) -> None:
    published = load_registry(registry_folders(current=Path("/"))).datasets
    with_made_up(workplace, tmp_path, NAMES)
    asked = list(NAMES)
    ran = workplace.vlmake("run", "--model", "TinyVLM", "--data", *asked, "--cores", "2")
    assert ran.code == 0, ran.output

    for name in asked:
        kind = readiness(published[name]).result
        if kind == "score":
            detail = json.loads(workplace.result("TinyVLM", f"{name}_score.json").read_text("utf-8"))
            assert set(detail["protocols"]) == {"vlmevalkit-main", "vlmevalkit-ms", "strict"}
            with workplace.result("TinyVLM", f"{name}_score.csv").open(newline="", encoding="utf-8") as table:
                header, *rows = list(csv.reader(table))
            assert header and rows
        else:
            assert f"TinyVLM on {name}: no score: " in ran.output
            assert not workplace.result("TinyVLM", f"{name}_score.csv").exists()
        assert len(workplace.predictions("TinyVLM", name)) == ROWS
    assert workplace.result("TinyVLM", "MMBench_TEST_EN_submission.xlsx").stat().st_size > 0
    again = workplace.vlmake("run", "--model", "TinyVLM", "--data", *asked, "--cores", "2", "--dry-run")
    assert again.jobs == [], again.output
