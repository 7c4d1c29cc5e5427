"""Questions about scenes, one function a skill; what can be asked about a scene, and what is a wrong answer to it."""

import random
from collections.abc import Callable

from training.scenes import (
    CHARACTERS,
    COLORS,
    SHAPES,
    SIZE,
    Scene,
    Thing,
    is_training_seed,
    is_training_word,
    random_word,
)
from training.wording import (
    CAPTION_REQUEST,
    COUNT_HINT,
    NUMBERS,
    SHORT_ANSWER_SUFFIX,
    YES_NO_SUFFIX,
    Probe,
    Question,
    choice,
    open_answer,
    option_lines,
    probe,
    probe_characters,
    probe_place,
    probe_shape,
    with_probes,
    yes_no,
)

_EDGE = 4  # pixels a center must be off the middle to be called left, right, top or bottom
_GAP = 2  # pixels between the middle line and a thing that is said to be in one half
_APART = 6  # pixels two centers must differ by to be compared


# ---------------------------------------------------------------- yes/no: the wanted truth is an argument


def existence_yn(scene: Scene, rng: random.Random, truth: bool) -> Question:
    """Ask whether a colored shape is there; a false one often shares its color or shape with a true one."""
    if truth:
        thing = rng.choice(scene.things)
        color, shape = thing.color, thing.shape
    else:
        color, shape = _absent_kind(scene, rng)
    return existence_question(color, shape, truth)


def existence_question(color: str, shape: str, truth: bool) -> Question:
    """Return the question about one kind of thing."""
    article = "an" if color[0] in "aeiou" else "a"
    stem = f"Is there {article} {color} {shape} in the image?"
    return yes_no("existence_yn", stem, truth, [probe(stem, shape, "match", truth)])


def existence_bound(scene: Scene, rng: random.Random) -> Question:
    """Ask for the color of one thing with the shape of another: the hardest existence questions, for training."""
    one, other = rng.sample(scene.things, 2)
    present = {(t.color, t.shape) for t in scene.things}
    if rng.random() < 0.5 and (one.color, other.shape) not in present:
        return existence_question(one.color, other.shape, False)
    return existence_question(one.color, one.shape, True)


def color_yn(scene: Scene, rng: random.Random, truth: bool) -> Question:
    """Ask whether a thing named by its shape has a color."""
    thing = rng.choice(scene.unique_shapes())
    color = thing.color if truth else rng.choice([c for c in COLORS if c != thing.color])
    stem = f"Is the {thing.shape} {color}?"
    return yes_no("color_yn", stem, truth, [*probe_place(stem, thing), probe(stem, color, "match", truth)])


def count_yn(scene: Scene, rng: random.Random, truth: bool) -> Question:
    """Ask whether there are so many things."""
    number = len(scene.things)
    if not truth:
        number = rng.choice([n for n in range(len(NUMBERS)) if n != number])
    stem = "Is there one object in the image?" if number == 1 else f"Are there {NUMBERS[number]} objects in the image?"
    return yes_no("count_yn", stem, truth, [probe(stem, NUMBERS[number], "match", truth)])


def position_yn(scene: Scene, rng: random.Random, truth: bool) -> Question:
    """Ask whether a thing named by its shape is in one half of the picture, across or down."""
    thing, across = rng.choice(_halved_things(scene))
    first, second = ("left", "right") if across else ("top", "bottom")
    half = first if ((_across(thing) if across else _down(thing)) == first) == truth else second
    stem = f"Is the {thing.shape} in the {half} half of the image?"
    return yes_no(
        "position_yn", stem, truth, [*probe_place(stem, thing), probe(stem, f"{half} half", "match", truth, 5)]
    )


def relation_yn(scene: Scene, rng: random.Random, truth: bool) -> Question:
    """Ask how two things of different shapes lie to each other."""
    first, second, across = rng.choice(_comparable_pairs(scene))
    if across:
        before, after = "to the left of", "to the right of"
        is_before = first.x < second.x
    else:
        before, after = "above", "below"
        is_before = first.y < second.y
    relation = before if is_before == truth else after
    stem = f"Is the {first.shape} {relation} the {second.shape}?"
    compared = [
        probe(stem, f"the {second.shape}?", "left", first.x < second.x, back=1),
        probe(stem, f"the {second.shape}?", "above", first.y < second.y, back=1),
    ]
    return yes_no("relation_yn", stem, truth, [*probe_place(stem, first), *probe_place(stem, second), *compared])


def ocr_yn(scene: Scene, rng: random.Random, truth: bool) -> Question:
    """Ask whether a string is written; a false one often differs by one character only."""
    assert scene.word
    word = scene.word if truth else wrong_word(scene, rng)
    stem = f'Is the word "{word}" written in the image?'
    return yes_no("ocr_yn", stem, truth, probe_characters(stem.index('"') + 1, word, scene.word))


