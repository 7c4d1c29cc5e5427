"""Judges checked by people and by each other: figures by hand, intervals that cover the truth, blind sheets."""

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from vlmake import paths
from vlmake.audit.judge_labels import Kind, alike, parse
from vlmake.commands.audit import command
from vlmake.errors import VlmakeError
from vlmake.inference.predictions import PREDICTIONS
from vlmake.judges.asking import Judgement
from vlmake.judges.judgements import write_judgements
from vlmake.judges.registry import judging_of
from vlmake.judges.verdicts import Judgements
from vlmake.metrics.registry import metric_entry
from vlmake.scoring.protocols import ScoringSpec, score
from vlmake.scoring.score_files import write_detail, write_judged

ANIMALS = {"A": "dog", "B": "cat", "C": "horse", "D": "sheep"}
OPEN = "It has four legs, said visitor {}."
"""A response that rules leave open in every protocol."""


def animals(rows: int, key: str = "B") -> pd.DataFrame:
    index = [str(number) for number in range(rows)]
    return pd.DataFrame({"index": index, "question": "Which animal?", "answer": key, **ANIMALS}, dtype=object)


def put(
    folder: Path,
    verdicts: dict[str, dict[str, str | None]],
    texts: list[str],
    samples: pd.DataFrame | None = None,
    dataset: str = "MMStar",
    metric: str = "choice",
) -> None:
    """Write a result that rules and several judges have scored; ``verdicts`` is judge → index → verdict."""
    samples = animals(len(texts)) if samples is None else samples
    answers = pd.DataFrame({"index": samples["index"], "prediction": pd.Series(texts, dtype=object), "status": "ok"})
    rows = [{**row, "repeat": 0, "key": "k"} for row in answers.to_dict("records")]
    files = {
        paths.samples(dataset): pa.Table.from_pandas(samples, preserve_index=False),
        paths.predictions("TinyVLM", dataset): pa.Table.from_pylist(rows, schema=PREDICTIONS),
    }
    for file, table in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / file)
    for judge, said in {"": {}, **verdicts}.items():
        task, judging = metric_entry(metric).task, judging_of(metric) or ""
        spec = ScoringSpec(dataset, task, metric, **({"judge": judge, "judging": judging} if judge else {}))
        judgements = [judgement(index, verdict) for index, verdict in said.items()]
        about = {"judge": judge, "identity": f"{judge}-1", "settings": {}, "wording": "w"}
        if judge:
            write_judgements(judgements, {}, {}, about, folder / paths.judgements("TinyVLM", dataset, judge))
        by_index = {one.index: {"verdict": one.verdict, "rule": one.rule} for one in judgements}
        result = score(samples, answers, spec, Judgements(by_index, about) if judge else None)
        write_judged(result, folder / paths.judged("TinyVLM", dataset, judge))
        write_detail(result, {}, folder / paths.score_json("TinyVLM", dataset, judge))


def judgement(index: str, verdict: str | None) -> Judgement:
    status, rule = ("found", "judge") if verdict else ("unresolved", "judge_unreadable")
    return Judgement(index, f"k{index}", verdict, status, rule, "p", "r", 1, 1, 1, 0.1, None)


def audit(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def done(*words: object) -> str:
    result = audit(*words)
    assert result.exit_code == 0, repr(result.exception)
    return result.output


def refused(*words: object) -> str:
    result = audit(*words)
    assert isinstance(result.exception, VlmakeError), repr(result.exception)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def drawn(folder: Path, *more: object, name: str = "sheet.csv", dataset: str = "MMStar", judge: str = "one") -> Path:
    named = ("--model", "TinyVLM", "--data", dataset, "--judge", judge, "--work-dir", folder)
    done("draw", *named, "--out", folder / name, *more)
    return folder / name


def compared(folder: Path, *more: object, dataset: str = "MMStar") -> str:
    return done("compare", "--model", "TinyVLM", "--data", dataset, "--work-dir", folder, *more)


def read_csv(sheet: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet.read_text("utf-8-sig"), newline="")))


