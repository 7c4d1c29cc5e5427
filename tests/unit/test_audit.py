"""An audit: rows are drawn by known chances, sheets survive spreadsheet programs, and the figures are those by hand."""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from openpyxl import Workbook, load_workbook

from vlmake import paths
from vlmake.audit.agreement import kappa, label_weights, share
from vlmake.audit.draw import allocate, form_strata
from vlmake.audit.labels import ABSTAIN, answer_category, parse_label
from vlmake.audit.sheet import COLUMNS, read_labels
from vlmake.commands.audit import command
from vlmake.errors import VlmakeError
from vlmake.inference.predictions import PREDICTIONS
from vlmake.registry.tasks import Task
from vlmake.scoring.intervals import wilson
from vlmake.scoring.protocols import ScoringSpec, score
from vlmake.scoring.score_files import write_judged

ANIMALS = ("dog", "cat", "horse", "sheep")
ODD = [
    "=1+1",
    "-5",
    "+B",
    "@SUM(A1)",
    "NA",
    "#N/A",
    "None",
    "007",
    "选B",
    'B\nbecause "it" is; so, there',
    "\x01B",
    "1e5",
]
LETTERS = ("A", "B", "C", "D")


def put_result(
    folder: Path, model: str, dataset: str, samples: pd.DataFrame, texts: list[str | None], spec: tuple[Task, str]
) -> None:
    """Write the three files that a scored result consists of."""
    statuses = ["model_error" if text is None else "ok" if text.strip() else "empty" for text in texts]
    answers = pd.DataFrame(
        {"index": samples["index"], "prediction": pd.Series(texts, dtype=object), "status": statuses}
    )
    rows = [
        {"index": index, "repeat": 0, "key": "k", "prediction": text, "status": status}
        for index, text, status in zip(samples["index"], texts, statuses, strict=True)
    ]
    files = {
        paths.samples(dataset): pa.Table.from_pandas(samples, preserve_index=False),
        paths.predictions(model, dataset): pa.Table.from_pylist(rows, schema=PREDICTIONS),
    }
    for file, table in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / file)
    result = score(samples, answers, ScoringSpec(dataset, *spec))
    write_judged(result, folder / paths.judged(model, dataset))


def animals(rows: int) -> pd.DataFrame:
    columns = {letter: [animal] * rows for letter, animal in zip(LETTERS, ANIMALS, strict=True)}
    index = [str(number) for number in range(rows)]
    return pd.DataFrame({"index": index, "question": "Which animal?", "answer": "B", **columns}, dtype=object)


def put_choice(folder: Path, texts: list[str | None], model: str = "TinyVLM") -> None:
    put_result(folder, model, "MMStar", animals(len(texts)), texts, ("multiple_choice", "choice"))


def audit(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def drawn(folder: Path, name: str = "sheet.csv", *more: object) -> Path:
    done = audit("draw", "--model", "TinyVLM", "--data", "MMStar", "--work-dir", folder, "--out", folder / name, *more)
    assert done.exit_code == 0, done.output
    return folder / name


def record(sheet: Path) -> dict:
    return json.loads(sheet.with_suffix(".json").read_text("utf-8"))


def read_csv(sheet: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet.read_text("utf-8-sig"), newline="")))


def fill(sheet: Path, labels: dict[str, str], target: Path | None = None) -> Path:
    """Write labels, by index, into a csv sheet (another one if a target is given)."""
    rows = [row | {"label": labels.get(row["index"], row["label"])} for row in read_csv(sheet)]
    target = target or sheet
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return target


def figures(sheet: Path, *more: object) -> dict:
    done = audit("score", sheet, "--work-dir", sheet.parent, *more)
    assert done.exit_code == 0, repr(done.exception)
    return json.loads(sheet.with_suffix(".result.json").read_text("utf-8"))


def refused(sheet: Path, *more: object) -> str:
    done = audit("score", sheet, "--work-dir", sheet.parent, *more)
    assert isinstance(done.exception, VlmakeError)
    return str(done.exception)


def test_every_stratum_gives_a_row_and_the_large_ones_share_the_rest_in_proportion() -> None:
    assert allocate([900, 100], 10) == [9, 1]
    assert allocate([1000, 500, 3, 2], 20) == [12, 6, 1, 1]
    assert allocate([5, 5], 100) == [5, 5]
    assert allocate([7, 1, 1, 1], 4) == [1, 1, 1, 1]
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = rng.integers(1, 400, rng.integers(1, 30)).tolist()
        samples = int(rng.integers(len(sizes), 300))
        counts = allocate(sizes, samples)
        assert sum(counts) == min(samples, sum(sizes))
        assert all(1 <= count <= size for count, size in zip(counts, sizes, strict=True))


