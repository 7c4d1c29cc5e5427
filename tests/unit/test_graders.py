"""Graded benchmarks: what judges are asked, how replies are read, and what each protocol makes of the verdicts."""

import json
import math

import pandas as pd
import pytest

from vlmake.extract.answer import MAIN, MS, PROTOCOLS, STRICT
from vlmake.extract.registry import load_extractor
from vlmake.judges import dimensions, llavabench, mathvision, mathvista, mmvet
from vlmake.judges.registry import JUDGINGS, judging_of, load_judging
from vlmake.judges.verdicts import Judgements
from vlmake.metrics.dimension_table import dimension_table
from vlmake.metrics.registry import METRICS
from vlmake.scoring.protocols import ScoringSpec, open_rows, score

GRADED = ("mmvet", "llavabench", "mathvista", "mathvision")
FAILED = ("judge_unreadable", "judge_refused", "judge_error")


def samples_of(rows):
    return pd.DataFrame([{"index": str(number), **row} for number, row in enumerate(rows)], dtype=object)


def predicted(texts):
    statuses = ["model_error" if text is None else "ok" for text in texts]
    frame = pd.DataFrame({"index": [str(n) for n in range(len(texts))], "prediction": pd.Series(texts, dtype=object)})
    return frame.assign(status=statuses)


def scored(metric, rows, texts, verdicts):
    """Score in every protocol; ``verdicts`` holds a verdict, or the rule of a judgement that is none, by row."""
    judged = {
        str(row): {"verdict": None, "rule": said} if said in FAILED else {"verdict": said, "rule": "judge"}
        for row, said in verdicts.items()
    }
    spec = ScoringSpec("x", "vqa", metric, judge="j", judging=str(judging_of(metric)))
    return score(samples_of(rows), predicted(texts), spec, Judgements(judged, {"judge": "j"}))


def tables(result):
    return {protocol: result.tables[protocol].rows for protocol in PROTOCOLS}


def hits(result):
    return {protocol: rows["hit"].tolist() for protocol, rows in result.judged.groupby("protocol")}


def extracted(metric, rows, texts, protocol):
    """What the rules alone found, by row; None where a judge has to read."""
    spec = ScoringSpec("x", "vqa", metric)
    judged = score(samples_of(rows), predicted(texts), spec).judged
    mine = judged[judged["protocol"] == protocol]
    pairs = zip(mine["extracted"], mine["extraction_status"], strict=True)
    return [answer if status == "found" else None for answer, status in pairs]


def same(rows, expected):
    """Compare tables to twelve digits; NaN equals NaN."""
    assert len(rows) == len(expected), rows
    for row, wanted in zip(rows, expected, strict=True):
        assert row == [pytest.approx(cell, rel=1e-12, nan_ok=True) if type(cell) is float else cell for cell in wanted]


# MM-Vet

MMVET_ROWS = [
    {"question": "q", "answer": "a", "category": "rec,ocr"},
    {"question": "q", "answer": "a", "category": "rec"},
    {"question": "q", "answer": "a", "category": "ocr,math"},
    {"question": "q", "answer": "a", "category": "rec,ocr"},
]


def test_mmvet_gives_the_mean_grade_of_every_capability_and_combination():
    # As VLMEvalKit counts: a row adds its grade and one to every capability named in its category, and to Overall.
    # rec: rows 0, 1, 3 = (1 + .3 + .5)/3; ocr: rows 0, 2, 3 = (1 + 0 + .5)/3; math: row 2; all: 1.8/4.
    result = scored("mmvet", MMVET_ROWS, ["x"] * 4, {0: "1.0", 1: "0.3", 2: "0.0", 3: "0.5"})
    for protocol in PROTOCOLS:
        table = result.tables[protocol]
        assert table.columns == ["Category", "tot", "acc"]
        nothing = [[name, 0, math.nan] for name in ("know", "gen", "spat")]
        same(table.rows, [["rec", 3, 60.0], ["ocr", 3, 50.0], *nothing, ["math", 1, 0.0], ["Overall", 4, 45.0]])
        columns, fine = table.more["fine"]
        assert columns == table.columns
        same(fine, [["rec_ocr", 2, 75.0], ["rec", 1, 30.0], ["ocr_math", 1, 0.0], ["Overall", 4, 45.0]])
        assert table.missing == ("know", "gen", "spat")
        assert table.overall.value == pytest.approx(45.0)


