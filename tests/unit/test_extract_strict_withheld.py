"""What a text names without standing behind it, and lists, comparisons and compounds that strict extractors weigh."""

import pytest

from vlmake.extract.strict.asserted import asserted
from vlmake.extract.strict.choice import read_choice
from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.withheld import is_asked, is_conditional, is_denied, is_hearsay, withheld

LETTERS = {"A": "lake", "B": "river", "C": "canal", "D": "sea"}
PETS = {"A": "the cat", "B": "the dog"}


def place(text, named):
    start = text.rindex(named)
    return text, start, start + len(named)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("I don't think it's B.", "B"),
        ("I would not go with B", "B"),
        ("B? No.", "B"),
        ("That is hardly a river", "river"),
        ("B is out.", "B"),
        ("B (incorrect)", "B"),
        ("B ✗", "B"),
        ("It is unlikely that the answer is B", "B"),
        ("不要选B", "B"),
        ("答案不能是B", "B"),
        ("我不认为是B", "B"),
        ("B可以排除", "B"),
    ],
)
def test_it_is_denied(text, named):
    assert is_denied(*place(text, named)) and withheld(*place(text, named))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("No doubt it's B", "B"),
        ("none other than the river", "river"),
        ("not only B", "B"),
        ("If you look closely, it is B", "B"),
        ("If I had to choose, B", "B"),
        ("The answer is B, right?", "B"),
        ("Is it B? Yes.", "B"),
        ("Some say A, but it is B", "B"),
        ("不错,选B", "B"),
        ("有人认为是A,其实是B", "B"),
    ],
)
def test_it_is_said(text, named):
    assert not withheld(*place(text, named))


def test_conditions_hearsay_and_questions_are_told_apart():
    assert is_conditional(*place("If it were salty, the answer would be D", "D"))
    assert is_conditional(*place("It is D only if it is salty", "D only")[:2], 8)
    assert not is_conditional(*place("If it is frozen, we skate: A", "A"), question="What if it is frozen?")
    assert is_hearsay(*place("Many people would say B", "B")) and is_hearsay(*place("乍一看像B", "B"))
    assert is_asked(*place("选A还是选B?", "B")) and not is_asked(*place("It is B.", "B"))


def test_what_nobody_stands_behind_becomes_blanks_and_places_stay():
    text = "Is it a lake? Some say a sea, but it is a river."
    said = asserted(Plain(text, range(len(text))), LETTERS, None)
    assert len(said.text) == len(text) and said.text.strip() == "but it is a river."
    assert said.text.index("river") == text.index("river")


@pytest.mark.parametrize(
    ("text", "options", "question", "expected"),
    [
        ("A ✗ B ✓", LETTERS, None, "B"),
        ("A错B对", LETTERS, None, "B"),
        ('{"A": false, "B": true, "C": false}', LETTERS, None, "B"),
        ("A: 10%, B: 70%, C: 20%", LETTERS, None, None),
        ("A: yes, B: yes, C: no", LETTERS, None, None),
        ("The dog is smaller than the cat.", PETS, "Which is bigger?", "A"),
        ("The cat is bigger than the dog.", PETS, "Which is bigger?", "A"),
        ("The cat is older than the dog.", PETS, "Which is bigger?", None),
        ("The dog is chasing the cat.", PETS, "Which animal is chasing?", "B"),
        ("There are 2 on the left and 3 on the right, 5 in total.", {"A": "2", "B": "3", "C": "5"}, None, "C"),
        ("A sea horse and a hot dog", {"A": "horse", "B": "dog"}, None, None),
        ("一只熊猫", {"A": "猫", "B": "狗"}, None, None),
        ("一只黑猫", {"A": "猫", "B": "狗"}, None, "A"),
        ("A: The water is a canal.", LETTERS, None, "C"),
        ("The answer is C, no, B.", LETTERS, None, "B"),
        ("It's a lake... no, a river.", LETTERS, None, "B"),
        ("Not B, but D.", LETTERS, None, "D"),
        ("Eliminate A, B and C.", LETTERS, None, "D"),
        ("It is not a lake, not a river and not a canal.", LETTERS, None, "D"),
        ("There is no bridge in the image.", {"A": "Yes", "B": "No"}, "Is there a bridge in the image?", "B"),
    ],
)
def test_lists_comparisons_compounds_and_corrections(text, options, question, expected):
    assert read_choice(text, options, question).answer == expected