def test_more_strata_than_samples_pools_the_smallest_and_loses_no_row() -> None:
    keys = [("D", "M", f"rule{n}", True, True) for n in range(6) for _ in range(n + 1)]
    strata = form_strata(keys, 3)
    assert [len(stratum.places) for stratum in strata] == [5, 6, 10]
    assert sorted(place for stratum in strata for place in stratum.places) == list(range(21))
    assert {key[2] for key in strata[-1].keys} == {"rule0", "rule1", "rule2", "rule3"}


def test_the_stratified_estimate_is_the_one_by_hand() -> None:
    # Strata of 90 and 10 rows, two labelled in each, hits 2 and 1: 0.9 * 1 + 0.1 * 0.5.
    weights = label_weights([0, 0, 1, 1], [90, 10])
    assert weights.tolist() == [45, 45, 5, 5]
    found = share([True, True, True, False], weights)
    assert found.value == pytest.approx(0.95)
    effective = 100 / 45
    by_hand = wilson(0.95, effective * 99 / (100 - effective))
    assert by_hand and (found.low, found.high) == pytest.approx(tuple(by_hand))


def test_one_stratum_of_a_large_population_has_wilsons_interval_and_a_census_has_none() -> None:
    weights = label_weights([0] * 100, [10**9])
    found = share([True] * 97 + [False] * 3, weights)
    assert found == pytest.approx((0.97, 0.915480, 0.989748), abs=1e-5)  # Wilson, 97 of 100
    assert share([True, False], label_weights([0, 0], [2])) == (0.5, 0.5, 0.5)


def test_estimates_are_unbiased_and_intervals_cover_the_truth() -> None:
    """Where rules differ: a large good stratum, small bad ones; 1,000 draws with a fixed seed."""
    rng = np.random.default_rng(7)
    sizes, rates = [4000, 500, 100, 20, 5, 2], [0.98, 0.9, 0.5, 0.3, 0.2, 0.0]
    hits = [rng.random(size) < rate for size, rate in zip(sizes, rates, strict=True)]
    truth = sum(part.sum() for part in hits) / sum(sizes)
    counts = allocate(sizes, 100)
    strata = [number for number, count in enumerate(counts) for _ in range(count)]
    weights = label_weights(strata, sizes)
    drawn = [
        share(np.concatenate([rng.choice(p, c, replace=False) for p, c in zip(hits, counts, strict=True)]), weights)
        for _ in range(1000)
    ]
    assert np.mean([estimate.value for estimate in drawn]) == pytest.approx(truth, abs=0.003)
    assert np.mean([estimate.low <= truth <= estimate.high for estimate in drawn]) >= 0.94


def test_kappa_is_the_one_by_hand() -> None:
    # Cohen's two-by-two: 20 and 15 agree, 5 and 10 do not; p_o = 0.7, p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa = 0.4.
    first = ["Yes"] * 25 + ["No"] * 25
    second = ["Yes"] * 20 + ["No"] * 5 + ["Yes"] * 10 + ["No"] * 15
    found = kappa(first, second, label_weights([0] * 50, [10**9]))
    assert found.value == pytest.approx(0.4)
    ends = wilson(0.7, 50)
    assert ends and (found.low, found.high) == pytest.approx(tuple((end - 0.5) / 0.5 for end in ends), abs=1e-6)


def test_kappa_counts_rows_by_their_weights_and_no_answer_as_a_category() -> None:
    # Weights 6, 2, 2: agree on A (6) and on no answer (2), differ once (2). p_o = 0.8, p_e = 0.6 * 0.8 + 0.2 * 0.2.
    found = kappa(["A", "B", ABSTAIN], ["A", "A", ABSTAIN], np.array([6.0, 2.0, 2.0]))
    assert found.value == pytest.approx((0.8 - 0.52) / (1 - 0.52))
    assert kappa(["A", "A"], ["A", "A"], np.ones(2)) == (None, None, None)


