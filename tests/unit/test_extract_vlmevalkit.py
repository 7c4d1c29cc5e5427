import pandas as pd
import pytest

from vlmake.extract import multiple_choice, yes_no
from vlmake.extract.vlmevalkit_view import as_text, has_formula, read_as_tsv, through_spreadsheet
from vlmake.extract.vqa import gold_texts
from vlmake.extract.vqa_text import strip_punctuation

ANIMALS = {"A": "dog", "B": "cat", "C": "horse", "D": "sheep"}


@pytest.mark.parametrize(
    ("text", "main", "ms"),
    [
        ("(A) dog", "A", "A"),
        ("B) cat", "B", "B"),
        ("The answer is (C).", "C", "C"),
        ("**B**", "B", "B"),
        ("\\boxed{C}", "C", "C"),
        ("A dog", "A", "A"),
        ("B or C", None, None),
        ('"B"', None, None),
        ("a", None, None),
        ("答案是B", None, None),
        ("B: because it shows a very long explanation of the thing", None, None),
        ("The answer is cat", "C", "B"),
        ("The answer is a horse", "A", "C"),
        ("The correct answer is bird", "B", None),
        ("The correct answer is **B**. Here is why: it shows a thing in the middle of it.", "B", None),
        ("Z", "Z", "Z"),
        ("I can't process this file.", "Z", "Z"),
        ("Failed to obtain answer via API.", None, None),
        ("nan", None, None),
    ],
)
def test_can_infer(text, main, ms):
    for declared, expected in ((True, main), (False, ms)):
        answer = multiple_choice.read_as_vlmevalkit(text, text, ANIMALS, declared)
        assert (answer.answer, answer.found) == (expected, expected is not None)


def test_an_empty_prediction_matches_an_option_called_n():
    answer = multiple_choice.read_as_vlmevalkit("nan", None, {"A": "n", "B": "xyz"}, True)
    assert (answer.answer, answer.start) == ("A", None)


def test_the_place_of_a_letter():
    text = "The answer is (C)."
    answer = multiple_choice.read_as_vlmevalkit(text, text, ANIMALS, True)
    assert text[answer.start : answer.end] == "C"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, "Yes") for text in ("Yes.", '"Yes"', "(Yes)", "YES!!", "yes-thing", "Yes, it is.", "Not yes")),
        *((text, "No") for text in ("No, it isn't", "The answer is no.", "no-thing")),
        *(
            (text, "Unknown")
            for text in ("**Yes**", "Yes:", "Yes/No", "“Yes”", "是的", "", "nan", "know", "yes and no")
        ),
    ],
)
def test_yes_no(text, expected):
    assert yes_no.read_as_vlmevalkit(text, text).answer == expected


def test_punctuation():
    assert strip_punctuation("a-b") == "a b"
    assert strip_punctuation("a- b-c") == "a bc"
    assert strip_punctuation("1,000;x") == "1000x"
    assert strip_punctuation("5. a.b 1.5") == "5. ab 1.5"
    assert strip_punctuation("." * 40) == "." * 8


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("red", ["red"]),
        ("['a', 'b']", ["a", "b"]),
        ("[1, 2.5]", ["1", "2.5"]),
        ("[]", ["[]"]),
        ("[__import__('os')]", ["[__import__('os')]"]),
        ("[" * 5000, ["[" * 5000]),
        ("['a", ["['a"]),
    ],
)
def test_gold_lists_are_read_and_never_run(cell, expected):
    assert gold_texts(cell) == expected


def seen(texts: list[str | None], formulas: bool = False) -> list[str]:
    empty = pd.DataFrame(index=range(len(texts)))
    return as_text(through_spreadsheet(empty.assign(answer="x"), texts, formulas)["prediction"])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["NA", "None", "x", None, ""], ["nan", "nan", "x", "nan", "nan"]),
        (["007", "8"], ["7", "8"]),
        (["7", None], ["7.0", "nan"]),
        (["7", "x"], ["7", "x"]),
        (["TRUE", "false"], ["True", "False"]),
        (["=1+1", "x"], ["=1+1", "x"]),
        (["a\x01b", "c\rd"], ["a_x0001_b", "c_x000D_d"]),
        (["http://x/" + "y" * 2100, "http://a.b"], ["nan", "http://a.b"]),
        (["mailto:a@b.c", "x"], ["a@b.c", "x"]),
        (["x" * 40_000, "y"], ["x" * 32_767, "y"]),
        (["_x0041_", "y"], ["_x0041_", "y"]),
        (["1e400", "2"], ["inf", "2.0"]),
    ],
)
def test_what_a_spreadsheet_does_to_predictions(texts, expected):
    assert seen(texts) == expected


def test_formulas_become_zero_in_one_release_only():
    assert seen(["=1+1", "x"], formulas=True) == ["0", "x"]
    assert seen(["=1+1", "2"], formulas=True) == ["0", "2"]
    frame = pd.DataFrame({"answer": ["x"]})
    assert has_formula(frame, ["=1"]) and not has_formula(frame, ["1="])


def test_what_pandas_does_to_a_benchmark():
    samples = pd.DataFrame(
        {
            "A": ["4", None, "5"],
            "B": ["007", "1", "2"],
            "C": ["NA", "cat", "None"],
            "answer": ["A", "N/A", "null"],
            "note": ["x", "y", "z"],
        }
    )
    view = read_as_tsv(samples)
    assert as_text(view["A"]) == ["4.0", "nan", "5.0"]
    assert as_text(view["B"]) == ["7", "1", "2"]
    assert as_text(view["C"]) == ["nan", "cat", "nan"]
    assert "note" not in view
    assert as_text(through_spreadsheet(view, ["x", "y", "z"], False)["A"]) == ["4.0", "nan", "5.0"]


def test_quotes_tabs_and_line_ends_survive():
    texts = ['say "hi"', "a\tb", "c\nd", "e\r\nf", " lead", "\\"]
    assert as_text(read_as_tsv(pd.DataFrame({"answer": texts}))["answer"]) == texts


def test_no_rows():
    assert through_spreadsheet(read_as_tsv(pd.DataFrame({"answer": []})), [], False).empty
