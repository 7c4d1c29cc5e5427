"""What a text names is no answer where it stands in a comparison, beside another thing or for another subject."""

import pytest

from vlmake.extract.strict.choice import read_choice
from vlmake.extract.strict.vqa import read_text
from vlmake.extract.strict.yes_no import read_yes_no

ANIMALS = {"A": "Cat", "B": "Dog", "C": "Horse", "D": "Cow"}
COLOURS = {"A": "Red", "B": "Blue", "C": "Green"}
DEEDS = {"A": "Riding a bike", "B": "Walking a dog", "C": "Reading a book"}
NUMBERS = {"A": "3", "B": "4", "C": "5"}
FRUITS = {"A": "苹果", "B": "香蕉"}
ANIMAL, COLOUR = "Which animal is in the picture?", "What color is the car on the left?"


@pytest.mark.parametrize(
    ("question", "options", "prediction"),
    [
        (ANIMAL, ANIMALS, "The animal is about the size of a dog."),
        (ANIMAL, ANIMALS, "A man is walking with his dog's leash in hand."),
        (ANIMAL, ANIMALS, "It isn't B, because a dog would have floppy ears."),
        (ANIMAL, ANIMALS, "This is not a **dog**."),
        (ANIMAL, ANIMALS, "The animal may be a dog or a wolf."),
        (COLOUR, COLOURS, "The car on the right is red."),
        (COLOUR, COLOURS, "The car on the left has a red stripe."),
        (COLOUR, COLOURS, "The car is parked under a green tree."),
        ("What is the man doing?", DEEDS, "The woman is riding a bike."),
        ("What is the man doing?", DEEDS, "The man walks past a child reading a book."),
        ("How many apples are on the table?", NUMBERS, "There are 4 plates on the table."),
        ("How many apples are on the table?", NUMBERS, "There are more than 4 apples."),
        ("图中是什么水果？", FRUITS, "图中的水果比苹果大。"),
    ],
)
def test_an_option_that_is_named_for_another_thing_is_no_answer(question, options, prediction):
    assert read_choice(prediction, options, question).answer is None


@pytest.mark.parametrize(
    ("question", "options", "prediction", "letter"),
    [
        (ANIMAL, ANIMALS, "It looks like a dog to me.", "B"),
        (ANIMAL, ANIMALS, "The animal in the picture is a horse.", "C"),
        (COLOUR, COLOURS, "The car on the left is red.", "A"),
        ("How many apples are on the table?", NUMBERS, "There are 4 red apples on the table.", "B"),
        ("What is the cat next to?", ANIMALS, "The cat is sitting next to a dog.", "B"),
    ],
)
def test_an_option_that_is_said_of_the_thing_asked_for_is_one(question, options, prediction, letter):
    assert read_choice(prediction, options | ({"A": "Mouse"} if "cat" in question else {}), question).answer == letter


@pytest.mark.parametrize(
    ("question", "prediction", "answer"),
    [
        ("Is the door open?", "The window next to the door is open.", None),
        ("Is the car red?", "The car has red lights.", None),
        ("Is the car red?", "The car's interior is red.", None),
        ("Is the man wearing a hat?", "The man next to the woman wearing a hat is smiling.", None),
        ("Did sales increase in 2020?", "Sales increased in 2019.", None),
        ("Is there a dog in the image?", "A woman is looking for her dog.", None),
        ("Is the lamp on?", "The lamp is on the table.", None),
        ("车是红色的吗？", "旁边的公交车是红色的。", None),
        ("Is the car red?", "The car is a red sedan.", "Yes"),
        ("Is the man wearing a hat?", "The man is wearing a straw hat.", "Yes"),
        ("Is the man wearing glasses?", "Yes, he is. The sky is blue. Question: Is it raining? Answer: No.", "Yes"),
    ],
)
def test_a_statement_about_another_thing_says_neither_yes_nor_no(question, prediction, answer):
    assert read_yes_no(prediction, question).answer == answer


@pytest.mark.parametrize(
    ("question", "prediction", "answer"),
    [
        ("What is the price of the burger?", "The fries cost $3.", None),
        ("What is the highest bar?", "The lowest bar is 2019.", None),
        ("What breed is the dog?", "The dog is lying on a carpet.", None),
        ("What is the name of the store?", "The store is located at 5 Main Street.", None),
        ("表格中2020年的销量是多少？", "2019年的销量是300。", None),
        ("What is the combined resistance?", "The two are parallel. So R = 2 Ω. Then, adding the third", None),
        (
            "Which foot is the man kicking the ball with?",
            "The man is kicking the ball with his left foot.",
            "his left foot",
        ),
        ("圆柱的侧面积是多少？", "圆柱侧面积公式：S=2πrh。代入得S=24π。所以侧面积为24π。", "24π"),
    ],
)
def test_a_sentence_about_another_thing_gives_no_open_answer(question, prediction, answer):
    assert read_text(prediction, question).answer == answer
