import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report_tree import circular_tree, yes_no_tree
from vlmake import paths
from vlmake.scoring.summary import COLUMNS, write_summary


@pytest.fixture
def work(tmp_path: Path) -> Path:
    yes_no_tree(tmp_path, ("Zeta", "Alpha"))
    circular_tree(tmp_path)
    return tmp_path


def test_one_row_a_score_in_order(work: Path) -> None:
    target = work / paths.SUMMARY
    assert write_summary(target, work) == []
    rows = list(csv.DictReader(target.open(encoding="utf-8", newline="")))
    assert [(row["model"], row["dataset"]) for row in rows] == [
        ("Alpha", "YesNo"),
        ("TinyVLM", "Circular"),
        ("Zeta", "YesNo"),
    ]
    yes_no, circular = rows[0], rows[1]
    assert tuple(yes_no) == COLUMNS
    assert yes_no["protocol"] == "vlmevalkit-main"
    assert yes_no["judge"] == "exact_matching"
    assert (yes_no["samples"], yes_no["ok"], yes_no["bad_image"], yes_no["model_error"]) == ("24", "22", "1", "1")
    assert int(yes_no["unresolved"]) >= 3
    assert float(yes_no["accuracy_low"]) < float(yes_no["accuracy"]) < float(yes_no["accuracy_high"])
    assert (circular["metric"], circular["overall"], circular["n"]) == ("choice_circular", "0.5", "2")


def test_score_that_is_gone_leaves_the_summary(work: Path) -> None:
    target = work / paths.SUMMARY
    write_summary(target, work)
    assert "Zeta" in target.read_text()
    (work / paths.score_json("Zeta", "YesNo")).unlink()
    write_summary(target, work)
    assert "Zeta" not in target.read_text()


def test_program_names_broken_scores_and_goes_on(work: Path) -> None:
    (work / paths.score_json("Alpha", "YesNo")).write_text('{"metric": 3')
    script = paths.scripts() / "summary.py"
    done = subprocess.run(
        [sys.executable, str(script), "--summary", paths.SUMMARY], cwd=work, capture_output=True, text=True, check=True
    )
    assert "results/Alpha/YesNo_score.json is no score file" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len((work / paths.SUMMARY).read_text().splitlines()) == 3


def test_no_scores_give_a_header(tmp_path: Path) -> None:
    write_summary(tmp_path / paths.SUMMARY, tmp_path)
    assert (tmp_path / paths.SUMMARY).read_text() == ",".join(COLUMNS) + "\n"


def test_a_score_that_rules_made_for_a_judge_says_so_on_its_line(work: Path) -> None:
    content = json.loads((work / paths.score_json("Alpha", "YesNo")).read_text(encoding="utf-8"))
    told = {"dead": {"judge": "dead", "fallback": "judge 'dead' does not\nanswer"}, "live": {"judge": "live"}}
    for judge, judging in told.items():
        for numbers in content["protocols"].values():
            numbers["extraction"]["judged"] = 3 if judge == "live" else 0
        text = json.dumps({**content, "judge": judge, "judging": judging})
        (work / paths.score_json("Alpha", "YesNo", judge)).write_text(text, encoding="utf-8")
    write_summary(work / paths.SUMMARY, work)
    rows = csv.DictReader((work / paths.SUMMARY).open(encoding="utf-8", newline=""))
    assert [(row["judge"], row["judged"], row["judge_fallback"]) for row in rows if row["model"] == "Alpha"] == [
        ("exact_matching", "", ""),
        ("dead", "0", "judge 'dead' does not answer"),
        ("live", "3", ""),
    ]
