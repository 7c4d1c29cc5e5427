"""The scores of parts as one score."""

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pytest
from click.testing import CliRunner

from tests.conftest import REPOSITORY
from vlmake.errors import VlmakeError
from vlmake.judges.verdicts import Judgements
from vlmake.report.scores import judge_line, read_score
from vlmake.scoring.intervals import wilson
from vlmake.scoring.protocols import ScoringSpec, score
from vlmake.scoring.score_parts import stack_scores

PROTOCOLS = ("vlmevalkit-main", "strict")


def part(
    name: str, columns: list[str], rows: list[list[Any]], value: float | None, n: int, **more: Any
) -> dict[str, Any]:
    numbers = {
        "columns": columns,
        "rows": rows,
        "overall": {"name": "Overall", "value": value, "n": n},
        "accuracy": {"value": value, "n": n, "low": 0.0, "high": 1.0, "method": "wilson-95"},
        "bounds": [value, value],
        "extraction": {"found": n, "unresolved": 0},
        **more,
    }
    return {
        "dataset": name,
        "metric": "choice",
        "protocol": "strict",
        "judge": "exact_matching",
        "protocols": dict.fromkeys(PROTOCOLS, numbers),
        "samples": {"total": n, "no_image": 1, "by_status": {"ok": n, "model_error": 0}},
        "provenance": {"predictions": {"model": name}},
    }


A = part("A@6", ["split", "Overall", "logic"], [["dev", 0.5, 0.5]], 0.5, 2)
B = part("B@6", ["split", "Overall", "colour"], [["dev", 1.0, 1.0], ["test", 0.75, None]], 0.875, 6)


def test_tables_are_stacked_and_samples_added() -> None:
    stacked = stack_scores("Both@6", "strict", [A, B])
    assert list(stacked["protocols"]) == list(PROTOCOLS)
    shown = stacked["protocols"]["strict"]
    assert shown["columns"] == ["split", "Overall", "logic", "colour", "DATASET"]
    assert shown["rows"] == [
        ["dev", 0.5, 0.5, None, "A"],
        ["dev", 1.0, None, 1.0, "B"],
        ["test", 0.75, None, None, "B"],
    ]
    assert shown["overall"] == {"name": "Overall", "value": (0.5 * 2 + 0.875 * 6) / 8, "n": 8}
    assert shown["extraction"] == {"found": 8, "unresolved": 0}
    assert stacked["samples"] == {"total": 8, "no_image": 2, "by_status": {"ok": 8, "model_error": 0}}
    assert (stacked["dataset"], stacked["parts"], stacked["metric"]) == ("Both@6", ["A@6", "B@6"], "choice")


def test_the_interval_is_that_of_all_samples() -> None:
    accuracy = stack_scores("Both", "strict", [A, B])["protocols"]["strict"]["accuracy"]
    interval = wilson(6.25 / 8, 8)
    assert interval is not None
    assert accuracy == {
        "value": 6.25 / 8, "n": 8, "low": interval.low, "high": interval.high, "method": "wilson-95",
    }  # fmt: skip


def test_a_part_of_unknown_value_makes_the_whole_unknown_unless_it_counts_nothing() -> None:
    unknown = part("C", ["Overall"], [[None]], None, 3)
    empty = part("C", ["Overall"], [[None]], None, 0)
    assert stack_scores("Both", "strict", [A, unknown])["protocols"]["strict"]["overall"]["value"] is None
    assert stack_scores("Both", "strict", [A, empty])["protocols"]["strict"]["overall"]["value"] == 0.5
    nothing = stack_scores("Both", "strict", [empty])["protocols"]["strict"]
    assert nothing["accuracy"] == {"value": None, "n": 0, "low": None, "high": None, "method": "wilson-95"}
    assert nothing["bounds"] == [None, None]


def test_missing_categories_are_named_with_their_part() -> None:
    lacking = part("C", ["Overall"], [[1.0]], 1.0, 1, missing=["logic", "colour"])
    assert stack_scores("Both", "strict", [A, lacking])["protocols"]["strict"]["missing"] == ["C: logic", "C: colour"]
    assert "missing" not in stack_scores("Both", "strict", [A, B])["protocols"]["strict"]


@pytest.mark.parametrize(
    "other", [{**B, "metric": "mme"}, {**B, "judge": "gpt"}, {**B, "protocols": {"strict": B["protocols"]["strict"]}}]
)
def test_parts_that_were_not_scored_alike_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(VlmakeError, match="dataset 'Both': its parts were not scored alike"):
        stack_scores("Both", "strict", [A, other])


TOOK = {"requests": 3, "prompt_tokens": 300, "completion_tokens": 30}
WHO = {"judge": "j", "judging": "yes_no", "identity": "endpoint:m@", "settings": {"seed": 1}, "wording": "yes-no-1"}


def judged(name: str, verdicts: list[str | None], clear: int, fallback: str | None = None, **about: Any) -> Any:
    """A real score: a mumbled answer for every verdict (None: the judge gave none), and clear ones."""
    texts = [*["Well, in some way." for _ in verdicts], *["Yes"] * clear]
    index = [str(number) for number in range(len(texts))]
    samples = pd.DataFrame({"index": index, "question": "Is it?", "answer": "Yes"}, dtype=object)
    said = {
        str(number): {"verdict": verdict, "rule": "judge" if verdict else "judge_unreadable"}
        for number, verdict in enumerate(verdicts)
    }
    found = {
        "open": len(said),
        "asked": len(said),
        "found": sum(verdict is not None for verdict in verdicts),
        "none": verdicts.count("none"),
        "unresolved": verdicts.count(None),
        "judge_error": 0,
        **TOOK,
        "cost": None,
        "self_agreement": None,
    }
    told = {"judge": "j", "judging": "yes_no", "fallback": fallback} if fallback else {**WHO, **found, **about}
    answers = pd.DataFrame({"index": index, "prediction": pd.Series(texts, dtype=object), "status": "ok"})
    spec = ScoringSpec(name, "yes_no", "yes_no", judge="j", judging="yes_no")
    return score(samples, answers, spec, Judgements({} if fallback else said, told)).detail