@pytest.mark.parametrize("failure", FAILED)
def test_mmvet_counts_a_grade_that_could_not_be_had_as_zero_in_vlmevalkit_and_leaves_it_out_strictly(failure):
    result = scored("mmvet", MMVET_ROWS, ["x"] * 4, {0: "1.0", 1: failure, 2: "0.0", 3: "0.5"})
    rec = {protocol: rows[0] for protocol, rows in tables(result).items()}
    same([rec[MAIN], rec[MS], rec[STRICT]], [["rec", 3, 50.0], ["rec", 3, 50.0], ["rec", 2, 75.0]])
    assert hits(result)[MAIN][1] == 0
    assert math.isnan(hits(result)[STRICT][1])
    strict = result.detail["protocols"][STRICT]
    assert strict["overall"] == {"name": "Overall", "value": pytest.approx(50.0), "n": 3}
    assert strict["accuracy"]["value"] == pytest.approx(0.5)
    assert strict["accuracy"]["n"] == 3
    assert strict["bounds"] == [pytest.approx(1.5 / 4), pytest.approx(2.5 / 4)]  # the row counts there, as 0 and as 1


def test_an_answer_that_is_not_there_is_graded_zero_by_every_protocol():
    result = scored("mmvet", MMVET_ROWS, ["x", None, " ", "x"], {0: "1.0", 3: "1.0"})
    for protocol in PROTOCOLS:
        assert hits(result)[protocol] == [1, 0, 0, 1]
        assert result.tables[protocol].overall.n == 4


def test_a_capability_is_a_part_of_the_category_in_vlmevalkit_and_a_word_of_its_list_strictly():
    rows = [{"question": "q", "answer": "a", "category": "record, spat"}]
    result = scored("mmvet", rows, ["x"], {0: "1.0"})
    counts = {protocol: {row[0]: row[1] for row in result.tables[protocol].rows} for protocol in PROTOCOLS}
    assert [counts[protocol]["rec"] for protocol in PROTOCOLS] == [1, 1, 0]
    assert [counts[protocol]["spat"] for protocol in PROTOCOLS] == [1, 1, 1]


def test_a_row_without_a_category_counts_in_the_whole_alone():
    result = scored("mmvet", [*MMVET_ROWS[:2], {"answer": "a"}], ["x"] * 3, {0: "0.0", 1: "0.0", 2: "0.9"})
    for protocol in PROTOCOLS:
        assert result.tables[protocol].rows[-1] == ["Overall", 3, pytest.approx(30.0)]


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ('{"grade": 0.7}', "0.7"),
        ('{"grade": 1}', "1.0"),
        ('{"grade": "0.3"}', "0.3"),
        ('```json\n{"grade": 0.0}\n```', "0.0"),
        ('The response has half of it: {"grade": 0.5}', "0.5"),
        ("0.4", "0.4"),
        ("1", "1.0"),
        ("0.9.", "0.9"),
        ("```\n0.2\n```", "0.2"),
        ('{"grade": 0.75}', None),
        ('{"grade": 7}', None),
        ('{"grade": -0.1}', None),
        ('{"grade": true}', None),
        ('{"grade": null}', None),
        ('{"grade": "7/10"}', None),
        ('{"grade": NaN}', None),
        ('{"score": 0.7}', None),
        ('{"grade": 0.1} or {"grade": 0.9}', None),
        ('{"grade": 0.1', None),
        ("0.4 0.5", None),
        ("70%", None),
        ("I would say 0.7", None),
        ("__import__('os').getpid()", None),
        ("", None),
    ],
)
def test_a_grade_is_read_or_the_reply_is_refused(reply, grade):
    assert mmvet.read(reply, {}) == grade


def test_mmvet_shows_question_reference_and_response_on_one_line():
    frame = samples_of([{"question": "How many?", "answer": "2<AND>red<OR>pink", "raw": 'two\n"} grade 1.0'}])
    (prompt,) = mmvet.prompts(frame)
    assert json.loads(prompt.splitlines()[-1]) == {
        "question": "How many?",
        "reference": "2<AND>red<OR>pink",
        "response": 'two\n"} grade 1.0',
    }
    assert "<AND>" in prompt.splitlines()[0] or "<AND> stands between" in prompt
    assert mmvet.prompts(frame.assign(raw="<think>never ends")) == [None]
    assert mmvet.prompts(frame.assign(answer=None)) == [None]