# ---------------------------------------------------------------- open answers


def color_open(scene: Scene, rng: random.Random) -> Question:
    """Ask for the color of a thing named by its shape."""
    thing = rng.choice(scene.unique_shapes())
    stem = f"What color is the {thing.shape}?"
    return open_answer("color_open", stem, thing.color, probe_place(stem, thing))


def shape_open(scene: Scene, rng: random.Random) -> Question:
    """Ask for the shape of a thing named by its color."""
    thing = rng.choice(scene.unique_colors())
    stem = f"What shape is the {thing.color} object?"
    return open_answer("shape_open", stem, thing.shape, [probe_shape(stem, thing)])


def count_open(scene: Scene, rng: random.Random) -> Question:
    """Ask how many things there are."""
    return open_answer("count_open", "How many objects are in the image?", str(len(scene.things)))


def side_open(scene: Scene, rng: random.Random) -> Question:
    """Ask for the half of the picture a thing is in."""
    thing = rng.choice([t for t in scene.unique_shapes() if _off_middle(t.x)])
    stem = f"Is the {thing.shape} in the left or right half of the image?"
    return open_answer("side_open", stem, _across(thing), probe_place(stem, thing))


def ocr_open(scene: Scene, rng: random.Random) -> Question:
    """Ask for the written string."""
    assert scene.word
    return open_answer("ocr_open", "What is written in the image?", scene.word)


# ---------------------------------------------------------------- multiple choice


def color_mcq(scene: Scene, rng: random.Random) -> Question:
    """Choose the color of a thing named by its shape."""
    thing = rng.choice(scene.unique_shapes())
    return choice("color_mcq", f"What color is the {thing.shape}?", thing.color, list(COLORS), rng)


def shape_mcq(scene: Scene, rng: random.Random) -> Question:
    """Choose the shape of a thing named by its color."""
    thing = rng.choice(scene.unique_colors())
    question = choice("shape_mcq", f"What shape is the {thing.color} object?", thing.shape, SHAPES, rng)
    return with_probes(question, [probe_shape(question.text, thing)])


def count_mcq(scene: Scene, rng: random.Random) -> Question:
    """Choose how many things there are, sometimes with a hint before the question."""
    numbers = [str(n) for n in range(len(NUMBERS))]
    hint = COUNT_HINT if rng.random() < 0.3 else None
    return choice("count_mcq", "How many objects are in the image?", str(len(scene.things)), numbers, rng, hint)


def quadrant_mcq(scene: Scene, rng: random.Random) -> Question:
    """Choose the quarter of the picture a thing is in."""
    thing = rng.choice([t for t in scene.unique_shapes() if _off_middle(t.x) and _off_middle(t.y)])
    corners = [f"{v} {h}" for v in ("top", "bottom") for h in ("left", "right")]
    question = choice("quadrant_mcq", f"Where is the {thing.shape}?", f"{_down(thing)} {_across(thing)}", corners, rng)
    return with_probes(question, probe_place(question.text, thing))


def ocr_mcq(scene: Scene, rng: random.Random) -> Question:
    """Choose the written string."""
    assert scene.word
    pool: dict[str, None] = {}
    while len(pool) < 3:
        pool[wrong_word(scene, rng)] = None
    question = choice("ocr_mcq", "What is written in the image?", scene.word, list(pool), rng)
    probes: list[Probe] = []
    for line in option_lines(question.options):
        probes += probe_characters(question.text.index(line) + 3, line[3:-1], scene.word)
    return with_probes(question, probes)


# ---------------------------------------------------------------- caption


def caption(scene: Scene, rng: random.Random) -> Question:
    """Ask for everything in the picture: the densest supervision a text can give."""
    things = "".join(f" {t.color} {t.shape} {_down(t)} {_across(t)}," for t in sorted(scene.things, key=lambda t: t.x))
    answer = f"{len(scene.things)} objects:{things} text {scene.word or 'none'}"
    return Question("caption", CAPTION_REQUEST, answer, stem=CAPTION_REQUEST)


# ---------------------------------------------------------------- the list of skills

