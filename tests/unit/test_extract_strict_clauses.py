"""The parts of which strict yes-or-no and open reading are made: things that are there, values told apart, frames."""

import pytest

from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.frames_seen import maker_named, reason_given, thing_seen, value_of
from vlmake.extract.strict.statement import polarity
from vlmake.extract.strict.statement_asked import asked_for
from vlmake.extract.strict.statement_things import presence, thing_asked
from vlmake.extract.strict.vqa_across import answer_across
from vlmake.extract.strict.vqa_contrast import colour_of, meant, only_denies, paired, qualified
from vlmake.extract.strict.yes_no_words import verdicts


def plain(text):
    return Plain(text, range(len(text)))


def text_of(part):
    return None if part is None else part.text


@pytest.mark.parametrize(
    ("core", "clause", "said"),
    [
        ("Is there a goat", "There is a goat on the rock", "Yes"),
        ("Is there a goat", "A goat without horns looks up", "Yes"),
        ("Is there a goat", "There is no goat or sheep", "No"),
        ("Is there a goat", "A goat is nowhere to be seen", "No"),
        ("Is there a goat", "The meadow is free of goats", "No"),
        ("Is there a goat", "There is a goat shed", None),
        ("Is there a goat", "There is a statue of a goat", None),
        ("Is there a goat", "The goat's bell hangs on a hook", None),
        ("Is there a person", "A cyclist waits at the light", "Yes"),
        ("Is there a person", "Nobody is in the square", "No"),
        ("有羊", "山坡上有一只羊", "Yes"),
        ("有羊", "图里没有羊", "No"),
        ("有羊", "有一只没戴铃铛的羊", "Yes"),
        ("有羊", "他穿着羊毛衫", None),
    ],
)
def test_a_thing_is_there_when_it_is_named_itself_and_not_denied(core, clause, said):
    thing = thing_asked(core)
    assert thing is not None and presence(clause, thing) == said


@pytest.mark.parametrize(
    ("question", "sentence", "said"),
    [
        ("Is the gate open?", "It's not true that the gate is open.", "No"),
        ("Is the gate open?", "The gate used to be open.", None),
        ("Is the gate open?", "The gate could have been open.", None),
        ("Is the gate open?", "The gate looks open, but it is not.", "No"),
        ("Is the cart green?", "The van is green and the cart is red.", "No"),
        ("Is the jug left of the bowl?", "The bowl is to the left of the jug.", None),
        ("Is the nurse smiling?", "The doctor is smiling.", None),
        ("院子里有鸡吗？", "说院子里没有鸡是不对的。", "Yes"),
    ],
)
def test_a_sentence_answers_only_what_it_stands_behind(question, sentence, said):
    assert polarity(sentence, asked_for(question)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It would be wrong to say yes.", ["No"]),
        ("I can't say yes.", []),
        ("If the lamp is lit, then yes.", []),
        ("You might think no at first, but yes, it is.", ["Yes"]),
        ("No, although it looks like one.", ["No"]),
        ("Yes, if you look closely.", ["Yes"]),
    ],
)
def test_a_verdict_counts_where_the_text_stands_behind_it(text, said):
    assert [verdict.answer for verdict in verdicts(text, "Is this a lark?")] == said


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("not 5 but 6", "6"),
        ("It isn't Mill Lane, it's Mill Road.", "Mill Road"),
        ("不是梨，而是桃", "桃"),
        ("not 5", None),
        ("not only red but bright red", None),
    ],
)
def test_what_is_put_in_the_place_of_what_is_denied(text, instead):
    assert text_of(meant(plain(text.replace("，", ",")))) == instead


def test_a_text_that_only_denies_gives_no_answer():
    assert only_denies("The answer is not 5.") and only_denies("答案不是5。") and not only_denies("The answer is 5.")


@pytest.mark.parametrize(
    ("question", "text", "value"),
    [
        ("What was the yield in 2020?", "In 2019 it was 10, in 2020 15.", "15"),
        ("What is the lowest mark?", "Highest 45, lowest 12.", "12"),
        ("How much is it now?", "It was $10 but is now $8.", "$8"),
        ("What was the old price?", "It was $10 but is now $8.", "$10"),
        ("What is the current price?", "The price dropped from $45 to $32.", "$32"),
        ("原价是多少？", "原价99元,现价69元。", "99元"),
        ("What is the yield?", "The yield is 15.", None),
    ],
)
def test_the_qualifier_of_the_question_tells_values_apart(question, text, value):
    assert text_of(qualified(plain(text), question)) == value


def test_the_label_of_the_question_tells_pairs_apart():
    assert text_of(paired(plain("Home 3, Guest 1"), "What is the score of the home team?")) == "3"
    assert paired(plain("Home 3"), "What is the score of the home team?") is None


@pytest.mark.parametrize(
    ("question", "text", "colour"),
    [
        ("What color is the man's hat?", "The man in the blue hat wears a red shirt.", "blue"),
        ("What color is the man's shirt?", "The man in the blue hat wears a red shirt.", "red"),
        ("What colour is the sofa?", "A black cat is lying on the sofa.", ""),
        ("What colour is the sofa?", "Green", None),
        ("他戴的是什么颜色的帽子？", "他戴着一顶黑色的帽子。", "黑色"),
    ],
)
def test_a_colour_belongs_to_the_thing_it_stands_with(question, text, colour):
    assert text_of(colour_of(plain(text), question)) == colour


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        ("Who is the author?", "论文作者是 Yuki Tanaka.", "Yuki Tanaka"),
        ("这家店叫什么？", 'It\'s called "Sunny Mart".', "Sunny Mart"),
        ("Who is the author?", "The author is Yuki Tanaka.", None),
        ("Where is the title?", "书名位于封面上。", None),
    ],
)
def test_a_sentence_in_another_language_answers_with_its_value(question, text, answer):
    assert text_of(answer_across(plain(text), question)) == answer


def test_frames_of_things_makers_reasons_and_values():
    shelf = "What brand of soda is on the shelf?"
    assert text_of(thing_seen(plain("I can see Fanta on the shelf."), shelf)) == "Fanta"
    assert thing_seen(plain("I can see Fanta on the floor."), shelf) is None
    company = "What is the name of the company?"
    assert text_of(maker_named(plain("The letter is from Acme Ltd"), company)) == "Acme Ltd"
    helmet = "Why is she wearing a helmet?"
    assert text_of(reason_given(plain("She is wearing a helmet for safety."), helmet)) == "for safety"
    limit = "What is the speed limit?"
    assert text_of(value_of(plain("The sign indicates a speed limit of 30 mph."), limit)) == "30 mph"
