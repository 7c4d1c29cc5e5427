import ast
import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vlmake.errors import VlmakeError
from vlmake.metrics.registry import METRICS, load_metric
from vlmake.scoring.intervals import wilson

# vcr_zh needs a language model that is not on PyPI.
COUNTED = [name for name, entry in METRICS.items() if not entry.grader and name != "vcr_zh"]
COLUMNS = {
    "category": ["count", "count", "code_reasoning", "own"],
    "l2-category": ["map", "chart", "map", "map"],
    "image_path": ["1.jpg", "1.jpg", "2.jpg", "3.jpg"],
    "split": ["dev", "dev", "test", "test"],
}


def judged(hits, **columns):
    n = len(hits)
    frame = pd.DataFrame({"index": [str(i) for i in range(n)], "hit": np.array(hits, dtype=float)})
    frame["gold"] = ["Yes"] * n
    frame["extracted"] = ["Yes" if hit else "No" for hit in hits]
    return frame.assign(**columns)


def cells(table, row=0):
    return dict(zip(table.columns, table.rows[row], strict=True))


def test_mme_adds_accuracy_and_paired_accuracy():
    frame = judged([1, 1, 1, 0, 0, 0], category=["OCR"] * 4 + ["own"] * 2, image_path=["a", "a", "b", "b", "c", "c"])
    table = load_metric("mme").table(frame)
    assert cells(table) == {"perception": 125.0, "reasoning": None, "OCR": 125.0, "own": 0.0}
    assert (table.overall.value, table.overall.n) == (125.0, 6)


def test_mme_counts_half_a_pair_as_not_right_and_only_two_rows_of_an_image():
    assert cells(load_metric("mme").table(judged([1], category="OCR", image_path="a")))["OCR"] == 100
    three = judged([1, 1, 0], category="OCR", image_path="a")
    assert cells(load_metric("mme").table(three))["OCR"] == pytest.approx(200 / 3 + 100)


def test_mme_pairs_by_group_or_by_neighbourhood_without_paths():
    assert (
        cells(load_metric("mme").table(judged([1, 0, 1, 1], category="OCR", group=["a", "b", "a", "b"])))["OCR"] == 125
    )
    assert cells(load_metric("mme").table(judged([1, 0, 1, 1], category="OCR")))["OCR"] == 125


def test_pope_counts_a_row_once_for_each_of_its_categories():
    table = load_metric("pope").table(judged([1, 0], category=["random,popular", "random"]))
    assert [row[0] for row in table.rows] == ["Overall", "random", "popular"]
    assert cells(table)["acc"] == pytest.approx(200 / 3)
    assert cells(table, 2) == {"split": "popular", "Overall": 100, "acc": 100, "precision": 100, "recall": 100}


def test_hallusion_needs_all_rows_of_a_figure_and_of_a_question():
    frame = judged([1, 1, 1, 0], category="VS", **{"l2-category": "map"})
    frame["index"] = ["VS_map_1_0_0_0", "VS_map_1_0_0_1", "VS_map_1_0_1_0", "VS_map_1_0_1_1"]
    table = load_metric("hallusion").table(frame)
    assert [row[0] for row in table.rows] == ["Overall", "VS", "map"]
    assert cells(table) == {"split": "Overall", "aAcc": 75, "fAcc": 50, "qAcc": 50}


def test_hallusion_says_which_index_it_cannot_read():
    with pytest.raises(VlmakeError, match="index '0' is not of HallusionBench's form"):
        load_metric("hallusion").table(judged([1]))


def test_amber_averages_its_classes_and_ignores_case():
    frame = judged([1, 0, 1], category=["discriminative-hallucination", "discriminative-attribute-state", "relation"])
    table = load_metric("amber").table(frame)
    assert cells(table) == {"Existence": 100, "Attribute": 0, "Relation": 100, "Avg ACC": pytest.approx(200 / 3)}
    assert load_metric("amber").hits(pd.DataFrame({"extracted": ["Yes", None], "gold": ["yes", "no"]})).tolist() == [
        1,
        0,
    ]


