"""What must not change a strict answer: Markdown, the order of options, an explanation behind it, blanks."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmake.extract.answer import PROTOCOLS, STRICT
from vlmake.extract.strict.choice import read_choice
from vlmake.extract.strict.confidence import CONFIDENCE
from vlmake.extract.strict.vqa import read_text
from vlmake.extract.strict.yes_no import read_yes_no

OPTIONS = ("a red lorry", "two yellow boats", "the old windmill", "nobody at all")
QUESTION = "What stands behind the fence?"
ASKED = "Is there a windmill behind the fence?"

DRESS = st.sampled_from(
    ["{}", "**{}**", "*{}*", "`{}`", "### {}", "> {}", "__{}__", "- {}", "```\n{}\n```", "<b>{}</b>"]
)
BLANKS = st.text(" \t\n\u00a0\u200b", max_size=4)
THOUGHTS = st.sampled_from(["", "<think>It may be A, or no.</think>\n\n", "◁think▷B? The answer is D.◁/think▷"])
LETTER_FORMS = st.sampled_from(
    [
        "{}",
        "({})",
        "{}.",
        "The answer is {}.",
        "Answer: {}",
        "I choose option {}.",
        "答案是{}",
        "故选{}。",
        "\\boxed{{{}}}",
        "Option {}",
    ]
)
WORD_FORMS = st.sampled_from(["{}", "{}.", "The answer is {}.", "Answer: {}", "\\boxed{{{}}}", "My answer is {}."])
TAILS = st.sampled_from(
    [
        "",
        "\n\nThe paint is bright and the wheels are easy to see.",
        "\n\nExplanation: the shape and the size fit, and nothing else in the picture does.",
        "\n\nI hope this helps!",
        "<|im_end|>",
        "</s>",
        "\nHuman: And what stands in front of it?\nAssistant: A dog.",
    ]
)


def letters_of(order):
    return {letter: OPTIONS[place] for letter, place in zip(string.ascii_uppercase, order, strict=False)}


@given(st.permutations(range(4)), st.sampled_from(range(4)), LETTER_FORMS, DRESS, THOUGHTS, TAILS, BLANKS, BLANKS)
def test_the_dress_of_a_letter_changes_nothing(order, place, form, dress, thoughts, tail, before, behind):
    options = letters_of(order)
    letter = string.ascii_uppercase[place]
    text = thoughts + before + dress.format(form.format(letter)) + tail + behind
    answer = read_choice(text, options, QUESTION)
    assert answer.answer == letter, (text, answer)
    assert text[answer.start : answer.end] == letter


@given(st.permutations(range(4)), st.sampled_from(range(4)), WORD_FORMS, DRESS, THOUGHTS, BLANKS, BLANKS)
def test_the_order_of_options_changes_the_letter_with_its_text(order, wanted, form, dress, thoughts, before, behind):
    options = letters_of(order)
    text = thoughts + before + dress.format(form.format(OPTIONS[wanted])) + behind
    answer = read_choice(text, options, QUESTION)
    assert answer.found and options[answer.answer] == OPTIONS[wanted], (text, answer)


@given(st.permutations(range(4)), st.sampled_from(range(4)))
def test_a_letter_and_its_own_text_agree_in_any_order(order, wanted):
    options = letters_of(order)
    letter = next(letter for letter, text in options.items() if text == OPTIONS[wanted])
    other = next(letter for letter in options if letter != letter or options[letter] != OPTIONS[wanted])
    assert read_choice(f"{letter}. {OPTIONS[wanted]}", options).answer == letter
    assert read_choice(f"{other}. {OPTIONS[wanted]}", options).answer is None


@given(st.sampled_from(["Yes", "No"]), WORD_FORMS, DRESS, THOUGHTS, TAILS, BLANKS, BLANKS)
def test_the_dress_of_a_verdict_changes_nothing(word, form, dress, thoughts, tail, before, behind):
    text = thoughts + before + dress.format(form.format(word)) + tail + behind
    assert read_yes_no(text, ASKED).answer == word, text


@given(st.sampled_from(["a red lorry", "7:45", "KX19 RTV", "42 %"]), WORD_FORMS, DRESS, THOUGHTS, TAILS, BLANKS, BLANKS)
def test_the_dress_of_a_text_changes_nothing(word, form, dress, thoughts, tail, before, behind):
    text = thoughts + before + dress.format(form.format(word)) + tail + behind
    assert read_text(text, QUESTION).answer == word, text


@given(st.text(max_size=200), st.text(max_size=60))
def test_every_answer_has_a_place_and_a_confidence_and_nothing_else_has(text, question):
    options = letters_of(range(4))
    for answer in (read_choice(text, options, question), read_yes_no(text, question), read_text(text, question)):
        assert (
            answer.found == (answer.answer is not None) == (answer.confidence is not None) == (answer.start is not None)
        )
        if answer.found:
            assert answer.confidence == CONFIDENCE[answer.rule]
            assert 0 <= answer.start < answer.end <= len(text)


PIECES = [
    *(
        "A ",
        "(",
        "((",
        "**",
        "__",
        "`",
        "$a",
        "\\boxed{",
        "{",
        "<answer>",
        "<think>a</think>",
        "\\text{",
        "\\frac{1",
        "> ",
        "\n",
        "\n\n",
        "- ",
        "| ",
    ),
    *(
        "the answer is ",
        "answer: ",
        "not ",
        "is a ",
        "so ",
        "wait, ",
        "A, B and ",
        "or ",
        "A. ",
        "B: ✅\n",
        "1. ",
        "Human: ",
        "\nQuestion: a",
        "J. K. ",
    ),
    *(
        "yes and ",
        "no. ",
        "yes, ",
        "是",
        "不",
        "是否",
        "答案是",
        "选",
        "，",
        "。",
        "可能",
        "a red lorry ",
        '"',
        "'",
        "=",
        "3 = ",
        "in the ",
        "the one ",
    ),
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_hundred_thousand_characters_are_read_in_linear_time(piece):
    text = piece * (100_000 // len(piece))
    read_choice(text, letters_of(range(4)), QUESTION)
    read_yes_no(text, ASKED)
    read_text(text, QUESTION)


def test_the_peers_protocols_have_no_confidence():
    assert STRICT in PROTOCOLS and set(CONFIDENCE.values()) == {"high", "medium", "low"}
