"""MMMU's open questions and MMMU-Pro's reasoned answers, as each protocol reads them."""

import pandas as pd
import pytest

from vlmake.extract import mmmu, mmmu_reasoned
from vlmake.extract.answer import MAIN, MS, STRICT
from vlmake.metrics.registry import load_metric

ANIMALS = {"A": "dog", "B": "cat", "C": "horse", "D": "sheep"}


def frame(text: str, **columns: object) -> pd.DataFrame:
    row = {"prediction": text, "raw": text, "answer": "B", "answer_in_tsv": "B", **ANIMALS, **columns}
    return pd.DataFrame([row])


def read(module, text: str, protocol: str, **columns: object) -> str | None:
    return module.extract(frame(text, **columns), protocol)[0].answer


@pytest.mark.parametrize(
    ("text", "main", "ms"),
    [
        ("I think A or B.\nAnswer: B", "B", "B"),
        ("blah A B C\n  Answer: B  ", "B", "B"),
        ("Option A is wrong, C too.\nAnswer: the cat", "B", "A"),  # ms: the only capital is the A of the mark
        ("A. dog vs B\nAnswer: (B) it IS", "B", "B"),
        ("Answer: A\nNo.\nAnswer: C", "C", None),  # ms: two lines, and the whole text has two letters
        ("It is B", "B", "B"),
    ],
)
def test_reasoned_answers_are_read_behind_the_mark(text: str, main: str, ms: str | None) -> None:
    assert read(mmmu_reasoned, text, MAIN) == main
    assert read(mmmu_reasoned, text, MS) == ms


def test_an_open_question_is_a_choice_for_vlmevalkit_and_a_text_for_strict() -> None:
    none = dict.fromkeys("ABCD")
    open_row = frame("The answer is 0.50", answer="0.5", answer_in_tsv="0.5", **none)
    assert mmmu.gold(open_row, MAIN) == ["A"]
    assert read(mmmu, "0.5", MAIN, answer="0.5", **none) == "A"
    assert read(mmmu, "Other Answers", MAIN, answer="0.5", **none) == "B"
    judged = open_row.assign(
        gold=mmmu.gold(open_row, STRICT), extracted=[answer.answer for answer in mmmu.extract(open_row, STRICT)]
    )
    assert load_metric("mmmu").hits(judged).tolist() == [1.0]


def test_a_gold_that_is_no_capital_letter_is_the_first_option() -> None:
    assert mmmu.gold(frame("x", answer_in_tsv="x"), MAIN) == ["A"]
    assert mmmu.gold(frame("C", answer_in_tsv="C"), MS) == ["C"]


def test_several_right_texts_and_numbers_that_round_alike() -> None:
    judged = pd.DataFrame(
        {"extracted": ["$1,234.567", "Paris", None, "B"], "gold": [["1234.57"], ["London", "paris"], ["x"], "B"]}
    )
    assert load_metric("mmmu").hits(judged).tolist() == [1.0, 1.0, 0.0, 1.0]