def line_of(folder: Path, stacked: dict[str, Any]) -> str:
    """What people are told of the judge."""
    (folder / "results" / "M").mkdir(parents=True, exist_ok=True)
    (folder / "results" / "M" / "W_score.j.json").write_text(json.dumps(stacked), encoding="utf-8")
    return judge_line(read_score(folder, "M", "W", "j"))


def test_judging_is_added_up_and_a_part_without_a_judged_row_counts_none(tmp_path: Path) -> None:
    first = judged("A", ["Yes", "none", None], 3, cost=0.25, self_agreement={"asked": 2, "equal": 1})
    second = judged("B", [], 4)
    third = judged("C", ["No"], 1, cost=0.5, self_agreement={"asked": 1, "equal": 1})
    assert second["protocols"]["strict"]["extraction"] == {"found": 4, "unresolved": 0, "judged": 0}
    for parts in ([first, second, third], [second, third, first]):
        whole = stack_scores("W", "strict", parts)
        assert whole["protocols"]["strict"]["extraction"] == {"found": 11, "unresolved": 1, "judged": 3}
        assert whole["judging"] == {
            **WHO, "open": 4, "asked": 4, "found": 3, "none": 1, "unresolved": 1, "judge_error": 0,
            **{name: 3 * count for name, count in TOOK.items()},
            "cost": 0.75, "self_agreement": {"asked": 3, "equal": 2},
        }  # fmt: skip
    assert line_of(tmp_path, whole) == (
        "judge j decided 3 of 12 samples, 1 none of the answers, 1 unresolved;"
        " asked twice it agreed with itself on 2 of 3; cost 0.7500"
    )
    unpriced = stack_scores("W", "strict", [second, second])["judging"]
    assert (unpriced["cost"], unpriced["self_agreement"]) == (None, None)
    assert "judging" not in stack_scores("Both", "strict", [A, B])


def test_rules_that_stood_in_for_the_judge_in_a_part_are_told(tmp_path: Path) -> None:
    failed, other = judged("A@6", ["Yes", "No"], 1, fallback="no key"), judged("B@6", ["Yes"], 2)
    whole = stack_scores("W", "strict", [failed, other])
    assert whole["judging"]["fallback"] == "rules stood in for part A: no key"
    assert whole["judging"]["identity"] == "endpoint:m@"
    assert whole["protocols"]["strict"]["extraction"] == {"found": 4, "unresolved": 2, "judged": 1}
    assert line_of(tmp_path, whole) == "judge j decided 1 of 6 samples; rules stood in for part A: no key"
    again = judged("C", [None], 1, fallback="no key")
    reasons = stack_scores("W", "strict", [failed, again, judged("D", [None], 1, fallback="no quota")])["judging"]
    assert reasons["fallback"] == "rules stood in for parts A, C: no key; rules stood in for part D: no quota"
    assert line_of(tmp_path, stack_scores("W", "strict", [failed, again])) == (
        "judge j did not answer, rules alone have scored: rules stood in for parts A, C: no key"
    )


def stage() -> click.Command:
    """The stage's command, from its file."""
    file = REPOSITORY / "workflow" / "scripts" / "score_parts.py"
    spec = importlib.util.spec_from_file_location("score_parts_stage", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    command: click.Command = module.main
    return command


def test_the_stage_writes_a_table_and_a_score_that_the_report_reads(tmp_path: Path) -> None:
    results = tmp_path / "results" / "M"
    results.mkdir(parents=True)
    for made in (A, B):
        (results / f"{made['dataset']}_score.json").write_text(json.dumps(made), encoding="utf-8")
    words = ["--dataset", "Both@6", "--protocol", "strict", "--table", str(results / "Both@6_score.csv")]
    words += ["--detail", str(results / "Both@6_score.json")]
    ran = CliRunner().invoke(stage(), [*words, *(str(results / f"{name}@6_score.json") for name in "AB")])
    assert ran.exit_code == 0, ran.output
    with (results / "Both@6_score.csv").open(newline="", encoding="utf-8") as lines:
        assert list(csv.reader(lines))[1] == ["dev", "0.5", "0.5", "", "A"]
    whole = read_score(tmp_path, "M", "Both@6")
    assert whole.parts == ["A@6", "B@6"]
    assert whole.configured.overall.n == 8
    assert whole.provenance["parts"] == [A["provenance"], B["provenance"]]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"protocols"'])
def test_the_stage_names_a_broken_part(tmp_path: Path, content: str) -> None:
    broken = tmp_path / "A_score.json"
    broken.write_text(content, encoding="utf-8")
    words = ["--dataset", "Both", "--protocol", "strict", "--table", str(tmp_path / "t.csv")]
    ran = CliRunner().invoke(stage(), [*words, "--detail", str(tmp_path / "d.json"), str(broken)])
    assert isinstance(ran.exception, VlmakeError)
    assert str(broken) in str(ran.exception)
    assert not (tmp_path / "t.csv").exists()