@pytest.mark.parametrize(
    ("cell", "task", "label"),
    [
        (" (b). ", "multiple_choice", "B"),
        ("Ｂ", "multiple_choice", "B"),
        ("none", "multiple_choice", ABSTAIN),
        ("？", "multiple_choice", ABSTAIN),
        ("-", "multiple_choice", None),
        ("  ", "yes_no", None),
        ("Y", "yes_no", "Yes"),
        ("否", "yes_no", "No"),
        ("yes!", "yes_no", "Yes"),
        ("'yes", "yes_no", "Yes"),
        ('"No".', "yes_no", "No"),
        ("(no)", "yes_no", "No"),
        ("**Yes**", "yes_no", "Yes"),
        ("'?", "yes_no", ABSTAIN),
        ("??", "yes_no", ABSTAIN),
        ("'-", "yes_no", None),
        ("'B", "multiple_choice", "B"),
        ("b!", "multiple_choice", "B"),
        ("'-5", "vqa", "-5"),
        ("None", "vqa", "none"),
        ('"Main  Street."', "vqa", "main street"),
        ("?", "vqa", ABSTAIN),
    ],
)
def test_labels_are_read_as_people_write_them(cell: str, task: Task, label: str | None) -> None:
    assert parse_label(cell, task, LETTERS) == label


@pytest.mark.parametrize(
    ("cell", "task"),
    [("yes and no", "yes_no"), ("maybe", "yes_no"), ("!", "yes_no"), ("yes?", "yes_no"), ("AB", "multiple_choice")],
)
def test_labels_that_say_nothing_clear_are_refused(cell: str, task: Task) -> None:
    with pytest.raises(VlmakeError, match=re.escape(f"'{cell}' is n")):
        parse_label(cell, task, LETTERS)


def test_a_letter_that_the_question_does_not_have_is_no_answer() -> None:
    assert answer_category("Z", True, "multiple_choice", LETTERS) == ABSTAIN
    assert answer_category("Unknown", False, "yes_no", ()) == ABSTAIN
    assert answer_category("B", True, "multiple_choice", LETTERS) == "B"