def fill(sheet: Path, labels: dict[str, str], target: Path | None = None) -> Path:
    rows = [row | {"label": labels.get(row["index"], "")} for row in read_csv(sheet)]
    with (target or sheet).open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return target or sheet


def figures(sheet: Path, *more: object) -> dict:
    done("score", sheet, "--work-dir", sheet.parent, *more)
    return json.loads(sheet.with_suffix(".result.json").read_text("utf-8"))


# Labels


@pytest.mark.parametrize(
    ("cell", "kind", "label"),
    [
        ("b", "choice", "B"),
        ("none", "choice", "?"),
        ("否", "yes_no", "No"),
        ("", "yes_no", None),
        ("'-5", "text", "-5"),
        ("1,200", "text", "1200"),
        (" x^2 + A ", "text", "x^2 + A"),
        ("None", "text", "?"),
        ("？", "text", "?"),
        ("0,7", "grade", "0.7"),
        ("1.0", "grade", "1"),
        ("-", "grade", None),
        ("8 6.5", "grades", "8 6.5"),
        ("8; 6,5", "grades", "8 6.5"),
        ("8, 6", "grades", "8 6"),
        ("10/1", "grades", "10 1"),
    ],
)
def test_labels_are_read_in_the_form_of_verdicts(cell: str, kind: Kind, label: str | None) -> None:
    assert parse(cell, kind, "ABCD") == label


@pytest.mark.parametrize(
    ("cell", "kind"),
    [("E", "choice"), ("maybe", "yes_no"), ("1.5", "grade"), ("good", "grade"), ("?", "grade"), ("8", "grades"),
     ("8 11", "grades"), ("8 6 5", "grades"), ("0 5", "grades")],
)  # fmt: skip
def test_labels_that_are_none_are_refused(cell: str, kind: Kind) -> None:
    with pytest.raises(VlmakeError, match="is n"):
        parse(cell, kind, "ABCD")


def test_texts_are_alike_in_any_case_and_spacing_but_no_answer_is_like_none_else() -> None:
    assert alike("Main  Street.", "main street", "text") and alike("0.50", "1/2", "text") is False
    assert alike("0.50", ".5", "text") and not alike("7", "70", "text")
    assert not alike("?", "??", "text") and not alike("b", "B", "choice")


# Sheets


def test_the_sheet_shows_neither_verdict_nor_key_and_is_drawn_again_by_its_seed(tmp_path: Path) -> None:
    texts = [OPEN.format(number) for number in range(30)] + ["B"] * 10
    said = {str(number): "C" if number % 2 else "none" for number in range(29)} | {"29": None}
    put(tmp_path, {"one": said}, texts, animals(40, key="D"))
    sheet = drawn(tmp_path, "--samples", 12)
    rows, record = read_csv(sheet), json.loads(sheet.with_suffix(".json").read_text("utf-8"))
    assert len(rows) == 12 and {row["label"] for row in rows} == {""}
    assert all(row["prediction"].startswith("It has four legs") for row in rows)  # rules read the others
    assert rows[0]["options"] == "A. dog\nB. cat\nC. horse\nD. sheep"
    assert not {"verdict", "answer", "judge"} & set(rows[0])
    for row in rows:
        assert {row[name] for name in ("sample", "dataset", "model", "index", "question")} & {"C", "D", "none"} == set()
    assert record["population"] == {"rows": 29, "left_out": {"judge_unreadable": 1}}
    assert {row["index"]: row["verdict"] for row in record["rows"]} == {
        row["index"]: "C" if int(row["index"]) % 2 else "?" for row in rows
    }
    again = [drawn(tmp_path, "--samples", 12, "--seed", seed, name=f"{seed}.csv") for seed in (0, 1)]
    assert sheet.read_bytes() == again[0].read_bytes() != again[1].read_bytes()