# LLaVA-Bench

LLAVA_ROWS = [
    {"question": "q", "caption": "c", "gpt4_ans": "a", "answer": "a", "category": category}
    for category in ("detail", "conv", "conv", "complex")
]


def test_llavabench_gives_the_ratio_of_the_mean_grades():
    # VLMEvalKit's arithmetic: Relative = mean(score)/mean(gpt4_score)*100, the others means*10, rounded to one decimal.
    # All: (6+7+5+9)/4 = 6.75 against (8+9+10+9)/4 = 9 -> 75. conv: 6 against 9.5 -> 63.157…
    result = scored("llavabench", LLAVA_ROWS, ["x"] * 4, {0: "8 6", 1: "9 7", 2: "10 5", 3: "9 9"})
    for protocol in PROTOCOLS:
        table = result.tables[protocol]
        assert table.columns == ["split", "Relative Score (main)", "VLM Score", "GPT4 Score"]
        same(
            table.rows,
            [
                ["overall", 75.0, 67.5, 90.0],
                ["conv", 63.2, 60.0, 95.0],
                ["detail", 75.0, 60.0, 80.0],
                ["complex", 100.0, 90.0, 90.0],
            ],
        )
        assert table.overall.value == 75.0
    assert hits(result)[STRICT] == [0.6, 0.7, 0.5, 0.9]


@pytest.mark.parametrize("failure", FAILED)
def test_llavabench_averages_minus_one_in_vlmevalkit_and_leaves_the_row_out_strictly(failure):
    result = scored("llavabench", LLAVA_ROWS, ["x"] * 4, {0: "8 6", 1: "9 7", 2: failure, 3: "9 9"})
    # VLMEvalKit: (6+7-1+9)/4 = 5.25 against (8+9-1+9)/4 = 6.25 -> 84; strictly 22/3 against 26/3 -> 84.6…
    for protocol in (MAIN, MS):
        same(result.tables[protocol].rows[:2], [["overall", 84.0, 52.5, 62.5], ["conv", 75.0, 30.0, 40.0]])
    same(result.tables[STRICT].rows[:2], [["overall", 84.6, 73.3, 86.7], ["conv", 77.8, 70.0, 90.0]])
    assert [result.tables[protocol].overall.n for protocol in PROTOCOLS] == [4, 4, 3]
    assert math.isnan(hits(result)[STRICT][2])
    assert hits(result)[MAIN][2] == 0


def test_an_empty_response_has_the_lowest_grade_strictly_and_none_for_its_reference():
    result = scored("llavabench", LLAVA_ROWS, ["", "x", None, "x"], {1: "9 7", 3: "9 9"})
    # strictly: (1+7+1+9)/4 = 4.5 against 9; VLMEvalKit: -1 for all four grades that are not there
    same(result.tables[STRICT].rows[:1], [["overall", 50.0, 45.0, 90.0]])
    same(result.tables[MAIN].rows[:1], [["overall", 87.5, 35.0, 40.0]])


def test_llavabench_without_any_grade_has_empty_cells_strictly():
    result = scored("llavabench", LLAVA_ROWS[:1], ["x"], {0: "judge_unreadable"})
    same(result.tables[STRICT].rows, [["overall", *[math.nan] * 3], ["detail", *[math.nan] * 3]])
    same(result.tables[MAIN].rows[:1], [["overall", 100.0, -10.0, -10.0]])
    assert result.tables[STRICT].missing == ("conv", "complex")


def test_llavabench_is_scored_where_its_only_answer_is_the_reference():
    rows = [{name: cell for name, cell in row.items() if name != "answer"} for row in LLAVA_ROWS]
    assert scored("llavabench", rows, ["x"] * 4, dict.fromkeys(range(4), "8 4")).table.overall.value == 50.0