def test_vsr_has_f1_as_a_fraction():
    frame = judged([1, 1, 0, 0])
    frame["gold"] = ["Yes", "No", "Yes", "No"]
    frame["extracted"] = ["Yes", "No", "No", "Yes"]
    assert cells(load_metric("vsr").table(frame)) == {"precision": 50, "recall": 50, "acc": 50, "f1_score": 0.5}


def test_plain_yes_no_sorts_its_categories():
    table = load_metric("yes_no").table(judged([1, 0], category=["b", "a"]))
    assert list(cells(table).items()) == [("Overall", 50), ("a", 0), ("b", 100)]


def test_choice_has_a_row_a_split_and_nan_where_there_is_nothing():
    columns = {"l2-category": ["coarse_perception"] * 3, "category": ["x", "x", "y"], "split": ["test", "dev", "dev"]}
    table = load_metric("choice").table(judged([1, 0, 1], **columns))
    assert table.columns == ["split", "Overall", "CP", "x", "y"]
    assert table.rows[0][:4] == ["test", 1, 1, 1] and math.isnan(table.rows[0][4])
    assert table.rows[1] == ["dev", 0.5, 0.5, 0, 1]
    assert load_metric("choice").table(judged([1])).rows == [["none", 1]]


def circular(indices, hits, **columns):
    return judged(hits, **columns).assign(index=indices, gold="A")


def test_circular_needs_every_copy():
    frame = circular(["1", "2", "1000001", "2000002", "7000009"], [1, 1, 1, 0, 1])
    grouped = load_metric("choice_circular").group_hits(frame)
    assert grouped[:2].tolist() == [1, 0] and np.isnan(grouped[2:]).all()  # 9 has no main row
    table = load_metric("choice_circular").table(frame.assign(category="x"))
    assert table.rows == [["circular_none", 0.5, 0.5]]
    assert [row[0] for row in table.more["vanilla"][1]] == ["vanilla_0_none", "vanilla_all_none", "circular_none"]
    assert [row[1] for row in table.more["vanilla"][1]] == [1, 0.8, 0.5]


def test_circular_leaves_rows_without_a_gold_answer_out():
    frame = circular(["1", "1000001"], [1, 0])
    frame["gold"] = ["A", "nan"]
    assert load_metric("choice_circular").group_hits(frame)[0] == 1
    frame["gold"] = ["nan", "A"]
    assert load_metric("choice_circular").table(frame).overall.n == 0


def test_circular_says_which_index_is_no_number():
    with pytest.raises(VlmakeError, match="index 'x1' is not a whole number"):
        load_metric("choice_circular").table(circular(["1", "x1"], [1, 1]))


def test_vqa_exact():
    frame = pd.DataFrame({"extracted": [" ABC ", "xyz", None], "gold": [["x", "abc"], ["abc"], ["abc"]]})
    assert load_metric("vqa_exact").hits(frame).tolist() == [1, 0, 0]
    table = load_metric("vqa_exact").table(judged([1, 0], split=["b", "a"]))
    assert list(cells(table)) == ["b", "a", "Overall"]
    assert list(cells(load_metric("vqa_exact").table(judged([1, 0], category=["b", "a"])))) == ["Overall", "a", "b"]


@pytest.mark.parametrize("name", [name for name in COUNTED if name != "hallusion"])
@pytest.mark.parametrize("columns", [[], ["category"], ["split"], ["category", "l2-category", "split", "image_path"]])
@pytest.mark.parametrize("rows", [0, 1, 3, 4])
def test_every_metric_bears_few_rows_and_missing_columns(name, columns, rows):
    frame = judged([1, 0, 1, 1], **{column: COLUMNS[column] for column in columns}).head(rows)
    metric = load_metric(name)
    table = metric.table(frame)
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(metric.hits(frame)) == rows