def test_agreement_kappa_and_the_corrected_score_are_those_by_hand(tmp_path: Path) -> None:
    # 8 open responses, key B, all labelled; 2 more that rules read as B. Verdicts B B B A A A none B.
    texts = [OPEN.format(number) for number in range(8)] + ["B", "B"]
    put(tmp_path, {"one": dict(zip("01234567", [*"BBBAAA", "none", "B"], strict=True))}, texts)
    sheet = fill(drawn(tmp_path), dict(zip("01234567", "BBABAA?B", strict=True)))
    found = figures(sheet)
    assert (found["labelled"], found["decided"]) == (8, 8)
    assert found["agreement"] == {"value": 0.75, "low": 0.75, "high": 0.75}  # every row is labelled
    # Verdicts B 4, A 3, ? 1; labels the same: chance (16 + 9 + 1) / 64.
    assert found["kappa"]["value"] == pytest.approx((0.75 - 26 / 64) / (1 - 26 / 64))
    assert [(item["index"], item["label"], item["verdict"]) for item in found["disagreements"]] != []
    assert {item["index"] for item in found["disagreements"]} == {"2", "3"}
    for protocol in found["protocols"].values():
        assert protocol["sheet"] == {"both_right": 3, "judge_alone": 1, "label_alone": 1, "both_wrong": 3}
        assert protocol["observed"] == {"judged": 0.5, "score": 0.6}
        assert (protocol["corrected"]["sensitivity"], protocol["corrected"]["specificity"]) == (0.75, 0.75)
        assert protocol["corrected"]["judged"]["value"] == pytest.approx(0.5)
        assert protocol["corrected"]["score"]["value"] == pytest.approx(0.6)
    printed = done("score", sheet, "--work-dir", tmp_path)
    assert "agreement 75.0 (75.0 to 75.0) %" in printed and "label 'A', verdict 'B'" in printed


def test_labelled_rows_correct_those_without_a_label(tmp_path: Path) -> None:
    # 40 verdicts, 24 right; 20 labelled: a = 8/10, b = 8/10 -> (0.6 + 0.8 - 1) / 0.6.
    texts = [OPEN.format(number) for number in range(40)]
    said = {str(number): "B" if number < 24 else "C" for number in range(40)}
    put(tmp_path, {"one": said}, texts)
    labels = {str(n): "B" for n in (*range(8), 24, 25)} | {str(n): "C" for n in (8, 9, *range(26, 34))}
    found = figures(fill(drawn(tmp_path), labels))["protocols"]["strict"]
    assert found["sheet"] == {"both_right": 8, "judge_alone": 2, "label_alone": 2, "both_wrong": 8}
    assert found["corrected"]["judged"]["value"] == pytest.approx(2 / 3)


def test_a_protocol_counts_only_what_its_own_rules_left_open(tmp_path: Path) -> None:
    # 答案是B is read strictly and by no release of VLMEvalKit; the judge takes it for A.
    texts = [*(OPEN.format(number) for number in range(4)), "答案是B"]
    put(tmp_path, {"one": dict(zip("01234", "BCBCA", strict=True))}, texts)
    found = figures(fill(drawn(tmp_path), dict(zip("01234", "BCBCB", strict=True))))["protocols"]
    assert (found["strict"]["decided"], found["vlmevalkit-main"]["decided"]) == (4, 5)
    assert found["strict"]["corrected"]["score"]["value"] == pytest.approx(0.6)
    assert found["vlmevalkit-main"]["sheet"]["label_alone"] == 1
    assert found["vlmevalkit-main"]["observed"]["score"] == pytest.approx(0.4)


def test_a_sheet_that_cannot_correct_says_so_and_still_has_its_agreement(tmp_path: Path) -> None:
    put(tmp_path, {"one": {str(n): "C" for n in range(4)}}, [OPEN.format(number) for number in range(4)])
    sheet = fill(drawn(tmp_path), dict.fromkeys("0123", "C"))
    found = figures(sheet)
    assert found["agreement"]["value"] == 1 and found["kappa"]["value"] is None
    assert found["protocols"]["strict"]["no_correction"].startswith("no labelled row is right")
    assert "strict: no corrected score: no labelled row is right" in done("score", sheet, "--work-dir", tmp_path)