@pytest.mark.parametrize(
    ("reply", "pair"),
    [
        ('{"grade_1": 8, "grade_2": 6}', "8 6"),
        ('{"grade_2": 6, "grade_1": 8.5}', "8.5 6"),
        ('{"grade_1": "9", "grade_2": "10"}', "9 10"),
        ("8 6", "8 6"),
        ("8, 6", "8 6"),
        ("8 6\nThe first answer is longer.", "8 6"),
        ("8.0 6.5\n\nBecause of 3 things", "8 6.5"),
        ('```json\n{"grade_1": 1, "grade_2": 10}\n```', "1 10"),
        ('{"grade_1": 0, "grade_2": 6}', None),
        ('{"grade_1": 11, "grade_2": 6}', None),
        ('{"grade_1": 8}', None),
        ('{"grade_1": 8, "grade_2": null}', None),
        ('{"grade_1": true, "grade_2": true}', None),
        ("8", None),
        ("8 6 7", None),
        ("8/10 6/10", None),
        ("Assistant 1: 8, Assistant 2: 6", None),
        ("-1 -1", None),
        ("", None),
    ],
)
def test_a_pair_of_grades_is_read_reference_first(reply, pair):
    assert llavabench.read(reply, {}) == pair


def test_llavabench_shows_the_reference_first_and_does_not_say_which_it_is():
    frame = samples_of([{"question": "q", "caption": "A dog.", "gpt4_ans": "known", "raw": "said"}])
    (prompt,) = llavabench.prompts(frame)
    data = json.loads(prompt.splitlines()[-1])
    assert list(data.items()) == [("picture", "A dog."), ("question", "q"), ("answer_1", "known"), ("answer_2", "said")]
    assert "reference" not in prompt
    assert llavabench.prompts(frame.assign(gpt4_ans=None)) == [None]


# MathVista

CHOICES = "['3/11', '8/11', '6/11']"


def vista(answer, kind="integer", **more):
    row = {"question": "q", "question_type": "free_form", "answer_type": kind, "answer": answer, "choices": "[]"}
    return row | {"task": "t", "skills": "['s']"} | more


def chosen(letter, text="8/11"):
    return vista(text, "text", question_type="multi_choice", choices=CHOICES, answer_option=letter)


def test_mathvista_counts_skills_and_tasks_as_they_appear():
    rows = [
        chosen("B") | {"task": "geometry", "skills": "['algebra', 'logic']"},
        vista("14") | {"task": "figures", "skills": "['logic']"},
        vista("0.5", "float", precision="1.0") | {"task": "geometry", "skills": "['algebra']"},
        vista("7") | {"task": "figures", "skills": "plain"},
    ]
    result = scored("mathvista", rows, ["B", "14", "about half", "8"], {2: "0.5", 3: "7"})
    # VLMEvalKit prefetches a letter and the right number; row 3 is a wrong number, which it asks about and the judge
    # reads as 7. Strictly 8 is read as the answer, and the judge's 7 is not asked for.
    rest = [["geometry", 2, 1, 2, 50.0, 100.0], ["figures", 2, 1, 2, 50.0, 100.0], ["plain", 1, 0, 1, 0.0, 100.0]]
    head = [["Overall", 4, 2, 4, 50.0, 100.0], ["algebra", 2, 1, 2, 50.0, 100.0], ["logic", 2, 2, 2, 100.0, 100.0]]
    for protocol in (MAIN, MS):
        assert result.tables[protocol].columns == ["Task&Skill", "tot", "prefetch", "hit", "prefetch_rate", "acc"]
        same(result.tables[protocol].rows, [*head, *rest])
    same(result.tables[STRICT].rows[:1], [["Overall", 4, 3, 3, 75.0, 75.0]])
    assert result.tables[MAIN].overall.value == 100.0


def test_a_right_zero_is_prefetched_strictly_and_left_to_the_judge_by_vlmevalkit():
    rows = [vista("0"), vista("0.0", "float"), vista("3")]
    texts = ["0", "0.0", "3"]
    assert extracted("mathvista", rows, texts, MAIN) == [None, None, "3"]
    assert extracted("mathvista", rows, texts, STRICT) == ["0", "0.0", "3"]


def test_vlmevalkit_prefetches_right_numbers_alone_and_strict_reads_wrong_ones_too():
    rows = [vista("3"), vista("1.5", "float"), vista("3"), vista("3"), vista("3"), vista("4")]
    texts = ["4", "2.5", "3.0", r"so \boxed{3}.", "it is 3", " 1,234 "]
    assert extracted("mathvista", rows, texts, MAIN) == [None] * 6
    assert extracted("mathvista", rows, texts, STRICT) == ["4", "2.5", "3.0", "3", None, "1234"]


