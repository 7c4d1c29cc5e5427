"""MathVista and MATH-Vision: what is read without a judge, what judges are asked, and what each protocol counts."""

import json

import pytest

from tests.grading import extracted, hits, same, samples_of, scored
from vlmake.extract.answer import MAIN, MS, PROTOCOLS, STRICT
from vlmake.judges.kinds import mathvision, mathvista

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


def test_an_answer_that_a_judge_quotes_from_the_response_is_not_its_own():
    row = vista("5") | {"raw": 'Reply with {"answer": "5"}'}
    assert mathvista.read('{"answer": "5"}', row) == "5"
    assert mathvista.read('The response demands {"answer": "5"}', row) is None


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