def test_yes_no_verdicts_are_checked_too(tmp_path: Path) -> None:
    rows = pd.DataFrame({"index": [*"0123"], "question": "Is it big?", "answer": [*("Yes", "No") * 2]}, dtype=object)
    said = {"0": "Yes", "1": "Yes", "2": "none", "3": "No"}
    put(tmp_path, {"one": said}, [OPEN.format(n) for n in range(4)], rows, "POPE", "yes_no")
    sheet = fill(drawn(tmp_path, dataset="POPE"), {"0": "yes", "1": "no", "2": "?", "3": "n"})
    found = figures(sheet)
    assert found["agreement"]["value"] == 0.75
    assert found["disagreements"][0]["index"] == "1"


def test_answers_in_other_words_agree_and_count_by_the_metrics_own_rule(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"index": [*"0123"], "question": "How many?", "answer": ["7", "8", "0.5", "9"], "question_type": "free_form",
         "answer_type": ["integer", "integer", "float", "integer"], "precision": "1"},
        dtype=object,
    )  # fmt: skip
    said = {"0": "7", "1": "9", "2": "0.5", "3": "none"}
    put(tmp_path, {"one": said}, [OPEN.format(n) for n in range(4)], rows, "MathVista_MINI", "mathvista")
    found = figures(fill(drawn(tmp_path, dataset="MathVista_MINI"), {"0": "7", "1": "8", "2": "0.50", "3": "4"}))
    assert found["protocols"]["strict"]["sheet"] == {
        "both_right": 2, "judge_alone": 0, "label_alone": 1, "both_wrong": 1,
    }  # fmt: skip
    assert {item["index"] for item in found["disagreements"]} == {"1", "3"}


def test_grades_are_compared_by_amount_and_never_corrected(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"index": [*"0123"], "question": "What is it?", "answer": "a cat", "category": "rec"}, dtype=object
    )
    said = {"0": "0.5", "1": "1.0", "2": "0.0", "3": "0.2"}
    put(tmp_path, {"one": said}, [OPEN.format(n) for n in range(4)], rows, "MMVet", "mmvet")
    sheet = drawn(tmp_path, dataset="MMVet")
    assert read_csv(sheet)[0]["question"] == "What is it?\n\nReference: a cat"
    fill(sheet, {"0": "0.7", "1": "0,6", "2": "0", "3": "0.4"})
    second = fill(sheet, {"0": "0.7", "1": "0.5", "2": "0", "3": "-"}, tmp_path / "second.csv")
    found = figures(sheet, "--sheet", second)
    assert found["differences"]["grade"]["mean_absolute_difference"]["value"] == pytest.approx(0.2)
    assert "protocols" not in found and "cannot be corrected" in found["no_correction"]
    pair = found["annotators"][0]
    assert pair["labelled_by_both"] == 3
    assert pair["differences"]["grade"]["mean_absolute_difference"]["value"] == pytest.approx(0.1 / 3)
    assert "no corrected score: grades are no share" in done("score", sheet, "--work-dir", tmp_path)


def test_two_grades_a_row_are_compared_one_by_one(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"index": [*"012"], "question": "q", "caption": "a lake", "gpt4_ans": "ref", "answer": "ref",
         "category": "conv"}, dtype=object,
    )  # fmt: skip
    said = {"0": "8 6", "1": "9 7.5", "2": "8 3"}
    put(tmp_path, {"one": said}, [OPEN.format(n) for n in range(3)], rows, "LLaVABench", "llavabench")
    sheet = drawn(tmp_path, dataset="LLaVABench")
    assert read_csv(sheet)[0]["question"] == "q\n\nPicture: a lake\n\nReference (first grade): ref"
    found = figures(fill(sheet, {"0": "8 7", "1": "9 7,5", "2": "7 5"}))["differences"]
    assert found["response's grade"]["mean_absolute_difference"]["value"] == pytest.approx(1.0)
    assert found["response's grade"]["mean_difference"]["value"] == pytest.approx(-1.0)
    assert found["reference's grade"]["mean_absolute_difference"]["value"] == pytest.approx(1 / 3)


