"""How questions are worded, in the exact wording the evaluation uses, and the probes at single places of a text.

A probe is a label at the end of a word ("this character is the one in the picture", "this option is the right one"). It
is learned by a throw-away head during training and never seen at evaluation.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from training.scenes import COLORS, MAX_THINGS, SHAPES, SIZE, Thing
from vlmake.inference.prompts import OPTION_LETTERS, Template, question_text

YES_NO_SUFFIX = " Please answer yes or no."
SHORT_ANSWER_SUFFIX = "\nAnswer the question using a single word or phrase."
CHOICE_CLOSING = "Please select the correct answer from the options above. \n"
COUNT_HINT = "Written characters are not objects."
CAPTION_REQUEST = "Describe the image."
NUMBERS = ("zero", "one", "two", "three", "four")
BINS = 8
"""Centers are probed as one of so many columns and rows."""

assert len(NUMBERS) > MAX_THINGS


@dataclass(frozen=True)
class Probe:
    """A label for the token that ends at a character offset of the question text."""

    kind: str
    end: int
    label: int


PROBE_CLASSES = {"match": 2, "same": 2, "color": len(COLORS), "column": BINS, "row": BINS, "option": 2}
PROBE_CLASSES |= {"shape": len(SHAPES), "left": 2, "above": 2}


@dataclass(frozen=True)
class Question:
    """A question as text, its answer, and for multiple choice the parts the text was made of."""

    skill: str
    text: str
    answer: str
    probes: tuple[Probe, ...] = ()
    stem: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    hint: str | None = None


def yes_no(skill: str, stem: str, truth: bool, probes: Sequence[Probe]) -> Question:
    """Return a question whose answer is Yes or No."""
    return Question(skill, stem + YES_NO_SUFFIX, "Yes" if truth else "No", tuple(probes), stem)


def open_answer(skill: str, stem: str, answer: str, probes: Sequence[Probe] = ()) -> Question:
    """Return a question whose answer is a word or two."""
    return Question(skill, stem + SHORT_ANSWER_SUFFIX, answer, tuple(probes), stem)


def choice(
    skill: str, stem: str, answer: str, pool: Sequence[str], rng: random.Random, hint: str | None = None
) -> Question:
    """Return a multiple choice question with four options, sometimes fewer; each option's end is probed."""
    number = rng.choices((4, 3, 2), (80, 14, 6))[0]
    texts = [*rng.sample([text for text in pool if text != answer], number - 1), answer]
    rng.shuffle(texts)
    options = dict(zip(OPTION_LETTERS, texts, strict=False))
    text = question_text(Template("multiple_choice"), {"question": stem, "hint": hint, **options})
    gold = next(letter for letter, option in options.items() if option == answer)
    probes = tuple(
        Probe("option", text.index(line) + len(line), int(line[3:-1] == answer)) for line in option_lines(options)
    )
    return Question(skill, text, gold, probes, stem, options, hint)


def with_probes(question: Question, probes: Sequence[Probe]) -> Question:
    """Return the question with further probes."""
    probes = (*question.probes, *probes)
    return Question(
        question.skill, question.text, question.answer, probes, question.stem, question.options, question.hint
    )


def probe(text: str, word: str, kind: str, label: int, back: int = 0) -> Probe:
    """Return a probe at the end of a word of the text, or so many characters before that end."""
    return Probe(kind, text.index(word) + len(word) - back, int(label))


def probe_place(text: str, thing: Thing) -> list[Probe]:
    """Probe place and color of a thing where its shape is named."""
    column, row = int(thing.x * BINS / SIZE), int(thing.y * BINS / SIZE)
    color = list(COLORS).index(thing.color)
    return [probe(text, thing.shape, *pair) for pair in (("column", column), ("row", row), ("color", color))]


def probe_shape(text: str, thing: Thing) -> Probe:
    """Probe the shape of a thing where its color is named."""
    return probe(text, thing.color, "shape", SHAPES.index(thing.shape))


def probe_characters(start: int, word: str, written: str) -> list[Probe]:
    """Probe for each character of a mentioned string whether the same one is written at its place."""
    return [Probe("same", start + i + 1, int(word[i] == written[i])) for i in range(len(word))]


def option_lines(options: Mapping[str, str]) -> list[str]:
    """Return the options as they stand in the prompt."""
    return [f"{letter}. {text}\n" for letter, text in options.items()]
