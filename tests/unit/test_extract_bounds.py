"""Reading takes time in proportion to a text's length, whatever a model writes; CPU time is compared, not measured."""

import json
import time
from pathlib import Path

import pytest

from vlmake.extract import multiple_choice, yes_no
from vlmake.extract.maths import read_bare
from vlmake.extract.strict.bounds import ALIKE, BLANKS, END, START, bounded, with_short_runs
from vlmake.extract.strict.choice import read_choice
from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.reading import final_text
from vlmake.extract.strict.vqa import read_text
from vlmake.extract.strict.yes_no import read_yes_no
from vlmake.extract.vqa_normalise import normalise_answer

CORPUS = Path(__file__).parents[2] / "tests" / "data" / "extraction"
OPTIONS = {"A": "a red lorry", "B": "two yellow boats", "C": "the old windmill", "D": "nobody at all"}
QUESTION = "What stands behind the fence?"
ASKED = "Is there a windmill behind the fence?"
READERS = {
    "read_choice": lambda text: read_choice(text, OPTIONS, QUESTION),
    "read_yes_no": lambda text: read_yes_no(text, ASKED),
    "read_text": lambda text: read_text(text, QUESTION),
    "read_bare": read_bare,
    "multiple_choice_as_vlmevalkit": lambda text: multiple_choice.read_as_vlmevalkit(text, text, OPTIONS, True),
    "yes_no_as_vlmevalkit": lambda text: yes_no.read_as_vlmevalkit(text, text),
    "normalise_answer": normalise_answer,
}
FRAMES = ("The answer is{}B.", "I think the windmill{}the old windmill is there.", 'The answer is "{}')
PATTERNS = (
    *(" ", "\t", "\t ", "\n", "\r\n", " \n\t", "\u00a0", "\u3000", "\u200b ", "``` \n", "\\ ", "\\,"),
    *(".", "…", "… ", "!?", "?!.", ". . ", "-", "- ", "=", "~~", "_", "*", "* ", "**", "** ", "`", "#", "> ", "| "),
    *(
        "(",
        "[",
        "{",
        ")",
        "()",
        '"',
        '""',
        "'",
        "“",
        "1",
        "1,",
        "12 + ",
        "3:45 ",
        "$",
        "$a",
        "\\",
        "\\boxed{",
        "\\frac{",
    ),
    *("a", "Answer", "A A ", "(A) ", "A, ", "A\n", "A. ", "J. K. ", "a? ", "not not ", "answer is ", "the answer is "),
    *("if it ", "No, ", "yes or no ", "Some say B. ", "and the ", "3 = ", "red, ", '"a": ', "x = 1, ", "- A\n"),
    *("一", "是否", "不是A，", "答案是", "，", "。！", "如果", "选项A", "é", "😀", "✗ ", "a中😀", "ﷺ", "½"),
    *("<think>", "</think>", "<answer>", "<answer></answer>", "<|", "<b>", "\nHuman:", "\nQ:", "[INST]"),
    *("\ue000", "\ue000\ue001", "\ue002a\ue003"),
)
LENGTH = 800  # characters of the shorter text: a quadratic reader takes tenths of a second for the longer one
SLACK = 0.06  # seconds of CPU time that say nothing


def seconds(reader, text):
    start = time.process_time()
    reader(text)
    return time.process_time() - start


def is_linear(reader, pattern, frame, attempt):
    """Whether four times the text takes less than eight times as long; every attempt reads texts of its own."""
    pieces = LENGTH // len(pattern) + attempt
    short, long = (frame.format(pattern * count) for count in (pieces, 4 * pieces))
    return seconds(reader, long) < 8 * seconds(reader, short) + SLACK


@pytest.mark.parametrize("name", READERS)
def test_four_times_the_text_takes_at_most_eight_times_as_long(name):
    assert len(set(PATTERNS)) >= 40
    slow = [
        (pattern, frame)
        for pattern in PATTERNS
        for frame in FRAMES
        if not any(is_linear(READERS[name], pattern, frame, attempt) for attempt in range(3))
    ]
    assert not slow


@pytest.mark.parametrize("pattern", ["\t ", "a", "**", "$a", "<think>", "</think>", "<answer>", "[INST]"])
def test_a_million_characters_take_hardly_longer_than_a_hundred_thousand(pattern):
    for reader in (read_choice, read_yes_no, read_text):
        args = (OPTIONS,) if reader is read_choice else ()
        short, long = (f"I see{pattern * (length // len(pattern))} B." for length in (100_000, 1_000_000))
        assert seconds(lambda text, own=reader, rest=args: own(text, *rest, ASKED), long) < 1.5 + 16 * seconds(
            lambda text, own=reader, rest=args: own(text, *rest, ASKED), short
        )


def whole(text):
    return Plain(text, range(len(text)))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a" + " " * 50 + "b", "a" + " " * BLANKS + "b"),
        ("a" + " \t" * 50 + "b", "a" + " \t" * (BLANKS // 2) + "b"),
        ("a" + " " * 50 + "\n" + " " * 50 + "b", "a\nb"),
        ("a" + "\n" * 50 + "b", "a\n\nb"),
        ("a" + "-" * 50 + "b", "a" + "-" * ALIKE + "b"),
        ("a" + "?!" * 50 + "b", "a" + "?!" * (ALIKE // 2) + "b"),
        ("a" * 50, "a" * 50),
        ("7" * 50, "7" * 50),
        ("a" + " " * BLANKS + "-" * ALIKE, "a" + " " * BLANKS + "-" * ALIKE),
    ],
)
def test_long_runs_become_short_and_places_stay_true(text, kept):
    plain = with_short_runs(whole(text))
    assert plain.text == kept and len(plain.places) == len(kept)
    assert list(plain.places) == sorted(plain.places)
    assert all(text[place] == letter for place, letter in zip(plain.places, kept, strict=True) if letter != "\n")


def test_an_endless_answer_is_read_at_its_beginning_and_its_end():
    text = "".join(f"{number} " for number in range(20_000))
    plain = bounded(whole(text))
    assert plain.text == text[:START] + "\n\n" + text[-END:]
    assert [text[place] for place in plain.places[-END:]] == list(text[-END:])
    assert bounded(whole(text[: START + END])).text == text[: START + END]


@pytest.mark.parametrize("blanks", [" " * 5_000, "\t " * 5_000, "\n" * 5_000])
def test_blanks_around_an_answer_move_only_its_place(blanks):
    text = f"{blanks}The answer is{blanks}B{blanks}."
    answer = read_choice(text, OPTIONS, QUESTION)
    assert answer.answer == "B" and text[answer.start : answer.end] == "B"


def test_an_answer_behind_endless_rambling_is_found_at_its_place():
    text = "It is a long road. " * 10_000 + "\nThe answer is B."
    answer = read_choice(text, OPTIONS, QUESTION)
    assert answer.answer == "B" and answer.start == len(text) - 2


def test_no_line_of_the_corpus_is_cut():
    lines = [line for file in sorted(CORPUS.glob("*/*.jsonl")) for line in file.open(encoding="utf-8")]
    predictions = [text for line in lines if (text := json.loads(line)["prediction"])]
    assert len(predictions) > 4_000
    assert all(bounded(whole(text)).text == text for text in predictions)
    assert all(bounded(final_text(text).plain) is final_text(text).plain for text in predictions)
