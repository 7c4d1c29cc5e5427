"""Labelled answers as a careful reader takes them; None is unresolved."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmake.extract.strict.choice import read_choice
from vlmake.extract.strict.reading import final_text
from vlmake.extract.strict.vqa import read_text
from vlmake.extract.strict.yes_no import read_yes_no

ANIMALS = {"A": "dog", "B": "cat", "C": "horse", "D": "sheep"}
CHINESE = {"A": "狗", "B": "猫", "C": "马", "D": "羊"}
NUMBERS = {"A": "1", "B": "10", "C": "100", "D": "1.5"}
COLOURS = {"A": "red", "B": "blue", "C": "red and blue", "D": "green"}
VERDICTS = {"A": "Yes", "B": "No"}
PHRASES = {"A": "a man riding a horse", "B": "a man feeding a horse", "C": "It cannot be determined.", "D": "the sea"}

CHOICES = [
    # A letter alone.
    ("B", ANIMALS, "B"),
    ("b", ANIMALS, "B"),
    ("(B)", ANIMALS, "B"),
    ("（B）", ANIMALS, "B"),
    ("B.", ANIMALS, "B"),
    (" B \n", ANIMALS, "B"),
    ("[C]", ANIMALS, "C"),
    ("<C>", ANIMALS, "C"),
    ("$C$", ANIMALS, "C"),
    ("`C`", ANIMALS, "C"),
    ('"D"', ANIMALS, "D"),
    ("“D”", ANIMALS, "D"),
    ("**D**", ANIMALS, "D"),
    ("**D.**", ANIMALS, "D"),
    ("Ｂ", ANIMALS, "B"),
    ("B\u200b", ANIMALS, "B"),
    ("\ufeffB", ANIMALS, "B"),
    ("a", ANIMALS, "A"),
    ("A", ANIMALS, "A"),
    ("Option C", ANIMALS, "C"),
    ("Answer: B", ANIMALS, "B"),
    ("选项C", ANIMALS, "C"),
    ("B<|im_end|>", ANIMALS, "B"),
    ("C</s>", ANIMALS, "C"),
    ("E", ANIMALS, None),
    ("Z", ANIMALS, None),
    # Boxes and tags.
    ("\\boxed{A}", ANIMALS, "A"),
    ("The answer is $\\boxed{\\text{C}}$.", ANIMALS, "C"),
    ("\\boxed{cat}", ANIMALS, "B"),
    ("First \\boxed{A}, corrected: \\boxed{D}", ANIMALS, "D"),
    ("<answer>B</answer>", ANIMALS, "B"),
    ("<think>It may be A or C.</think><answer>B</answer>", ANIMALS, "B"),
    # Reasoning.
    ("<think>A? No, the answer is C.</think>B", ANIMALS, "B"),
    ("A, no, wait.</think>\n\nThe answer is D.", ANIMALS, "D"),
    ("<think>The answer is C", ANIMALS, None),
    ("<think></think>", ANIMALS, None),
    ("◁think▷maybe A◁/think▷C", ANIMALS, "C"),
    # A label and its text.
    ("B. cat", ANIMALS, "B"),
    ("B) cat", ANIMALS, "B"),
    ("(B) cat", ANIMALS, "B"),
    ("B: because it has whiskers and the others do not.", ANIMALS, "B"),
    ("B\n\nBecause there is a dog in the left part of the image.", ANIMALS, "B"),
    ("B、猫", CHINESE, "B"),
    ("B - cat", ANIMALS, "B"),
    ("B because the animal purrs", ANIMALS, "B"),
    ("Option A: dog", ANIMALS, "A"),
    ("b) cat", ANIMALS, "B"),
    ("B. horse", ANIMALS, None),
    ("A. dog\nB. cat\nC. horse\nD. sheep", ANIMALS, None),
    ("A, B and C are all possible", ANIMALS, None),
    # Declarations.
    ("The answer is B", ANIMALS, "B"),
    ("The answer is B.", ANIMALS, "B"),
    ("The answer is (B) cat.", ANIMALS, "B"),
    ("the correct answer is option c.", ANIMALS, "C"),
    ("Final answer: D", ANIMALS, "D"),
    ("**Answer:** D", ANIMALS, "D"),
    ("### Answer\nThe best choice is **C**", ANIMALS, "C"),
    ("The correct answer is **B**. Here is why: A and C do not fit.", ANIMALS, "B"),
    ("The correct answer is:\n\nB. cat", ANIMALS, "B"),
    ("The answer is A because it barks", ANIMALS, "A"),
    ("The answer is cat", ANIMALS, "B"),
    ("The answer is a horse", ANIMALS, "C"),
    ("The answer is definitely a dog", ANIMALS, "A"),
    ("The correct answer is clearly visible: a dog.", ANIMALS, "A"),
    ("The correct answer is a dog", ANIMALS, "A"),
    ("The correct answer is bird", ANIMALS, None),
    ("I first thought the answer is A. But the answer is C.", ANIMALS, "C"),
    ("The answer is B, not A.", ANIMALS, "B"),
    ("The answer is not B. The answer is C.", ANIMALS, "C"),
    ("The answer is not B.", ANIMALS, None),
    ("The answer is B or C", ANIMALS, None),
    ("The answer is A and C.", ANIMALS, None),
    ("The answer is E.", ANIMALS, None),
    ("The answer is unclear.", ANIMALS, None),
    ("I would go with C.", ANIMALS, "C"),
    ("I choose (D).", ANIMALS, "D"),
    ("B is correct.", ANIMALS, "B"),
    ("Option C is the best answer.", ANIMALS, "C"),
    ("(D) is the right choice because of the wool", ANIMALS, "D"),
    ("Let me think. First the left, then the right one. Final answer: B", ANIMALS, "B"),
    ("It purrs, so B", ANIMALS, "B"),
    ("A zebra is seen, so C", ANIMALS, "C"),
    ("答案是B", CHINESE, "B"),
    ("答案：B。", CHINESE, "B"),
    ("答案为 C", CHINESE, "C"),
    ("正确答案是（D）羊", CHINESE, "D"),
    ("选B", CHINESE, "B"),
    ("故选C。", CHINESE, "C"),
    ("我选择D，因为有羊毛", CHINESE, "D"),
    ("正确选项是A", CHINESE, "A"),
    ("答案是猫", CHINESE, "B"),
    ("不选B", CHINESE, None),
    ("答案不是B", CHINESE, None),
    ("不选A，选C", CHINESE, "C"),
    ("选项B是正确的", CHINESE, "B"),
    ("因此，答案是 **C**。", CHINESE, "C"),
    # Letters that are words.
    ("A dog", ANIMALS, "A"),
    ("A cat", ANIMALS, "B"),
    ("A teddy bear", {"A": "truck", "B": "ball", "C": "doll", "D": "teddy bear"}, "D"),
    ("A photo of nothing we know", ANIMALS, None),
    ("Vitamin A", {"A": "vitamin C", "B": "vitamin A", "C": "iron"}, "B"),
    ("Vitamin A", ANIMALS, None),
    ("It's B", ANIMALS, "B"),
    ("I think it is C.", ANIMALS, "C"),
    ("probably B", ANIMALS, "B"),
    ("I", {**ANIMALS, "I": "fish"}, "I"),
    ("I see a cat", {**ANIMALS, "I": "fish"}, "B"),
    ("A A A", ANIMALS, "A"),
    ("C A C", ANIMALS, None),
    ("A or C", ANIMALS, None),
    ("Either B or D", ANIMALS, None),
    ("Not B", ANIMALS, None),
    ("not B, not C", ANIMALS, None),
    # The option's text.
    ("cat", ANIMALS, "B"),
    ("CAT!", ANIMALS, "B"),
    ("It looks like a dog to me", ANIMALS, "A"),
    ("It is not a dog, it is a cat", ANIMALS, "B"),
    ("There is no dog here but a horse", ANIMALS, "C"),
    ("a dog and a cat", ANIMALS, None),
    ("category", ANIMALS, None),
    ("这是一只猫", CHINESE, "B"),
    ("不是狗，是马", CHINESE, "C"),
    ("10", NUMBERS, "B"),
    ("There are 100 of them", NUMBERS, "C"),
    ("1.5", NUMBERS, "D"),
    ("1000", NUMBERS, None),
    ("red and blue", COLOURS, "C"),
    ("It is red and blue.", COLOURS, "C"),
    ("red", COLOURS, "A"),
    ("Yes, it is.", VERDICTS, "A"),
    ("No", VERDICTS, "B"),
    ("A man feeding a horse", PHRASES, "B"),
    ("It cannot be determined", PHRASES, "C"),
    ("dog", {"A": "dog", "B": "dog"}, None),
    # Nothing, and refusals.
    ("", ANIMALS, None),
    ("   ", ANIMALS, None),
    (None, ANIMALS, None),
    ("Sorry, I can't help with images of people yet.", ANIMALS, None),
    ("I'm sorry, but I cannot choose option A.", ANIMALS, None),
    ("Failed to obtain answer via API.", ANIMALS, None),
    ("无法确定", CHINESE, None),
    ("none of the above", ANIMALS, None),
    ("B", {}, None),
]

YES_NO = [
    ("Yes", "Yes"),
    ("yes.", "Yes"),
    ("No", "No"),
    ("NO!", "No"),
    ("**Yes**", "Yes"),
    ("*No*", "No"),
    ("Yes:", "Yes"),
    ("“Yes”", "Yes"),
    ("(No)", "No"),
    ("Ｙｅｓ", "Yes"),
    ("Yes—there is one", "Yes"),
    ("Yes, it is.", "Yes"),
    ("No, it isn't.", "No"),
    ("No there is not", "No"),
    ("Yes, no problem: there is a dog.", "Yes"),
    ("No doubt about it, yes.", "Yes"),
    ("True", "Yes"),
    ("Correct.", "Yes"),
    ("That is correct.", "Yes"),
    ("That is not correct.", "No"),
    ("False.", "No"),
    ("The answer is yes.", "Yes"),
    ("Answer: No", "No"),
    ("The answer to the question is no, because it is a cat.", "No"),
    ("I first said yes. The answer is no.", "No"),
    ("\\boxed{Yes}", "Yes"),
    ("\\boxed{\\text{No}}", "No"),
    ("<think>No, hmm.</think>Yes", "Yes"),
    ("<think>The answer is yes", None),
    ("Yes; yes or no? Yes", "Yes"),
    ("No; yes or no? No", "No"),
    ("yes and no", None),
    ("Yes or no", None),
    ("Yes/No", None),
    ("Yes. No.", None),
    ("Not yes", None),
    ("The answer is not yes.", None),
    ("Not sure", None),
    ("I know nothing.", None),
    ("no-thing", None),
    ("yes-thing", None),
    ("There was a death notice.", None),
    ("是", "Yes"),
    ("是的", "Yes"),
    ("是的，图中有一只狗。", "Yes"),
    ("对", "Yes"),
    ("否", "No"),
    ("不是", "No"),
    ("不是。", "No"),
    ("没有", "No"),
    ("没有，图中没有狗。", "No"),
    ("错", "No"),
    ("错误。", "No"),
    ("答案是：是", "Yes"),
    ("答案是否", None),  # "the answer is no", and as much "whether the answer is"
    ("答案：否。", "No"),
    ("答案是 Yes", "Yes"),
    ("是否", None),
    ("", None),
    (None, None),
    ("Failed to obtain answer via API.", None),
]

TEXTS = [
    ("ABC", "ABC"),
    ("**ABC**", "ABC"),
    ("The answer is ABC.", "ABC"),
    ("The answer is: **ABC**", "ABC"),
    ("Answer: ABC", "ABC"),
    ('"ABC"', "ABC"),
    ("`ABC`", "ABC"),
    ("\\boxed{ABC}", "ABC"),
    ("<think>It reads XYZ.</think>ABC", "ABC"),
    ("<think>It reads XYZ.", None),
    ("<answer>ABC</answer>", "ABC"),
    ('It says "ABC".', "ABC"),
    ("The word is ABC.", "ABC"),
    ('The text in the image reads "ABC"', "ABC"),
    ("The letters are: ABC", "ABC"),
    ("答案是ABC。", "ABC"),
    ("图中的文字是ABC", "ABC"),
    ("The image shows a red sign.\nThe answer is ABC.", "ABC"),
    ("The Art of War", "The Art of War"),
    ("Cookbooks, Food & Wine", "Cookbooks, Food & Wine"),
    ("The  Art\nof War", "The Art of War"),
    ("1,234", "1,234"),
    ("$12.50", "$12.50"),
    ("$12$", "12"),
    ("\\$12.50", "$12.50"),
    ("snake_case_name", "snake_case_name"),
    ("?", "?"),
    ("", None),
    (" \n", None),
    (None, None),
]


def test_the_tables_are_large_enough():
    assert len(CHOICES) + len(YES_NO) + len(TEXTS) >= 220


@pytest.mark.parametrize(("text", "options", "expected"), CHOICES)
def test_choice(text, options, expected):
    answer = read_choice(text, options)
    assert (answer.answer, answer.found) == (expected, expected is not None), answer
    assert_place(text, answer)


@pytest.mark.parametrize(("text", "expected"), YES_NO)
def test_yes_no(text, expected):
    answer = read_yes_no(text)
    assert (answer.answer, answer.found) == (expected, expected is not None), answer
    assert_place(text, answer)


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_text(text, expected):
    answer = read_text(text)
    assert (answer.answer, answer.found) == (expected, expected is not None), answer
    assert_place(text, answer)


def assert_place(text, answer):
    """A found answer has a place, and an unresolved one has none."""
    assert (answer.start is not None) == answer.found
    if answer.found:
        assert 0 <= answer.start < answer.end <= len(text)
        assert text[answer.start : answer.end].strip()


@pytest.mark.parametrize(
    ("text", "question", "expected"),
    [
        ("There is no dog in the image.", "Is there a dog in the image?", "No"),
        ("There is a dog on the left.", "Is there a dog in the image?", "Yes"),
        ("There isn't a dog.", "Is there a dog in the image?", "No"),
        ("There is a cat.", "Is there a dog in the image?", None),
        ("There is no dog.", "Does the image lack a dog?", None),
        ("There is no dog.", None, None),
    ],
)
def test_a_statement_answers_a_question_about_the_same_thing(text, question, expected):
    assert read_yes_no(text, question).answer == expected


@pytest.mark.parametrize(
    "text", ["The answer is **B**.", "`b`", "\\boxed{\\text{B}}", "答案是 Ｂ。", "<think>A</think> (B)"]
)
def test_the_place_is_the_letter_in_the_text_as_written(text):
    answer = read_choice(text, ANIMALS)
    assert text[answer.start : answer.end] in ("B", "b", "Ｂ")


@pytest.mark.parametrize("letter", "ABCD")
@pytest.mark.parametrize(
    "form",
    ["{}", "({})", "**{}**", "Answer: {}", "The answer is {}.", "答案是{}", "{}. Because it is so.", "\\boxed{{{}}}"],
)
def test_dress_and_explanation_change_nothing(letter, form):
    assert read_choice(form.format(letter), ANIMALS).answer == letter
    assert read_choice(f"<think>A or B or C or D?</think>\n\n{form.format(letter)}", ANIMALS).answer == letter


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(text):
    for answer in (read_choice(text, ANIMALS), read_yes_no(text, "Is there a dog?"), read_text(text)):
        assert answer.found == (answer.answer is not None)
        if answer.start is not None:
            assert 0 <= answer.start < answer.end <= len(text)
    final = final_text(text)
    assert len(final.plain.text) == len(final.plain.places)


PIECES = [
    "A",
    "B",
    "(",
    ")",
    " ",
    "\n",
    "dog",
    "cat",
    "not",
    "The answer is",
    "答案是",
    "**",
    "\\boxed{",
    "}",
    ".",
    ",",
    "yes",
    "no",
    "<think>",
    "</think>",
    "是",
    "不",
    "or",
    "İ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_mix_of_known_words_is_read_without_an_error(text):
    read_choice(text, ANIMALS)
    read_yes_no(text, None)
    read_text(text)


def test_long_answers_are_read_in_linear_time():
    for piece in (
        "A ",
        "(",
        "**",
        "the answer is ",
        "\\boxed{",
        "<answer>",
        "not ",
        "是",
        "yes and ",
        "\n",
        "> ",
        "is a ",
    ):
        read_choice(piece * 5_000, ANIMALS)
        read_yes_no(piece * 5_000)
        read_text(piece * 5_000)


def test_options_are_looked_up_as_text_and_not_as_patterns():
    assert read_choice("it is c++", {"A": "c++", "B": "(.*"}).answer == "A"
    assert re.escape("(.*") != "(.*"