def test_every_two_people_are_compared_on_a_judges_sheet(tmp_path: Path) -> None:
    put(tmp_path, {"one": dict(zip("0123", "BBCC", strict=True))}, [OPEN.format(n) for n in range(4)])
    one = fill(drawn(tmp_path), dict(zip("0123", "BBCC", strict=True)))
    two = fill(one, dict(zip("0123", "BCC-", strict=True)), tmp_path / "second.csv")
    pair = figures(one, "--sheet", two)["annotators"][0]
    assert (pair["labelled_by_both"], pair["agreement"]["value"]) == (3, pytest.approx(2 / 3))


def test_a_label_holds_as_long_as_its_prediction_and_a_new_verdict_is_compared_on_request(tmp_path: Path) -> None:
    texts = [OPEN.format(number) for number in range(4)]
    put(tmp_path, {"one": dict(zip("0123", "BBCC", strict=True))}, texts)
    sheet = drawn(tmp_path)
    assert "no row has a label" in refused("score", sheet, "--work-dir", tmp_path)
    fill(sheet, dict(zip("0123", "BBBB", strict=True)))
    assert figures(sheet)["agreement"]["value"] == 0.5
    put(tmp_path, {"one": {"0": "B", "1": "B", "2": "B", "3": None}}, texts)
    assert "has another verdict than when the sheet was drawn" in refused("score", sheet, "--work-dir", tmp_path)
    found = figures(sheet, "--current")
    assert (found["agreement"]["value"], found["labelled"], found["without_verdict_now"]) == (1, 3, 1)
    put(tmp_path, {"one": dict.fromkeys("0123")}, texts)
    assert "no verdict on any labelled row now" in refused("score", sheet, "--work-dir", tmp_path, "--current")
    put(tmp_path, {"one": dict(zip("0123", "BBCC", strict=True))}, [OPEN.format(n + 1) for n in range(4)])
    assert "has another prediction" in refused("score", sheet, "--work-dir", tmp_path, "--current")


def test_what_cannot_be_drawn_is_said_in_one_line(tmp_path: Path) -> None:
    named = ("--data", "MMStar", "--work-dir", tmp_path, "--out", tmp_path / "s.csv")
    put(tmp_path, {"one": {"0": None}}, [OPEN.format(0)])
    line = refused("draw", "--model", "TinyVLM", *named, "--judge", "one")
    assert "judge one decided none of TinyVLM's answers to MMStar" in line
    assert "unknown judge 'two'" in refused("draw", "--model", "TinyVLM", *named, "--judge", "two")
    several = ("--model", "TinyVLM", "--data", "MMStar", "POPE", "--work-dir", tmp_path, "--out", tmp_path / "s.csv")
    assert "about one model's answers to one dataset" in refused("draw", *several, "--judge", "one")
    line = refused("draw", "--model", "TinyVLM", "--data", "OCRBench", *named[2:], "--judge", "one")
    assert "rules leave nothing of it to a judge" in line
    line = refused("draw", "--model", "TinyVLM", "--data", "POPE", *named[2:], "--judge", "one")
    assert "`vlmake run --model TinyVLM --data POPE --judge one` makes it" in line


# Comparisons


