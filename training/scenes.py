"""Scenes: a few colored shapes and perhaps three characters on a plain ground.

A scene is laid out from one integer seed without any pixel being drawn, so its labels do not depend on the Pillow
version; :func:`draw` then renders it. The seed decides which split a scene belongs to, and the split decides which
character strings may be written in it: strings of the evaluation splits are never part of a training scene.
"""

import random
import zlib
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

SIZE = 80
"""Width and height of every picture in pixels."""

TRAIN_SEEDS = range(0, 2**32)
HELD_OUT_SEEDS = range(2**40, 2**40 + 2**32)
BENCHMARK_SEEDS = range(2**41, 2**41 + 2**32)

COLORS = {
    "red": (214, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "yellow": (240, 205, 30),
    "black": (20, 20, 20),
    "white": (250, 250, 250),
    "orange": (245, 130, 20),
    "purple": (130, 50, 170),
}
SHAPES = ("circle", "square", "triangle", "cross")
CHARACTERS = "ACEHKLMNPRTUXY47"
WORD_LENGTH = 3
MAX_THINGS = 3

_GROUNDS = ((205, 205, 205), (180, 190, 200), (200, 190, 175), (150, 160, 150), (170, 170, 190))
_INKS = ((10, 10, 10), (10, 10, 10), (60, 0, 0))
_GAP = 2  # pixels between two shapes, and between a shape and the border
_PLACING_ATTEMPTS = 40

Color = tuple[int, int, int]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Thing:
    """One shape: what it is, where it is (left, top, right, bottom) and its exact fill color."""

    shape: str
    color: str
    box: Box
    fill: Color

    @property
    def x(self) -> float:
        """Horizontal center."""
        return (self.box[0] + self.box[2]) / 2

    @property
    def y(self) -> float:
        """Vertical center."""
        return (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True)
class Glyph:
    """One written character and its center."""

    character: str
    x: float
    y: float


@dataclass(frozen=True)
class Scene:
    """The complete description of a picture."""

    seed: int
    ground: Color
    ink: Color
    things: tuple[Thing, ...]
    word: str | None
    glyphs: tuple[Glyph, ...]

    def unique_shapes(self) -> list[Thing]:
        """Return the things whose shape no other thing has."""
        return [t for t in self.things if sum(t.shape == o.shape for o in self.things) == 1]

    def unique_colors(self) -> list[Thing]:
        """Return the things whose color no other thing has."""
        return [t for t in self.things if sum(t.color == o.color for o in self.things) == 1]


def is_training_seed(seed: int) -> bool:
    """Return whether the seed belongs to the training split; a seed of no split is an error."""
    if seed in TRAIN_SEEDS:
        return True
    if seed in HELD_OUT_SEEDS or seed in BENCHMARK_SEEDS:
        return False
    raise ValueError(f"seed {seed} belongs to no split")


def is_training_word(word: str) -> bool:
    """Return whether training may show or mention this string; about one string in ten is held out."""
    return zlib.crc32(word.encode()) % 10 != 0


def random_word(rng: random.Random, training: bool) -> str:
    """Return a random string of the wanted split."""
    while True:
        word = "".join(rng.choice(CHARACTERS) for _ in range(WORD_LENGTH))
        if is_training_word(word) == training:
            return word


def layout(seed: int) -> Scene:
    """Return the scene of a seed."""
    training = is_training_seed(seed)
    rng = random.Random(seed)
    ground = _jitter(rng, rng.choice(_GROUNDS), 14)
    ink = rng.choice(_INKS)
    kind = rng.choices(("text", "any", "pair"), (45, 32, 23))[0]
    if kind != "text":
        things = _pair(rng) if kind == "pair" else _some_things(rng)
        return Scene(seed, ground, ink, things, None, ())
    word = random_word(rng, training)
    on_top = rng.random() < 0.5
    glyphs = _write(rng, word, on_top)
    area = (0, round(SIZE * 0.48), SIZE, SIZE) if on_top else (0, 0, SIZE, round(SIZE * 0.52))
    kinds = [_random_kind(rng) for _ in range(rng.choice((0, 0, 1, 1, 1, 2)))]
    return Scene(seed, ground, ink, _place(rng, kinds, area), word, glyphs)


def draw(scene: Scene) -> Image.Image:
    """Return the picture of a scene."""
    image = Image.new("RGB", (SIZE, SIZE), scene.ground)
    pen = ImageDraw.Draw(image)
    for thing in scene.things:
        _draw_thing(pen, thing)
    for glyph in scene.glyphs:
        pen.text((glyph.x, glyph.y), glyph.character, font=_font(), fill=scene.ink, anchor="mm")
    return image


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(round(SIZE * 0.34))


def _jitter(rng: random.Random, color: Color, amount: int) -> Color:
    red, green, blue = (min(255, max(0, c + rng.randint(-amount, amount))) for c in color)
    return red, green, blue


def _random_kind(rng: random.Random) -> tuple[str, str]:
    return rng.choice(SHAPES), rng.choice(list(COLORS))


def _some_things(rng: random.Random) -> tuple[Thing, ...]:
    """Place one to three things; a third of the time all of one kind, so that counting is not naming."""
    number = rng.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3))
    same, kind = rng.random() < 0.3, _random_kind(rng)
    kinds = [kind if same else _random_kind(rng) for _ in range(number)]
    return _place(rng, kinds, (0, 0, SIZE, SIZE))