def test_text_and_list_answers_are_never_right_in_vlmevalkit_and_compared_strictly():
    rows = [vista("Red Square", "text"), vista("[2007, 2008]", "list"), vista("[1, 2]", "list"), vista("blue", "text")]
    said = {0: " red  square", 1: "[2007.0, 2008]", 2: "[2, 1]", 3: "light blue"}
    result = scored("mathvista", rows, ["see above"] * 4, said)
    assert hits(result) == {MAIN: [0] * 4, MS: [0] * 4, STRICT: [1, 1, 0, 0]}


def test_decimals_are_rounded_to_the_precision_strictly_and_not_by_vlmevalkit():
    rows = [vista("1.2", "float", precision="1.0"), vista("0.35", "float", precision="2"), vista("2.5", "float")]
    said = {0: "1.23", 1: "0.36", 2: "2.50"}
    result = scored("mathvista", rows, ["see above"] * 3, said)
    assert hits(result) == {MAIN: [0, 0, 1], MS: [0, 0, 1], STRICT: [1, 0, 1]}


def test_whole_numbers_may_be_written_as_decimals_strictly_and_not_in_vlmevalkit():
    rows = [vista("14"), vista("14"), vista("1000"), vista("word", "text")]  # with a word, VLMEvalKit's column is text
    result = scored("mathvista", rows, ["see above"] * 4, {0: "14.0", 1: "14.7", 2: "1000", 3: "x"})
    assert hits(result) == {MAIN: [0, 0, 1, 0], MS: [0, 0, 1, 0], STRICT: [1, 0, 1, 0]}


def test_an_option_is_right_by_letter_or_by_its_exact_text_and_never_by_the_nearest_one():
    rows = [chosen("B"), chosen("B"), chosen("B"), chosen(None), chosen("B")]
    said = {0: "B", 1: "8/11", 2: "8/12", 3: "B", 4: "none"}
    result = scored("mathvista", rows, ["see above"] * 5, said)
    assert hits(result)[STRICT] == [1, 1, 0, 1, 0]
    assert hits(result)[MAIN] == [1, 1, 0, 1, 0]


def test_the_letter_of_a_word_is_read_as_each_release_reads_it():
    rows = [chosen("C") | {"choices": "['dog', 'fish', 'cat']"}]
    # "answer is" and any word that begins with a letter of an option: main takes C of "cute", ms-vlmeval nothing
    texts = ["The answer is cute and so very nice to see today"]
    assert [extracted("mathvista", rows, texts, protocol)[0] for protocol in PROTOCOLS] == ["C", None, None]


def test_a_judge_that_finds_no_answer_or_fails_gives_no_hit():
    rows = [vista("5"), vista("none", "text"), vista("5")]
    result = scored("mathvista", rows, ["see above"] * 3, {0: "none", 1: "none", 2: "judge_unreadable"})
    assert hits(result) == {protocol: [0, 0, 0] for protocol in PROTOCOLS}
    extraction = result.detail["protocols"][STRICT]["extraction"]
    assert (extraction["found"], extraction["unresolved"]) == (2, 1)


@pytest.mark.parametrize(
    ("row", "reply", "verdict"),
    [
        (chosen("B"), '{"answer": "B"}', "B"),
        (chosen("B"), '{"answer": "8/11"}', "B"),
        (chosen("B"), "C", "C"),
        (chosen("B"), '{"answer": "D"}', None),
        (chosen("B"), '{"answer": "B or C"}', None),
        (chosen("B"), '{"answer": "none"}', "none"),
        (vista("5"), '{"answer": "5"}', "5"),
        (vista("5"), '{"answer": 5}', "5"),
        (vista("5"), '{"answer": "1,200"}', "1200"),
        (vista("5"), '{"answer": "5 cm"}', None),
        (vista("5"), '{"answer": "five"}', None),
        (vista("5"), "5", "5"),
        (vista("5"), "It is 5", None),
        (vista("5"), '{"answer": "None"}', "none"),
        (vista("5"), '{"answer": ""}', None),
        (vista("5"), '{"answer": true}', None),
        (vista("5"), '{"answer": "5"} {"answer": "6"}', None),
        (vista("5", "float"), '{"answer": "-0.25"}', "-0.25"),
        (vista("[1]", "list"), '{"answer": [2007, 2008]}', "[2007, 2008]"),
        (vista("[1]", "list"), '{"answer": "[2007, 2008]"}', "[2007, 2008]"),
        (vista("[1]", "list"), '{"answer": "2007 and 2008"}', None),
        (vista("x", "text"), '{"answer": "a red square"}', "a red square"),
        (vista("x", "text"), '{"answer": "' + "x" * 400 + '"}', None),
        (vista("x", "text"), "a red square", None),
    ],
)
def test_a_short_answer_is_of_its_questions_kind_or_refused(row, reply, verdict):
    assert mathvista.read(reply, row | {"raw": "r"}) == verdict