def test_hallusion_bears_few_rows_and_missing_columns():
    frame = judged([1]).assign(index="VS_map_1_0_0_1")
    assert load_metric("hallusion").table(frame).rows == [["Overall", 100, 100, 100]]
    assert math.isnan(load_metric("hallusion").table(frame.head(0)).rows[0][1])


def test_missing_categories_are_no_category():
    frame = judged([1, 0], category=["x", None], **{"l2-category": [np.nan, np.nan]})
    for name in ("mme", "pope", "amber", "yes_no", "choice", "vqa_exact"):
        assert all("nan" not in str(column) for column in load_metric(name).table(frame).columns)


def test_numbers_and_texts_sort_together():
    assert load_metric("choice").table(judged([1, 0, 1], category=["b", 2, 1])).columns == [
        "split",
        "Overall",
        "1",
        "2",
        "b",
    ]


def test_an_unknown_metric_gets_a_hint():
    with pytest.raises(VlmakeError, match="unknown metric 'mmee'; did you mean 'mme'"):
        load_metric("mmee")


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    [
        (0.9, 40, 0.769, 0.960),
        (0.5, 10, 0.237, 0.763),
        (0.0, 10, 0.0, 0.278),
        (1.0, 10, 0.722, 1.0),
        (1.0, 1, 0.207, 1.0),
    ],
)
def test_wilson(share, n, low, high):
    assert wilson(share, n) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))
    assert wilson(share, 0) is None


def test_mmvp_pairs_rows_by_index_and_counts_both_right():
    frame = judged([1, 0, 1, 1]).assign(index=["0", "2", "1", "3"])
    table = load_metric("mmvp").table(frame)
    assert table.columns == ["Average", "Overall"]
    assert table.rows == [[0.75, 0.5]]
    assert load_metric("mmvp").group_hits(frame).tolist()[:2] == [1.0, 0.0]
    assert load_metric("mmvp").table(frame.head(3)).overall.value == 0.5, "the row without its partner is not right"
    assert load_metric("mmvp").table(judged([1] * 11)).overall.n == 6


def test_mmt_bench_groups_are_means_of_subtasks_and_absent_ones_are_named():
    frame = judged([1, 1, 0, 1], category=["a", "a", "b", "c"], split=["VAL"] * 4)
    frame["l2-category"] = ["ocr", "ocr", "ocr", "threed"]
    table = load_metric("mmt_bench").table(frame)
    assert table.columns == ["split", "Overall", "OCR", "3D", "a", "b", "c"]
    assert table.rows == [["VAL", 0.75, 0.5, 1, 1, 0, 1], ["ALL", 0.75, 0.5, 1, 1, 0, 1]]
    assert len(table.missing) == 30 and "counting" in table.missing


def test_subtasks_without_rows_are_named_unless_all_are_the_benchmarks_own():
    assert "artwork" in load_metric("mme").table(judged([1, 1], category="OCR", image_path="a")).missing
    assert load_metric("mme").table(judged([1, 1], category="own", image_path="a")).missing == ()
    assert load_metric("amber").table(judged([1], category="relation")).missing == ("Attribute", "Existence")


def test_gmai_adds_tables_by_its_own_columns():
    frame = judged([1, 0, 1], department=["x", "y", "x"])
    table = load_metric("gmai").table(frame)
    assert table.more["department"] == (["split", "Overall", "x", "y"], [["none", 2 / 3, 1.0, 0.0]])
    assert table.missing == ("clinical vqa task", "perceptual granularity")


@pytest.mark.parametrize("module", sorted({entry.module for entry in METRICS.values() if entry.module}))
def test_every_metric_names_the_source_of_its_rule(module):
    spec = importlib.util.find_spec(module)  # read, not imported: some need libraries that may be absent
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert any("Source: " in text for text in texts)
