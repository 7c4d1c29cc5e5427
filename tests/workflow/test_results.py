"""What a run ends in besides a score: files to hand in, predictions alone, the stacked scores of parts."""

import csv
import json
import os
from pathlib import Path

import openpyxl
import pytest

from tests.conftest import BENCHMARKS, Ran, Workplace, make_benchmark, read_tsv, write_tsv

SERVER = "https://mmbench.opencompass.org.cn/mmbench-submission"
ALL = ("Hidden", "Hidden@2", "Unknown", "Graded", "Both@6", "Loose")


def choices(folder: Path, name: str, rows: int, with_answers: bool) -> dict[str, object]:
    """The first rows of the shipped benchmark of multiple choice, and the registry entry of it."""
    table = read_tsv(BENCHMARKS / "ShapesBench.tsv")[: rows + 1]
    kept = [place for place, head in enumerate(table[0]) if with_answers or head != "answer"]
    write_tsv(folder / f"{name}.tsv", [[row[place] for place in kept] for row in table])
    path = str(folder / f"{name}.tsv")
    return {"path": path, "rows": rows, "task": "multiple_choice", "metric": "choice", "max_new_tokens": 4}


def unscored(entry: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in entry.items() if key != "metric"} | {"scoring": "none"}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, Ran]:
    """One run of every kind of benchmark, and what it said."""
    base = tmp_path_factory.mktemp("results")
    place = Workplace(base / "work dir", base / "home")
    place.folder.mkdir()
    place.home.mkdir()
    tsv = base / "tsv"
    shapes = {name: make_benchmark(tsv, name, 8) for name in ("A", "B", "Unknown", "Graded")}
    place.datasets.update(
        {
            "A": shapes["A"],
            "B": shapes["B"],
            "Both": {"parts": ["A", "B"], "task": "yes_no", "metric": "mme"},
            "Unknown": unscored(shapes["Unknown"]),
            "Loose": {"parts": ["Unknown", "Graded"], "task": "yes_no", "scoring": "none"},
            "Graded": shapes["Graded"] | {"task": "vqa", "metric": "mmvet"},
            "Hidden": choices(tsv, "Hidden", 6, with_answers=False) | {"answers": False, "submission": "mmbench"},
        }
    )
    place.config.update(models=["TinyVLM"], datasets=list(ALL))
    return place, place.vlmake("run", "--model", "TinyVLM", "--data", *ALL)


@pytest.fixture
def place(once: tuple[Workplace, Ran], tmp_path: Path) -> Workplace:
    """A copy of the finished work directory, free to be changed."""
    return once[0].copy_to(tmp_path / "work dir")


@pytest.fixture
def no_model(once: tuple[Workplace, Ran], without_torch: str) -> dict[str, str]:
    """An environment in which no model can be loaded."""
    return {"PYTHONPATH": os.pathsep.join([without_torch, str(once[0].product / "src")])}


def test_every_run_ends_in_what_it_can(once: tuple[Workplace, Ran]) -> None:
    place, ran = once
    assert ran.code == 0, ran.output
    made = {file.name for file in (place.folder / "results" / "TinyVLM").iterdir() if file.is_file()}
    assert {name for name in made if "_score." in name} == {
        f"{name}@6_score.{ending}" for name in ("A", "B", "Both") for ending in ("csv", "json")
    }
    assert {name for name in made if "_submission." in name} == {"Hidden_submission.xlsx", "Hidden@2_submission.xlsx"}
    inferred = ("A@6", "B@6", "Hidden", "Hidden@2", "Unknown", "Graded")
    assert {name for name in made if "_predictions." in name} == {f"{name}_predictions.parquet" for name in inferred}
    results = Path("results") / "TinyVLM"
    said = ran.output.splitlines()
    for reason, files in (
        (f"Hidden: no score: its right answers are not public: hand the submission file in at {SERVER}", [
            "Hidden_submission.xlsx"]),
        ("Unknown: no score: no metric is known for it", ["Unknown_predictions.parquet"]),
        ("Graded: no score: an LLM judge has to read its answers: name one with --judge", [
            "Graded_predictions.parquet"]),
        ("Loose: no score: no metric is known for it", [
            "Unknown_predictions.parquet", "Graded_predictions.parquet"]),
    ):  # fmt: skip
        place_of = said.index(f"TinyVLM on {reason}")
        assert said[place_of + 1 : place_of + 1 + len(files)] == [f"  {results / file}" for file in files]


