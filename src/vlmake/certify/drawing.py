"""Pictures drawn by a seed that try an image pipeline: odd sizes, extreme panoramas, every usual mode and format."""

import io
import math
import random
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageDraw

Size = tuple[int, int]

# What tiling is decided on: the smallest, one tile and a pixel more or less, exact grids, two grids that are equally
# near (5:12), panoramas beyond every grid.
SIZES: tuple[Size, ...] = (
    (20, 20),
    (4000, 300),
    (300, 4000),
    (448, 448),
    (449, 447),
    (896, 448),
    (1344, 896),
    (640, 480),
    (480, 640),
    (500, 1200),
    (1000, 2400),
    (21, 1500),
    (1500, 21),
    (1, 1),
    (900, 896),
    (333, 333),
)
_SMALLEST, _LARGEST = 20, 1600
_CORNERS = 7  # of the shapes and strokes in a picture

# Mode and file format of the pictures, in turn; JPEG holds no transparency and no palette.
FORMS: tuple[tuple[str, str], ...] = (
    ("RGB", "PNG"),
    ("RGB", "JPEG"),
    ("L", "PNG"),
    ("RGBA", "PNG"),
    ("P", "GIF"),
    ("RGB", "PNG"),
    ("L", "JPEG"),
    ("P", "PNG"),
    ("LA", "PNG"),
    ("1", "PNG"),
)


def pictures(seed: int) -> Iterator[bytes]:
    """Yield pictures without end, as the bytes of a file; the same for the same seed."""
    chance = random.Random(seed)
    number = 0
    while True:
        size = SIZES[number] if number < len(SIZES) else _size(chance)
        content = tuple(_CONTENTS)[number % len(_CONTENTS)]
        mode, kind = FORMS[(number + number // len(FORMS)) % len(FORMS)]
        yield _file(_CONTENTS[content](size, chance), mode, kind)
        number += 1


def _size(chance: random.Random) -> Size:
    """Return a size whose sides are spread evenly over the orders of magnitude."""
    low, high = math.log(_SMALLEST), math.log(_LARGEST)
    return round(math.exp(chance.uniform(low, high))), round(math.exp(chance.uniform(low, high)))


def _file(image: Image.Image, mode: str, kind: str) -> bytes:
    if "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    written = io.BytesIO()
    image.convert(mode).save(written, format=kind)
    return written.getvalue()


def _gradient(size: Size, chance: random.Random) -> Image.Image:
    turns = [Image.linear_gradient("L").rotate(90 * chance.randrange(4)).resize(size) for _ in range(3)]
    return Image.merge("RGB", turns)


def _noise(size: Size, chance: random.Random) -> Image.Image:
    numbers = np.random.RandomState(chance.randrange(1 << 32))
    return Image.fromarray(numbers.randint(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def _shapes(size: Size, chance: random.Random) -> Image.Image:
    image = Image.new("RGB", size, _colour(chance))
    drawing = ImageDraw.Draw(image)
    for _ in range(_CORNERS):
        (left, top), (right, bottom) = _place(size, chance), _place(size, chance)
        box = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
        chance.choice((drawing.ellipse, drawing.rectangle))(box, fill=_colour(chance))
    return image


def _strokes(size: Size, chance: random.Random) -> Image.Image:
    """Draw lines of short strokes on paper, as writing looks from afar: the thin edges that resampling changes most."""
    image = Image.new("RGB", size, (250, 248, 240))
    drawing = ImageDraw.Draw(image)
    step = max(4, min(size) // 24)
    for top in range(step, size[1], 2 * step):
        for left in range(step, size[0], step):
            ends = [(left + chance.randrange(step), top + chance.randrange(step)) for _ in range(3)]
            if chance.random() < 0.8:
                drawing.line(ends, fill=(20, 20, 60), width=1)
    return image


_CONTENTS: dict[str, Callable[[Size, random.Random], Image.Image]] = {
    "gradient": _gradient,
    "noise": _noise,
    "shapes": _shapes,
    "strokes": _strokes,
}


def _place(size: Size, chance: random.Random) -> tuple[int, int]:
    return chance.randrange(size[0]), chance.randrange(size[1])


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)
