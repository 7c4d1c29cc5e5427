"""A TSV dropped into the data folder is a benchmark: evaluated, left alone while it is the same, noticed when not."""

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import BENCHMARKS, Workplace, read_tsv, write_tsv

RUN = ("run", "--model", "TinyVLM", "--data")
SAID = "vlmake: Dropped: recognised by its TSV: every answer is yes or no; 8 rows; scored by yes_no"


def drop(place: Workplace, name: str, source: str, rows: int) -> Path:
    """Put the first rows of a shipped benchmark into the data folder."""
    file = place.home / "LMUData" / f"{name}.tsv"
    file.parent.mkdir(exist_ok=True)
    write_tsv(file, read_tsv(BENCHMARKS / f"{source}.tsv")[: rows + 1])
    return file


def table(place: Workplace, name: str) -> list[list[str]]:
    with place.result("TinyVLM", f"{name}_score.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))


def test_from_drop_to_score_and_back(workplace: Workplace) -> None:
    tsv = drop(workplace, "Dropped", "ShapesMME", 8)
    ran = workplace.vlmake(*RUN, "Dropped")
    assert ran.code == 0, ran.output
    assert ran.output.splitlines().count(SAID) == 1
    assert table(workplace, "Dropped")[0][0] == "Overall"
    assert len(workplace.predictions("TinyVLM", "Dropped")) == 8

    score = workplace.result("TinyVLM", "Dropped_score.csv")
    before = score.stat().st_mtime_ns
    ran = workplace.vlmake(*RUN, "Dropped")
    assert ran.code == 0, ran.output
    assert score.stat().st_mtime_ns == before, "the same TSV: nothing to do"

    ran = workplace.vlmake(*RUN, "Dropped@3")
    assert ran.code == 0, ran.output
    assert len(workplace.predictions("TinyVLM", "Dropped@3")) == 3
    assert len(workplace.journal_lines("TinyVLM", "Dropped")) == 8, "answers that are there are not asked for"

    rows = read_tsv(tsv)
    answer = rows[0].index("answer")
    for row in rows[1:]:
        row[answer] = {"Yes": "No", "No": "Yes"}[row[answer]]
    write_tsv(tsv, rows)
    overall = float(table(workplace, "Dropped")[1][0])
    ran = workplace.snakemake("--", "results/TinyVLM/Dropped_score.csv")
    assert ran.code == 0, ran.output
    assert SAID in ran.output
    assert {job.split()[0] for job in ran.jobs} >= {"download", "decode", "score"}
    assert float(table(workplace, "Dropped")[1][0]) == pytest.approx(100 - overall)
    assert len(workplace.journal_lines("TinyVLM", "Dropped")) == 8, "only the right answers changed"

    tsv.unlink()
    ran = workplace.vlmake(*RUN, "Dropped")
    assert ran.code == 0, ran.output
    assert "Dropped.tsv is gone; what was recognised before holds" in ran.output
    ran = workplace.vlmake(*RUN, "Droped")
    assert (ran.code, len(ran.output.splitlines())) == (1, 1), ran.output


@pytest.mark.slow
def test_only_a_path_a_metric_of_ones_own_and_no_answers(workplace: Workplace) -> None:
    tsv = drop(workplace, "Text", "ShapesOCR", 3)
    moved = workplace.folder / "mine.tsv"
    tsv.rename(moved)
    workplace.datasets["Plain"] = {"path": "../../mine.tsv", "max_new_tokens": 4}
    workplace.datasets["Loose"] = {"path": "../../mine.tsv", "metric": "anls", "max_new_tokens": 4}
    rows = read_tsv(moved)
    answer = rows[0].index("answer")
    write_tsv(tsv, [[cell for place, cell in enumerate(row) if place != answer] for row in rows])
    ran = workplace.vlmake(*RUN, "Plain", "Loose", "Text")
    assert ran.code == 0, ran.output
    assert "Text: recognised by its TSV: open answers; 3 rows; no answers, so no score" in ran.output
    assert len(workplace.predictions("TinyVLM", "Text")) == 3
    assert not workplace.result("TinyVLM", "Text_score.csv").exists()
    metrics = {
        name: json.loads(workplace.result("TinyVLM", f"{name}_score.json").read_text(encoding="utf-8"))["metric"]
        for name in ("Plain", "Loose")
    }
    assert metrics == {"Plain": "vqa_exact", "Loose": "anls"}
    listed = workplace.vlmake("list", "datasets", "--family", "here")
    assert "recognised by its TSV: open answers" in listed.output


def test_what_is_wrong_is_said_before_any_work(workplace: Workplace) -> None:
    tsv = drop(workplace, "Dropped", "ShapesBench", 4)
    rows = read_tsv(tsv)
    rows[2][rows[0].index("answer")] = "Q"
    rows[3][rows[0].index("question")] = ""
    write_tsv(tsv, rows)
    drop(workplace, "Good", "ShapesBench", 2)
    ran = workplace.vlmake(*RUN, "Dropped")
    assert (ran.code, len(ran.output.splitlines())) == (1, 1), ran.output
    assert "row 2 (line 3), column 'answer': 'Q' is no letter" in ran.output
    assert "(and 1 more)" in ran.output
    assert not (workplace.folder / "data").exists()
    ran = workplace.vlmake("new-dataset", "--check", "Dropped.tsv")
    assert (ran.code, len(ran.output.splitlines())) == (1, 3), ran.output
    listed = {line.split()[0]: line for line in workplace.vlmake("list", "datasets").output.splitlines()}
    assert "column 'answer'" in listed["Dropped"]
    assert "multiple_choice" in listed["Good"]
    workplace.config["datasets"] = ["Dropped"]
    ran = workplace.vlmake("doctor")
    assert "WRONG dataset Dropped" in ran.output
    assert "ok    dataset Good" in ran.output


@pytest.mark.slow
def test_a_published_name_keeps_its_md5(workplace: Workplace) -> None:
    drop(workplace, "MME", "ShapesMME", 4)
    ran = workplace.vlmake(*RUN, "MME")
    assert ran.code != 0
    assert "is not the registered file: md5" in ran.output
    assert "recognised" not in ran.output