def test_the_sheet_is_blind_and_the_file_beside_it_knows_everything(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", "The answer is cat", "答案是B", None, " ", "I cannot tell"] * 10)
    sheet = drawn(tmp_path, "sheet.csv", "--samples", 20)
    rows, known = read_csv(sheet), record(sheet)
    assert tuple(rows[0]) == COLUMNS and len(rows) == 20
    assert {row["label"] for row in rows} == {""} and {row["model"] for row in rows} == {"model 1"}
    assert "TinyVLM" not in sheet.read_text("utf-8") and rows[0]["options"] == "A. dog\nB. cat\nC. horse\nD. sheep"
    assert known["population"] == {"rows": 40, "left_out": {"no prediction": 10, "empty prediction": 10}}
    assert sum(stratum["rows"] for stratum in known["strata"]) == 40
    assert sum(row["weight"] for row in known["rows"]) == pytest.approx(40)
    one = next(row for row in known["rows"] if row["index"] == rows[0]["index"])
    assert one["sample"] == rows[0]["sample"] and set(one["readings"]) == {"vlmevalkit-main", "vlmevalkit-ms", "strict"}
    assert set(known["inputs"]) == {
        "data/MMStar/samples.parquet",
        "results/TinyVLM/MMStar_predictions.parquet",
        "results/TinyVLM/MMStar_judged.parquet",
    }


def test_strata_tell_rules_and_disagreements_of_the_protocols_apart(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B"] * 30 + ["The answer is cat"] * 3 + ["I cannot tell"])
    strata = record(drawn(tmp_path))["strata"]
    told = {(part["strata"][0]["found"], part["strata"][0]["protocols_agree"]): part["rows"] for part in strata}
    assert told == {(True, True): 30, (True, False): 3, (False, True): 1}  # main reads "cat" as C


def test_equal_seeds_draw_equal_sheets(tmp_path: Path) -> None:
    put_choice(tmp_path, ["A", "B", "C", "none of them"] * 25)
    sheets = [
        drawn(tmp_path, f"{name}.csv", "--samples", 30, "--seed", seed) for name, seed in [("a", 1), ("b", 1), ("c", 2)]
    ]
    texts = [sheet.read_bytes() for sheet in sheets]
    assert texts[0] == texts[1] != texts[2]
    assert record(sheets[0]) == record(sheets[1])


def test_models_are_drawn_together_under_other_names(tmp_path: Path) -> None:
    put_choice(tmp_path, ["A"] * 20)
    put_choice(tmp_path, ["B"] * 20, "Imported-7B")
    sheet = drawn(tmp_path, "both.csv", "--model", "Imported-7B", "--samples", 10)
    assert Counter(row["model"] for row in read_csv(sheet)) == {"model 1": 5, "model 2": 5}
    assert Counter(row["model"] for row in record(sheet)["rows"]) == {"TinyVLM": 5, "Imported-7B": 5}


@pytest.mark.parametrize("option", ["--data", "--dataset"])
def test_options_take_several_values_as_those_of_a_run(tmp_path: Path, option: str) -> None:
    for model, dataset in product(("TinyVLM", "Imported-7B"), ("MMStar", "MMBench_DEV_EN")):
        put_result(tmp_path, model, dataset, animals(6), ["A"] * 6, ("multiple_choice", "choice"))
    named = ("--model", "TinyVLM", "Imported-7B", option, "MMStar", "MMBench_DEV_EN")
    done = audit("draw", *named, "--work-dir", tmp_path, "--out", tmp_path / "all.csv")
    assert done.exit_code == 0, repr(done.exception)
    drawn_from = Counter((row["model"], row["dataset"]) for row in record(tmp_path / "all.csv")["rows"])
    assert drawn_from == dict.fromkeys(product(("TinyVLM", "Imported-7B"), ("MMStar", "MMBench_DEV_EN")), 6)


def test_a_tsv_without_an_entry_is_audited_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_result(tmp_path, "TinyVLM", "Dropped", animals(6), ["A"] * 6, ("multiple_choice", "choice"))
    (tmp_path / "lmu").mkdir()
    columns = animals(6).assign(image_path="x.png")
    columns.to_csv(tmp_path / "lmu" / "Dropped.tsv", sep="\t", index=False)
    monkeypatch.setenv("LMUData", str(tmp_path / "lmu"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    named = ("--model", "TinyVLM", "--data", "Dropped")
    done = audit("draw", *named, "--work-dir", tmp_path, "--out", tmp_path / "own.csv")
    assert done.exit_code == 0, repr(done.exception)
    assert len(read_csv(tmp_path / "own.csv")) == 6
    columns.drop(columns="answer").to_csv(tmp_path / "lmu" / "Blind.tsv", sep="\t", index=False)
    done = audit("draw", "--model", "TinyVLM", "--data", "Blind", "--work-dir", tmp_path, "--out", tmp_path / "b.csv")
    assert "has no scored answers to audit: Blind.tsv has no right answers: add a column `answer`" in str(
        done.exception
    )


@pytest.mark.parametrize("name", ["sheet.csv", "sheet.xlsx"])
def test_texts_stay_texts_in_a_spreadsheet_program(tmp_path: Path, name: str) -> None:
    put_choice(tmp_path, ODD)
    sheet = drawn(tmp_path, name)
    shown = {row["index"]: row["prediction"] for row in read_csv(sheet)} if name.endswith("csv") else {}
    if name.endswith("xlsx"):
        book = load_workbook(sheet)
        header, *rows = book["labels"].iter_rows()
        names = [cell.value for cell in header]
        assert tuple(names) == COLUMNS and book["how to label"]["A1"].value.startswith("Fill the column 'label'")
        for row in rows:
            cells = dict(zip(names, row, strict=True))
            assert cells["prediction"].data_type == "s" and cells["label"].number_format == "@"
            shown[cells["index"].value] = cells["prediction"].value
    csv_form = {text: f"'{text}" if text[0] in "=+-@" else text for text in ODD}
    for number, text in enumerate(ODD):
        assert shown[str(number)] == (csv_form[text] if name.endswith("csv") else text.replace("\x01", "\u2401"))


def saved_by_excel(sheet: Path, labels: dict[str, object]) -> None:
    """Open the workbook, sort its rows the other way round, label them, save."""
    book = load_workbook(sheet)
    page = book["labels"]
    rows = [[cell.value for cell in row] for row in page.iter_rows(min_row=2)]
    for place, row in enumerate(reversed(rows), 2):
        for column, value in enumerate([*row[:-1], labels.get(row[2])], 1):
            page.cell(place, column).value = value
    book.save(sheet)


def test_a_workbook_that_was_sorted_and_labelled_is_read_back(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", "A.", "C C", "I cannot tell"])
    sheet = drawn(tmp_path, "sheet.xlsx")
    saved_by_excel(sheet, {"0": "b", "1": "A", "2": "-", "3": "?"})
    found = figures(sheet)
    assert (found["labelled"], found["not_labelled"]) == (3, 1)
    assert found["protocols"]["strict"]["agreement"]["value"] == 1
    assert found["protocols"]["strict"]["disagreements"] == []


def test_a_number_typed_as_a_label_is_the_text_that_is_shown(tmp_path: Path) -> None:
    index, answers = ["0", "1", "2"], ["7", "8", "Main Street"]
    samples = pd.DataFrame({"index": index, "question": "What is written there?", "answer": answers}, dtype=object)
    put_result(tmp_path, "TinyVLM", "OCRVQA_TESTCORE", samples, ["7", "8", "main street."], ("vqa", "vqa_exact"))
    sheet = tmp_path / "sheet.xlsx"
    words = ("draw", "--model", "TinyVLM", "--data", "OCRVQA_TESTCORE", "--work-dir", tmp_path, "--out", sheet)
    assert audit(*words).exit_code == 0
    saved_by_excel(sheet, {"0": 7, "1": 8.0, "2": "Main  Street"})
    assert figures(sheet)["protocols"]["strict"]["agreement"]["value"] == 1


def test_csv_is_read_as_programs_save_it(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", 'A; or, "x"\nthen', "答案是C"])
    sheet = drawn(tmp_path)
    rows = read_csv(sheet)
    known = record(sheet)["rows"]
    for delimiter, encoding, first in product(",;\t", ("utf-8", "utf-8-sig", "utf-16"), ("", "sep")):
        text = io.StringIO(f"sep={delimiter}\r\n" if first else "")
        text.seek(0, io.SEEK_END)
        writer = csv.writer(text, delimiter=delimiter)  # quotes only where it must, as LibreOffice does
        writer.writerows([COLUMNS, *([*list(row.values())[:-1], "B"] for row in rows), [""] * len(COLUMNS)])
        sheet.write_bytes(text.getvalue().encode(encoding))
        assert read_labels(sheet, known) == {row["sample"]: "B" for row in rows}


def test_agreement_wrong_and_abstained_are_those_by_hand(tmp_path: Path) -> None:
    # All 4 rows are labelled, so the shares are exact: each row counts a quarter.
    put_choice(tmp_path, ["B", "The answer is cat", "I cannot tell, sorry", "答案是A"])
    sheet = fill(drawn(tmp_path), {"0": "B", "1": "B", "2": "?", "3": "A"})
    found = figures(sheet)["protocols"]
    assert found["strict"]["agreement"] == {"value": 1, "low": 1, "high": 1}
    main = found["vlmevalkit-main"]
    assert main["agreement"]["value"] == 0.5
    assert (main["wrong"]["value"], main["wrong"]["rows"]) == (0.25, 1)  # "The answer is cat" is C
    assert (main["abstained"]["value"], main["abstained"]["rows"]) == (0.25, 1)  # 答案是A
    # Labels B B ? A, read B C ? ?: chance 1/4 * 2/4 for B and ? each is 2/16 + 2/16 - only shared categories count.
    assert main["kappa"]["value"] == pytest.approx((0.5 - (2 / 16 + 2 / 16)) / (1 - (2 / 16 + 2 / 16)))
    wrong = next(item for item in main["disagreements"] if item["index"] == "1")
    assert (wrong["label"], wrong["answer"], wrong["rule"], wrong["text"]) == ("B", "C", "answer_is", "c")
    printed = audit("score", sheet, "--work-dir", tmp_path).stdout
    assert "index 1): label 'B', read 'C' by answer_is from 'c' at 14" in printed


def test_every_two_annotators_are_compared(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", "A", "C", "D"])
    one = fill(drawn(tmp_path), {"0": "B", "1": "A", "2": "C", "3": "D"})
    two = fill(one, {"2": "?", "3": "-"}, tmp_path / "second.csv")
    three = fill(one, {"0": "?", "1": "?", "2": "?", "3": "?"}, tmp_path / "third.csv")
    found, *others = figures(one, "--sheet", two, "--sheet", three)["annotators"]
    assert [[Path(sheet).name for sheet in pair["sheets"]] for pair in (found, *others)] == [
        ["sheet.csv", "second.csv"], ["sheet.csv", "third.csv"], ["second.csv", "third.csv"],
    ]  # fmt: skip
    assert [pair["agreement"]["value"] for pair in others] == pytest.approx([0, 1 / 3])
    assert found["labelled_by_both"] == 3
    assert found["agreement"]["value"] == pytest.approx(2 / 3)
    # B A C and B A ?: chance (1 + 1) / 9.
    assert found["kappa"]["value"] == pytest.approx((2 / 3 - 2 / 9) / (1 - 2 / 9))
    assert [(item["index"], item["first"], item["second"]) for item in found["disagreements"]] == [("2", "C", ABSTAIN)]


def test_rows_that_are_not_labelled_shift_their_weight_to_their_stratum(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B"] * 30 + ["The answer is cat"] * 10)
    sheet = drawn(tmp_path, "sheet.csv", "--samples", 8)  # 6 and 2 rows
    rows = read_csv(sheet)
    cats = [row["index"] for row in rows if int(row["index"]) >= 30]
    found = figures(fill(sheet, {row["index"]: "B" for row in rows if row["index"] != cats[0]}))
    assert (found["labelled"], found["stands_for"]) == (7, 40)
    assert found["protocols"]["vlmevalkit-main"]["agreement"]["value"] == pytest.approx(0.75)
    sheet = fill(sheet, dict.fromkeys(cats, ""))
    without = figures(sheet)
    assert without["strata_without_label"] == {"strata": 1, "rows": 10} and without["stands_for"] == 30


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda rows: rows[1].update(label="E"),
            "row 3, column 'label': 'E' is none of the question's letters A, B, C, D",
        ),
        (lambda rows: rows[2].update(sample=rows[0]["sample"]), "row 4, column 'sample'"),
        (lambda rows: rows[2].update(sample="s000000-001"), "row 4, column 'sample': 's000000-001' was not drawn"),
        (lambda rows: [row.pop("label") for row in rows], "row 1 is the header and has no column 'label'"),
        (lambda rows: rows.clear(), "it is empty"),
        (lambda rows: None, "no row has a label"),
    ],
)
def test_a_fault_in_a_sheet_is_one_line_with_row_and_column(tmp_path: Path, change, complaint: str) -> None:
    put_choice(tmp_path, ["B", "A", "C"])
    sheet = drawn(tmp_path)
    rows = read_csv(sheet)
    change(rows)
    with sheet.open("w", encoding="utf-8", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    line = refused(sheet)
    assert complaint in line and "\n" not in line


def test_a_formula_in_the_label_column_is_refused(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", "A"])
    sheet = drawn(tmp_path, "sheet.xlsx")
    saved_by_excel(sheet, {"0": "=A1", "1": "A"})
    assert "column 'label': a formula, not a label" in refused(sheet)
    book = load_workbook(sheet)
    book["labels"].cell(1, len(COLUMNS)).value = "Label"
    book.save(sheet)
    assert "column 'label': a formula, not a label" in refused(sheet)


def test_the_sheet_of_a_workbook_is_found_by_its_columns(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", "A"])
    sheet = drawn(tmp_path, "sheet.xlsx")
    saved_by_excel(sheet, {"0": "B", "1": "A"})
    book = load_workbook(sheet)
    book["labels"].cell(1, len(COLUMNS)).value = "LABEL "
    book.create_sheet("notes", 0).append(["what", "label"])
    book.create_sheet("empty", 0)
    book.save(sheet)
    assert figures(sheet)["labelled"] == 2
    book.copy_worksheet(book["labels"]).title = "backup"
    book.save(sheet)
    line = refused(sheet)
    assert "'labels', 'backup' all have the columns 'sample' and 'label'; keep one of these sheets" in line
    del book["labels"], book["backup"]
    book.save(sheet)
    assert "row 1 is the header and has no column 'sample'" in refused(sheet)


@pytest.mark.parametrize("name", ["sheet.csv", "sheet.xlsx"])
def test_two_label_columns_are_refused_and_one_counts_in_any_case(tmp_path: Path, name: str) -> None:
    known = [{"sample": "s1", "task": "multiple_choice", "options": list(LETTERS)}]
    for header, last in (("Label", ""), ("label", "Label")):
        rows = [["Sample", header, last], ["s1", "B", "C"]]
        if name.endswith("csv"):
            (tmp_path / name).write_text("".join(",".join(row) + "\n" for row in rows), "utf-8")
        else:
            book = Workbook()
            for row in rows:
                book.active.append(row)
            book.save(tmp_path / name)
        if not last:
            assert read_labels(tmp_path / name, known) == {"s1": "B"}
    with pytest.raises(VlmakeError, match="row 1 is the header and has more than one column 'label'"):
        read_labels(tmp_path / name, known)


def test_a_damaged_sheet_is_refused_in_one_line(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", "A"])
    known = record(drawn(tmp_path))["rows"]
    for name, content in product(("s.csv", "s.xlsx"), (b"", b"PK\x03\x04 nothing", b"\xff\xfe\x00", b"\x80\x81")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(VlmakeError, match=f"{tmp_path / name}: "):
            read_labels(tmp_path / name, known)


def test_a_sheet_is_never_overwritten(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", "A"])
    sheet = drawn(tmp_path)
    before = sheet.read_bytes()
    for name in ("sheet.csv", "sheet.xlsx"):  # the second one would share the file beside it
        done = audit("draw", "--model", "TinyVLM", "--data", "MMStar", "--work-dir", tmp_path, "--out", tmp_path / name)
        assert "may hold labels" in str(done.exception)
    assert sheet.read_bytes() == before and not (tmp_path / "sheet.xlsx").exists()


def test_results_that_changed_since_are_noticed_and_judged_anew_on_request(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", "The answer is cat"])
    sheet = fill(drawn(tmp_path), {"0": "B", "1": "B"})
    assert figures(sheet)["inputs"] == {"changed": [], "not_there": []}
    judged = tmp_path / paths.judged("TinyVLM", "MMStar")
    table = pq.read_table(judged).to_pylist()
    for row in table:
        if row["protocol"] == "vlmevalkit-main" and row["index"] == "1":
            row["extracted"] = "B"  # as if the rule had been mended
    pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(judged)), judged)
    done = audit("score", sheet, "--work-dir", tmp_path)
    assert "MMStar_judged.parquet: changed since the sheet was drawn" in done.stderr
    assert figures(sheet)["protocols"]["vlmevalkit-main"]["agreement"]["value"] == 0.5
    assert figures(sheet, "--current")["protocols"]["vlmevalkit-main"]["agreement"]["value"] == 1
    put_choice(tmp_path, ["B", "The answer is dog"])
    assert "index '1' of MMStar by TinyVLM has another prediction" in refused(sheet, "--current")


def test_a_sheet_is_scored_where_the_results_are_not(tmp_path: Path) -> None:
    put_choice(tmp_path, ["B", "A"])
    sheet = fill(drawn(tmp_path), {"0": "B", "1": "A"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in (sheet, sheet.with_suffix(".json")):
        (elsewhere / file.name).write_bytes(file.read_bytes())
    assert len(figures(elsewhere / "sheet.csv")["inputs"]["not_there"]) == 3


def test_what_cannot_be_audited_is_said_in_one_line(tmp_path: Path) -> None:
    def complaint(model: str, data: str) -> str:
        return str(
            audit(
                "draw", "--model", model, "--data", data, "--work-dir", tmp_path, "--out", tmp_path / "s.csv"
            ).exception
        )

    assert "`vlmake run --model TinyVLM --data MMStar` makes it" in complaint("TinyVLM", "MMStar")
    assert "a caption is scored as a whole" in complaint("TinyVLM", "COCO_VAL")
    put_choice(tmp_path, [None, ""])
    assert "there is no prediction to audit (1 no prediction, 1 empty prediction)" in complaint("TinyVLM", "MMStar")


def test_the_command_loads_no_model_library_and_ends_in_one_line(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom vlmake.cli import main\ntry:\n    main()\nfinally:\n"
        "    print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    put_choice(tmp_path, ["B"])
    for words, code in (
        (["draw", "--model", "TinyVLM", "--data", "MMStar", "--out", "s.csv"], 0),
        (["score", "s.csv"], 1),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, "audit", *words], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout.splitlines()[-1]) == (code, "False False"), done.stderr
    assert done.stderr == "vlmake: no row has a label: fill in the column 'label', then give the same command again\n"


def test_a_text_that_looks_like_an_escape_is_shown_as_it_is(tmp_path: Path) -> None:
    """A program for spreadsheets would show a bare _x0041_ as A."""
    put_choice(tmp_path, ["_x0041_ is B", "B"])
    with zipfile.ZipFile(drawn(tmp_path, "sheet.xlsx")) as packed:
        content = b"".join(packed.read(name) for name in packed.namelist())
    assert content.count(b"_x005F_x0041_ is B") == content.count(b"x0041_ is B") == 1