def test_two_judges_are_compared_on_what_both_decided(tmp_path: Path) -> None:
    texts = [OPEN.format(number) for number in range(7)] + ["B"]
    one = dict(zip("012345", [*"BBAA", "none", "B"], strict=True)) | {"6": None}
    two = dict(zip("01234", "BAAAB", strict=True)) | {"5": None, "6": None}
    put(tmp_path, {"one": one, "two": two}, texts)
    printed = compared(tmp_path, "--judge", "one", "--judge", "two", "--out", tmp_path / "d.jsonl")
    assert "both decided 5 of 7 samples that they were asked about; one alone 1, two alone 0, neither 1" in printed
    # one B B A A ?, two B A A A B: 3 of 5 equal, chance (2·2 + 2·3) / 25.
    assert "equal 3 of 5: agreement 60.0" in printed and f"kappa {(0.6 - 0.4) / 0.6:.3f}" in printed
    table = [line.split() for line in printed.splitlines()]
    assert ["one", "\\", "two", "A", "B", "?"] in table
    assert ["A", "2", "0", "0"] in table and ["B", "1", "1", "0"] in table and ["?", "0", "1", "0"] in table
    strict = next(line for line in table if line[:1] == ["strict"])
    # Right: one 0, 1, 5 and the row that rules read, of 8; two 0, 4 and that row. One alone on 1, two alone on 4.
    assert strict[1:5] == ["5", "1", "1", "50.0"] and "37.5" in strict
    rows = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text("utf-8").splitlines()]
    assert [(row["index"], row["by_one"], row["by_two"]) for row in rows] == [("1", "B", "A"), ("4", "?", "B")]
    assert rows[0]["right_strict"] == [1.0, 0.0] and rows[0]["response"] == texts[1]


def test_a_judge_is_compared_with_the_rules_that_read_what_others_left_open(tmp_path: Path) -> None:
    # 答案是B and 答案是C are read strictly alone; the judge agrees on the first.
    texts = [OPEN.format(0), "答案是B", "答案是C", "B"]
    put(tmp_path, {"one": {"0": "A", "1": "B", "2": "D"}}, texts)
    printed = compared(tmp_path, "--judge", "one", "--out", tmp_path / "d.csv")
    assert "of 4 samples the judge was asked about 3, which some protocol's rules left open, and decided 3" in printed
    table = {line.split()[0]: line.split() for line in printed.splitlines() if line.strip()}
    assert table["vlmevalkit-main"][1:3] == ["3", "0"]
    strict = next(line.split() for line in printed.splitlines() if line.startswith("strict "))
    assert strict[1:4] == ["1", "2", "1"]
    assert "strict, index 2: one 'D', rules 'C' by declared" in printed
    (row,) = read_csv(tmp_path / "d.csv")
    assert (row["index"], row["by_one"], row["rules"], row["protocol"]) == ("2", "D", "C", "strict")


def test_two_graders_are_compared_by_amount(tmp_path: Path) -> None:
    rows = pd.DataFrame({"index": [*"0123"], "question": "q", "answer": "a cat", "category": "rec"}, dtype=object)
    grades = [{"0": "0.5", "1": "1.0", "2": "0.0", "3": "0.2"}, {"0": "0.7", "1": "0.6", "2": "0.0", "3": "0.4"}]
    verdicts = dict(zip(("one", "two"), grades, strict=True))
    put(tmp_path, verdicts, [OPEN.format(n) for n in range(4)], rows, "MMVet", "mmvet")
    printed = compared(tmp_path, "--judge", "one", "--judge", "two", dataset="MMVet")
    assert "equal 1 of 4" in printed and "grade  0.200 (" in printed
    assert "3 samples differ" in printed


def test_what_cannot_be_compared_is_said_in_one_line(tmp_path: Path) -> None:
    put(tmp_path, {"one": {"0": "B"}, "two": {"1": "B"}}, [OPEN.format(0), OPEN.format(1)])
    named = ("compare", "--model", "TinyVLM", "--data", "MMStar", "--work-dir", tmp_path)
    assert "decided no sample both" in refused(*named, "--judge", "one", "--judge", "two")
    assert "name two judges" in refused(*named, "--judge", "one", "--judge", "one")
    assert "a .csv or .jsonl file" in refused(*named, "--judge", "one", "--out", tmp_path / "d.xlsx")