@pytest.mark.parametrize("judging", [mathvista, mathvision])
def test_the_right_answer_is_in_no_question_to_an_extracting_judge(judging):
    rows = [
        vista("KEY17", "text", precision="KEY17", unit="KEY17"),
        vista("KEY17"),
        vista("KEY17", "float"),
        vista("KEY17", "list"),
        chosen("KEY17", "KEY17"),
        vista("KEY17") | {"answer_option": "KEY17", "choices": None},
    ]
    prompts = judging.prompts(samples_of(rows).assign(raw="the response"))
    assert all(prompt and "the response" in prompt for prompt in prompts)
    assert not any("KEY17" in str(prompt) for prompt in prompts)
    assert not any("KEY17" in judging.reminder(row) for row in rows)
    with_options = json.loads(prompts[4].splitlines()[-1])
    assert with_options["options"] == {"A": "3/11", "B": "8/11", "C": "6/11"}
    assert mathvista.prompts(samples_of(rows).assign(raw="<think>never ends")) == [None] * len(rows)


# MATH-Vision


def vision(answer, category="algebra", choices="[]"):
    return {"question": "q", "answer": answer, "category": category, "choices": choices}


def test_mathvision_counts_subjects_sorted():
    rows = [
        vision("B", "solid geometry", "['1', '2', '3']"),
        vision("0.5", "algebra"),
        vision(r"\frac{1}{2}", "algebra"),
        vision("7", "counting"),
    ]
    result = scored("mathvision", rows, ["B", "1/2", "the half", "8"], {2: "0.5", 3: "seven"})
    # VLMEvalKit prefetches the letter and the expression that equals the answer. Its table is sorted, O before a.
    table = [
        ["Overall", 4, 2, 3, 50.0, 75.0],
        ["algebra", 2, 1, 2, 50.0, 100.0],
        ["counting", 1, 0, 0, 0.0, 0.0],
        ["solid geometry", 1, 1, 1, 100.0, 100.0],
    ]
    for protocol in (MAIN, MS):
        assert result.tables[protocol].columns == ["Subject", "tot", "prefetch", "hit", "prefetch_rate", "acc"]
        same(result.tables[protocol].rows, table)


def test_roots_and_circles_have_a_value_strictly_and_none_in_vlmevalkit():
    rows = [vision(r"2\sqrt{2}"), vision(r"2\pi"), vision("x+1"), vision("2/4"), vision("12")]
    said = {0: r"\sqrt{8}", 1: "2*pi", 2: "1+x", 3: "0.5", 4: "12 cm"}
    result = scored("mathvision", rows, ["see above"] * 5, said)
    assert hits(result) == {MAIN: [0, 0, 0, 1, 0], MS: [0, 0, 0, 1, 0], STRICT: [1, 1, 1, 1, 1]}


def test_what_mathvision_reads_without_a_judge():
    rows = [vision("4"), vision("4"), vision("4"), vision(r"\sqrt{2}"), vision("B", choices="['1', '2']")]
    texts = ["4.0", "5", r"So \boxed{4}", r"\sqrt{2}", "(B) it is the second"]
    assert extracted("mathvision", rows, texts, MAIN)[:4] == ["4.0", None, None, r"\sqrt{2}"]
    assert extracted("mathvision", rows, texts, STRICT) == ["4.0", "5", "4", None, "B"]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ('{"answer": "\\\\frac{1}{2}"}', r"\frac{1}{2}"),
        ('{"answer": "\\frac{1}{2}"}', r"\frac{1}{2}"),  # one backslash: JSON's form feed
        ('{"answer": "\\sqrt{2}"}', r"\sqrt{2}"),  # no escape of JSON's
        ('{"answer": "\\theta"}', r"\theta"),
        ('{"answer": "x = 3"}', "x = 3"),
        ('{"answer": 12}', "12"),
        ("12", "12"),
        ("the answer is 12", None),
        ('{"answer": "none"}', "none"),
        ('{"answer": {}}', None),
    ],
)
def test_an_expression_is_read_with_the_backslashes_that_judges_write(reply, verdict):
    assert mathvision.read(reply, vision("1") | {"raw": "r"}) == verdict