def test_the_file_to_hand_in_has_every_row_in_order(once: tuple[Workplace, Ran]) -> None:
    place, ran = once
    sheet = openpyxl.load_workbook(place.result("TinyVLM", "Hidden_submission.xlsx")).active
    header, *rows = ([cell.value for cell in row] for row in sheet.iter_rows())
    assert header[:1] + header[-1:] == ["index", "prediction"]
    assert {"question", "A", "B", "C", "D"} < set(header)
    assert not {"image", "answer", "images", "group"} & set(header)
    given = [(row["index"], row["prediction"]) for row in place.predictions("TinyVLM", "Hidden")]
    assert [(str(row[0]), row[-1]) for row in rows] == given
    assert "Hidden@2_submission.xlsx: of the first 2 rows only; what is handed in has all of them" in ran.output


def test_a_stacked_score_is_in_summary_and_report(once: tuple[Workplace, Ran]) -> None:
    place, ran = once
    assert "Both@6" in ran.output, "the terminal shows it"
    with place.result("TinyVLM", "Both@6_score.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["DATASET"] for row in rows] == ["A", "B"]
    score = json.loads(place.result("TinyVLM", "Both@6_score.json").read_text(encoding="utf-8"))
    parts = [json.loads(place.result("TinyVLM", f"{name}@6_score.json").read_text("utf-8")) for name in "AB"]
    assert score["samples"]["total"] == 12
    assert [list(row.values())[:-1] for row in rows] == [
        ["" if cell is None else str(cell) for cell in part["protocols"][part["protocol"]]["rows"][0]] for part in parts
    ]
    with (place.folder / "results" / "summary.csv").open(newline="", encoding="utf-8") as lines:
        assert [row["dataset"] for row in csv.DictReader(lines)] == ["A@6", "B@6", "Both@6"]
    page = (place.folder / "results" / "report" / "index.html").read_text(encoding="utf-8")
    assert "shown with its parts: A@6, B@6" in page


def test_rule_all_of_such_datasets_has_nothing_left_to_do(place: Workplace) -> None:
    ran = place.snakemake()
    assert (ran.code, ran.jobs) == (0, []), ran.output


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("Hidden_score.csv", f"hand the submission file in at {SERVER}; make results/TinyVLM/Hidden_submission.xlsx"),
        ("Unknown_score.json", "no metric is known for it; make results/TinyVLM/Unknown_predictions.parquet"),
        (
            "Graded@3_score.csv",
            "name one with --judge; make results/TinyVLM/Graded@3_predictions.parquet",
        ),
        ("Both_judged.parquet", "dataset 'Both' has no such file: it is made of A, B"),
        ("MVBench_score.csv", "dataset 'MVBench': videos cannot be run yet"),
    ],
)
def test_a_score_that_cannot_be_is_one_line(place: Workplace, target: str, expected: str) -> None:
    ran = place.vlmake(f"results/TinyVLM/{target}")
    assert ran.code == 1
    assert ran.output.count("\n") == 1, ran.output
    assert ran.output.strip().endswith(expected)