YES_NO_SKILLS: dict[str, Callable[[Scene, random.Random, bool], Question]] = {
    "existence_yn": existence_yn,
    "color_yn": color_yn,
    "count_yn": count_yn,
    "position_yn": position_yn,
    "ocr_yn": ocr_yn,
    "relation_yn": relation_yn,
}
OTHER_SKILLS: dict[str, Callable[[Scene, random.Random], Question]] = {
    "color_open": color_open,
    "shape_open": shape_open,
    "count_open": count_open,
    "side_open": side_open,
    "ocr_open": ocr_open,
    "color_mcq": color_mcq,
    "shape_mcq": shape_mcq,
    "count_mcq": count_mcq,
    "quadrant_mcq": quadrant_mcq,
    "ocr_mcq": ocr_mcq,
    "caption": caption,
    "bound_existence": existence_bound,
}
TRAINING_ONLY = ("caption", "bound_existence")
SKILLS = (*YES_NO_SKILLS, *(skill for skill in OTHER_SKILLS if skill not in TRAINING_ONLY))
"""Every evaluated skill."""


def applies(skill: str, scene: Scene) -> bool:
    """Return whether a question of this skill can be asked about the scene."""
    subject, _, _ = skill.partition("_")
    if subject == "ocr":
        return scene.word is not None
    if subject == "color":
        return bool(scene.unique_shapes())
    if subject == "shape":
        return bool(scene.unique_colors())
    if subject == "bound":
        return len({(t.color, t.shape) for t in scene.things}) > 1
    if subject == "position":
        return bool(_halved_things(scene))
    if subject == "relation":
        return bool(_comparable_pairs(scene))
    if subject == "side":
        return any(_off_middle(t.x) for t in scene.unique_shapes())
    if subject == "quadrant":
        return any(_off_middle(t.x) and _off_middle(t.y) for t in scene.unique_shapes())
    return True


def ask(skill: str, scene: Scene, rng: random.Random) -> Question:
    """Return one question of a skill; yes and no are equally likely wherever both are possible."""
    if skill not in YES_NO_SKILLS:
        return OTHER_SKILLS[skill](scene, rng)
    truth = rng.random() < 0.5 and (skill != "existence_yn" or bool(scene.things))
    return YES_NO_SKILLS[skill](scene, rng, truth)


def with_frame(question: Question, rng: random.Random) -> Question:
    """Put a yes/no question into one of its trained frames: bare, with the yes/no suffix, or with the short one."""
    if question.skill not in YES_NO_SKILLS:
        return question
    frame = rng.choices((YES_NO_SUFFIX, "", SHORT_ANSWER_SUFFIX), (60, 30, 10))[0]
    return Question(question.skill, question.stem + frame, question.answer, question.probes, question.stem)


def wrong_word(scene: Scene, rng: random.Random) -> str:
    """Return a string of the scene's split that is not the written one: mostly one character off."""
    assert scene.word
    training = is_training_seed(scene.seed)
    for _ in range(20 if rng.random() < 0.6 else 0):
        at = rng.randrange(len(scene.word))
        word = scene.word[:at] + rng.choice(CHARACTERS) + scene.word[at + 1 :]
        if word != scene.word and is_training_word(word) == training:
            return word
    while (word := random_word(rng, training)) == scene.word:
        pass
    return word


# ---------------------------------------------------------------- what a scene lets one ask


def _absent_kind(scene: Scene, rng: random.Random) -> tuple[str, str]:
    present = {(t.color, t.shape) for t in scene.things}
    while True:
        color, shape = rng.choice(list(COLORS)), rng.choice(SHAPES)
        if scene.things and rng.random() < 0.6:
            thing = rng.choice(scene.things)
            color, shape = (thing.color, shape) if rng.random() < 0.5 else (color, thing.shape)
        if (color, shape) not in present:
            return color, shape


def _comparable_pairs(scene: Scene) -> list[tuple[Thing, Thing, bool]]:
    """Return (first, second, across) for each two things of unique shape that are clearly apart in that direction."""
    things = scene.unique_shapes()
    pairs = [(a, b) for a in things for b in things if a is not b]
    return [(a, b, True) for a, b in pairs if abs(a.x - b.x) >= _APART] + [
        (a, b, False) for a, b in pairs if abs(a.y - b.y) >= _APART
    ]


def _halved_things(scene: Scene) -> list[tuple[Thing, bool]]:
    """Return (thing, across) for each thing of unique shape and each middle line it does not touch."""
    things = scene.unique_shapes()
    return [(t, True) for t in things if _beside_middle(t.box[0], t.box[2])] + [
        (t, False) for t in things if _beside_middle(t.box[1], t.box[3])
    ]


def _beside_middle(first: float, last: float) -> bool:
    """Return whether an extent keeps its distance from the middle line."""
    return last <= SIZE / 2 - _GAP or first >= SIZE / 2 + _GAP


def _off_middle(value: float) -> bool:
    return abs(value - SIZE / 2) >= _EDGE


def _across(thing: Thing) -> str:
    return "left" if thing.x < SIZE / 2 else "right"


def _down(thing: Thing) -> str:
    return "top" if thing.y < SIZE / 2 else "bottom"