def _pair(rng: random.Random) -> tuple[Thing, ...]:
    """Place two things of different shapes, the scene of questions about relative position."""
    shapes = rng.sample(SHAPES, 2)
    kinds = [(shape, rng.choice(list(COLORS))) for shape in shapes]
    return _place(rng, kinds, (0, 0, SIZE, SIZE))


def _place(rng: random.Random, kinds: list[tuple[str, str]], area: Box) -> tuple[Thing, ...]:
    """Place things of the given kinds in an area without overlap; one that finds no room is left out."""
    things: list[Thing] = []
    for shape, color in kinds:
        box = _free_box(rng, area, [t.box for t in things])
        if box is not None:
            things.append(Thing(shape, color, box, _jitter(rng, COLORS[color], 10)))
    return tuple(things)


def _free_box(rng: random.Random, area: Box, taken: list[Box]) -> Box | None:
    left, top, right, bottom = area
    for _ in range(_PLACING_ATTEMPTS):
        side = rng.randint(SIZE // 5, SIZE // 3 - 2)
        x = rng.randint(left + 1, right - side - _GAP)
        y = rng.randint(top + 1, bottom - side - _GAP)
        if all(x + side + _GAP < a or c + _GAP < x or y + side + _GAP < b or d + _GAP < y for a, b, c, d in taken):
            return x, y, x + side, y + side
    return None


def _write(rng: random.Random, word: str, on_top: bool) -> tuple[Glyph, ...]:
    """Put one character in each of three slots, with a little jitter."""
    middle = SIZE * (0.2 if on_top else 0.8) + rng.randint(-2, 2)
    return tuple(
        Glyph(character, SIZE * (0.2 + 0.3 * i) + rng.randint(-2, 2), middle + rng.randint(-1, 1))
        for i, character in enumerate(word)
    )


def _draw_thing(pen: ImageDraw.ImageDraw, thing: Thing) -> None:
    left, top, right, bottom = thing.box
    if thing.shape == "circle":
        pen.ellipse(thing.box, fill=thing.fill)
    elif thing.shape == "square":
        pen.rectangle(thing.box, fill=thing.fill)
    elif thing.shape == "triangle":
        pen.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], fill=thing.fill)
    else:
        third = (right - left) // 3
        pen.rectangle((left + third, top, right - third, bottom), fill=thing.fill)
        pen.rectangle((left, top + third, right, bottom - third), fill=thing.fill)