def test_snakemake_says_where_to_hand_in_as_well(place: Workplace) -> None:
    ran = place.snakemake("--", "results/TinyVLM/Hidden_score.csv")
    assert ran.code == 1
    assert SERVER in ran.output
    assert "Traceback" not in ran.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--data", "A", "MVBench"), "vlmake: dataset 'MVBench': videos cannot be run yet"),
        (("--data", "MMLongBench_DOC", "--mode", "infer"), "documents of many pages cannot be run yet"),
        (("--data", "MMDU@3", "--fresh"), "conversations of several turns cannot be run yet"),
    ],
)
def test_what_cannot_be_run_starts_nothing(place: Workplace, words: tuple[str, ...], expected: str) -> None:
    ran = place.vlmake("run", "--model", "TinyVLM", "--work-dir", "new", *words)
    assert ran.code == 1
    assert ran.output.count("\n") == 1, ran.output
    assert expected in ran.output
    assert not (place.folder / "new").exists()


def test_answers_of_ones_own_give_a_score_without_asking_again(place: Workplace, no_model: dict[str, str]) -> None:
    own = choices(place.folder, "Answered", 6, with_answers=True)
    place.datasets["Hidden"] |= {"path": own["path"], "answers": True}
    ran = place.vlmake("run", "--model", "TinyVLM", "--data", "Hidden", "--verbose", **no_model)
    assert ran.code == 0, ran.output
    assert ran.jobs == ["decode Hidden", "download Hidden", "infer TinyVLM/Hidden", "score TinyVLM/Hidden"]
    assert "no score" not in ran.output
    assert json.loads(place.result("TinyVLM", "Hidden_score.json").read_text("utf-8"))["samples"]["total"] == 6


def test_parts_are_inferred_by_mode_infer(place: Workplace, no_model: dict[str, str]) -> None:
    ran = place.vlmake(
        "run", "--model", "TinyVLM", "--data", "Both@3", "--mode", "infer", "--verbose", **no_model
    )  # fmt: skip
    assert ran.code == 0, ran.output
    assert ran.jobs == ["infer TinyVLM/A@3", "infer TinyVLM/B@3"]
    assert not place.result("TinyVLM", "A@3_score.csv").exists()


def test_what_rests_on_changed_predictions_is_gone_until_they_are_there(
    place: Workplace, no_model: dict[str, str]
) -> None:
    resting = ("Both@6_score.csv", "Hidden_submission.xlsx")
    targets = ("--keep-going", "--", *(f"results/TinyVLM/{name}" for name in resting))
    for name in ("A", "Hidden"):
        place.datasets[name]["max_new_tokens"] = 3
    ran = place.snakemake(*targets, **no_model)
    assert ran.code != 0
    for name in (*resting, "A@6_score.json", "Both@6_score.json"):
        assert not place.result("TinyVLM", name).exists(), name
    assert place.result("TinyVLM", "B@6_score.json").exists()
    ran = place.snakemake(*targets)
    assert ran.code == 0, ran.output
    assert ran.jobs == [
        "infer TinyVLM/A@6",
        "infer TinyVLM/Hidden",
        "score TinyVLM/A@6",
        "score_parts TinyVLM/Both@6",
        "submission TinyVLM/Hidden/xlsx",
    ]


def test_a_part_that_cannot_be_scored_leaves_no_stacked_score(place: Workplace) -> None:
    place.config["protocol"] = "strict"
    place.result("TinyVLM", "A@6_predictions.parquet").write_bytes(b"damaged")
    ran = place.snakemake("--rerun-triggers", "params", "--", "results/TinyVLM/Both@6_score.csv")
    assert ran.code != 0
    assert "damaged" in ran.output
    assert not place.result("TinyVLM", "Both@6_score.json").exists()


def test_a_changed_writer_writes_again_and_infers_nothing(place: Workplace) -> None:
    place.datasets["Hidden"]["submission"] = "mmt"
    ran = place.vlmake("run", "--verbose", "results/TinyVLM/Hidden_submission.tsv")
    assert (ran.code, ran.jobs) == (0, ["submission TinyVLM/Hidden/tsv"]), ran.output
    *_, said, file = ran.output.splitlines()
    assert said.endswith("hand the submission file in at https://eval.ai/web/challenges/challenge-page/2328/overview")
    assert file.strip() == "results/TinyVLM/Hidden_submission.tsv"
