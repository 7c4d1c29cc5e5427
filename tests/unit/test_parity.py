"""Tables, hits and answers equal to those that VLMEvalKit itself gave for synthetic benchmarks and messy answers."""

import csv
import io
import json
import math
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from vlmake.metrics.registry import METRICS
from vlmake.score_files import items_jsonl, table_csv
from vlmake.scoring import ScoreResult, ScoringSpec, score

DATA = Path(__file__).parents[1] / "data" / "parity"
OTHER_METRICS = {
    "MME": "mme",
    "POPE": "pope",
    "HallusionBench": "hallusion",
    "AMBER": "amber",
    "OCRVQA_TESTCORE": "vqa_exact",
    **dict.fromkeys(("MMBench_DEV_EN", "MMBench_DEV_EN_V11", "MMBench_DEV_CN", "CCBench"), "choice_circular"),
}
DATASETS = sorted(path.name.removesuffix(".tsv") for path in DATA.glob("*.tsv"))
RELEASES = {"main": "vlmevalkit-main", "ms": "vlmevalkit-ms"}
CASES = [(dataset, release) for dataset in DATASETS for release in RELEASES]


def load(dataset: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    samples = pd.read_csv(DATA / f"{dataset}.tsv", sep="\t", dtype=str, keep_default_na=False, na_values=[""])
    lines = [json.loads(line) for line in (DATA / f"{dataset}.pred.jsonl").read_text("utf-8").splitlines()]
    texts = [line["prediction"] for line in lines]
    predictions = pd.DataFrame(
        {
            "index": [str(line["index"]) for line in lines],
            "prediction": pd.Series(texts, dtype=object),
            "status": ["model_error" if text is None else "ok" if text.strip() else "empty" for text in texts],
        }
    )
    return samples.drop(columns="image"), predictions


@cache
def scored(dataset: str, release: str = "main") -> ScoreResult:
    metric = OTHER_METRICS.get(dataset, "choice")
    return score(*load(dataset), ScoringSpec(dataset, METRICS[metric].task, metric, RELEASES[release]))


def by_name(table: dict) -> dict:
    """Return the table as (row, column) → value; the peer's row and column order is random in places."""
    has_splits = table["columns"][0] == "split"
    cells = {}
    for row in table["rows"]:
        name = row[0] if has_splits else ""
        cells |= {
            (name, column): value for column, value in zip(table["columns"], row, strict=True) if column != "split"
        }
    return cells


def assert_close(ours: dict, theirs: dict) -> None:
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        missing = value is None or math.isnan(value)
        assert ours[key] is None if missing else ours[key] == pytest.approx(value, abs=1e-9, rel=0), key


def test_every_family_is_covered():
    assert len(DATASETS) == 21


@pytest.mark.parametrize(("dataset", "release"), CASES)
def test_table(dataset, release):
    expected = json.loads((DATA / f"{dataset}.{release}.json").read_text("utf-8"))
    result = scored(dataset, release)
    ours = result.detail["protocols"][RELEASES[release]]
    # The peer was asked for the further table too, and then it renames the splits of the first one.
    assert_close(by_name(ours), by_name(expected["result"]))
    header, *rows = csv.reader(io.StringIO(table_csv(result)))
    values = [
        [cell if name == "split" else float(cell) if cell else None for name, cell in zip(header, row, strict=True)]
        for row in rows
    ]
    assert_close(by_name({"columns": header, "rows": values}), by_name(expected["result"]))
    if "vanilla" in expected:
        assert_close(by_name(ours["vanilla"]), by_name(expected["vanilla"]))


@pytest.mark.parametrize(("dataset", "release"), CASES)
def test_every_sample(dataset, release):
    expected = json.loads((DATA / f"{dataset}.{release}.json").read_text("utf-8"))["items"]
    items = {item["index"]: item for item in map(json.loads, items_jsonl(scored(dataset, release)).splitlines())}
    for index, item in expected.items():
        # The file has a hit, and for yes-or-no benchmarks the extracted answer. Those of circular benchmarks are the
        # hits of the main rows, each on its own.
        assert items[index]["hit"] == pytest.approx(float(item[0]), abs=1e-9), (index, items[index])
        if len(item) > 1:
            assert items[index]["extracted"] == item[1], index
    mains = {index for index, item in items.items() if item.get("group_hit", item["hit"]) is not None}
    assert mains == set(expected)


@pytest.mark.parametrize("dataset", [name for name, metric in OTHER_METRICS.items() if metric == "choice_circular"])
def test_group_hits_average_to_the_published_score(dataset):
    result = scored(dataset)
    rows = result.judged[result.judged["protocol"] == "vlmevalkit-main"]
    expected = json.loads((DATA / f"{dataset}.main.json").read_text("utf-8"))["result"]["rows"][0][1]
    assert rows["group_hit"].mean() == pytest.approx(expected, abs=1e-9)
    assert rows["group_hit"].notna().sum() == 40


@pytest.mark.parametrize("dataset", DATASETS)
def test_column_order_is_that_of_the_file(dataset):
    expected = json.loads((DATA / f"{dataset}.main.json").read_text("utf-8"))["result"]["columns"]
    if dataset != "AMBER":  # its classes come in file order here
        assert scored(dataset).table.columns == expected


@pytest.mark.parametrize("dataset", DATASETS)
def test_places_are_where_the_answer_is(dataset):
    texts = load(dataset)[1].set_index("index")["prediction"]
    rows = scored(dataset).judged
    for row in rows[rows["span_start"].notna()].itertuples():
        piece = texts[rows.loc[row.Index, "index"]][row.span_start : row.span_end]
        assert row.rule == "whole_text" or (piece and piece.strip() == piece)
        if row.extracted in ("Yes", "No", "A", "B", "C", "D") and row.rule in ("word", "letter", "letter_near_end"):
            assert piece.upper() == row.extracted.upper()