# MMDU-style dimensions

NAMES = ("Creativity", "Overall Score")


def test_the_prompt_of_a_turn_names_its_dimensions_and_holds_its_texts_as_data():
    prompt = dimensions.turn_prompt("What is in <ImageHere>?", "A dog.", 'A "dog"', dimensions.MMDU)
    assert prompt is not None
    assert all(f"- {name}: " in prompt for name in dimensions.MMDU)
    assert json.loads(prompt.splitlines()[-1])["response"] == 'A "dog"'
    assert dimensions.turn_prompt("q", "a", " ", dimensions.MMDU) is None
    assert set(dimensions.schema(NAMES)["properties"]) == set(NAMES)


@pytest.mark.parametrize(
    ("reply", "grades"),
    [
        ('{"Creativity": 7, "Overall Score": 9}', {"Creativity": 7, "Overall Score": 9}),
        ('It is good.\n{"Creativity": 7.9, "Overall Score": "8"}', {"Creativity": 7, "Overall Score": 8}),
        ("As {x} says: {'Creativity': 6, 'Overall Score': 7}", {"Creativity": 6, "Overall Score": 7}),
        ('{"Creativity": 12, "Overall Score": -3}', {"Creativity": 10, "Overall Score": 0}),
        ('{"Creativity": null, "Overall Score": 5}', {"Overall Score": 5}),
        ('{"Creativity": "8/10", "Overall Score": 5, "Other": 3}', {"Overall Score": 5}),
        ('{"Other": 3}', None),
        ("Creativity: 7", None),
        ("{'Creativity': __import__('os').getpid()}", None),
        ("{" * 5_000, None),
        ("", None),
    ],
)
def test_grades_of_dimensions_are_read_clipped_and_never_run(reply, grades):
    assert dimensions.read_grades(reply, NAMES) == grades


def test_dimensions_are_averaged_over_all_turns_and_over_those_with_a_grade():
    turns = [{"Creativity": 6, "Overall Score": 8}, None, {"Overall Score": 5}, {"Creativity": 9, "Overall Score": 7}]
    # all: 15/4 and 20/4; valid: 15/2 and 20/3; both times 10
    compatible = dimension_table(turns, NAMES, "Overall Score", strict=False)
    assert compatible.columns == ["set", *NAMES]
    same(compatible.rows, [["all", 37.5, 50.0], ["valid", 75.0, 200 / 3]])
    assert (compatible.overall.value, compatible.overall.n) == (50.0, 4)
    mended = dimension_table(turns, NAMES, "Overall Score", strict=True)
    assert (mended.overall.value, mended.overall.n) == (pytest.approx(200 / 3), 3)
    same(dimension_table([None], NAMES, "Creativity", strict=True).rows[1:], [["valid", math.nan, math.nan]])


# Every grader


@pytest.mark.parametrize("metric", GRADED)
def test_every_grader_has_its_judging_extractor_and_metric(metric):
    assert METRICS[metric].grader in JUDGINGS
    judging = load_judging(METRICS[metric].grader)
    assert judging.VERSION.startswith(metric)
    assert judging.MAX_TOKENS > 0
    assert judging.SCHEMA["required"]
    assert judging.reminder(vision("1"))
    assert load_extractor(metric)


@pytest.mark.parametrize("metric", ["mmvet", "llavabench"])
def test_graders_are_asked_about_every_answer_that_is_there(metric):
    rows = LLAVA_ROWS
    left = open_rows(samples_of(rows), predicted(["a", "", None, "b"]), ScoringSpec("x", "vqa", metric))
    assert left["index"].tolist() == ["0", "3"]


@pytest.mark.parametrize("metric", GRADED)
def test_a_benchmark_whose_further_columns_are_missing_still_has_a_table(metric):
    result = scored(metric, [{"question": "q", "answer": "5"}], ["5"], {0: "judge_error"})
    assert all(result.tables[protocol].rows for protocol in PROTOCOLS)
