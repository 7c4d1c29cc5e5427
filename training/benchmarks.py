"""The Shapes benchmarks: four TSV files in VLMEvalKit's column layouts, made from the benchmark seeds.

Labels are made without drawing, so that they can be made again and compared under any Pillow version; the pictures are
drawn once, when the files are written.
"""

import base64
import csv
import hashlib
import io
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from training.questions import (
    YES_NO_SKILLS,
    applies,
    ask,
    existence_question,
)
from training.scenes import BENCHMARK_SEEDS, COLORS, SHAPES, Scene, draw, layout
from training.wording import YES_NO_SUFFIX, Question
from vlmake.inference.prompts import OPTION_LETTERS

Row = dict[str, Any]
Kind = tuple[str, str]

MME_IMAGES_PER_CATEGORY = 44
BENCH_GROUPS_PER_SKILL = 32
POPE_IMAGES = 64
OCR_IMAGES = 240
COPY_STRIDE = 1_000_000
"""A rotated copy of a multiple choice question has the question's index plus a multiple of this."""

_SEEDS_PER_FILE = 2**20
_MME_CATEGORIES = {
    "existence": "existence_yn",
    "count": "count_yn",
    "position": "position_yn",
    "color": "color_yn",
    "OCR": "ocr_yn",
}
_BENCH_CATEGORIES = {
    "color_mcq": ("object color", "attribute recognition"),
    "shape_mcq": ("object shape", "attribute recognition"),
    "count_mcq": ("object count", "counting and location"),
    "quadrant_mcq": ("object location", "counting and location"),
    "ocr_mcq": ("written characters", "text recognition"),
}
_POPE_SETTINGS = ("random", "popular", "adversarial")
_POPE_NEGATIVES = 3
COLUMNS = {
    "ShapesMME": ("index", "image", "image_path", "question", "answer", "category"),
    "ShapesBench": (
        *("index", "image", "question", "hint", "A", "B", "C", "D"),
        *("answer", "category", "l2-category", "split"),
    ),
    "ShapesPOPE": ("index", "image", "question", "answer", "category"),
    "ShapesOCR": ("index", "image", "question", "answer"),
}

_README = """\
# Shapes benchmarks

Four small benchmarks in VLMEvalKit's TSV layouts, drawn by `training/benchmarks.py` from seeds that no training scene
uses. They are a demonstration: they show the whole chain at work within seconds and offline. They are made for TinyVLM,
which knows nothing about photos; a score on them says nothing about a real model's quality. Licence: Apache-2.0.

* `ShapesMME`: yes/no, two questions a picture (one Yes, one No), five categories.
* `ShapesBench`: multiple choice with two to four options, each question in every rotation of its options: copy k of
  question i has the index i + k * 1000000.
* `ShapesPOPE`: existence questions; absent things are chosen at random, by frequency (popular) or by likeness
  (adversarial); `category` lists every setting a question belongs to.
* `ShapesOCR`: open answers of three characters.

In ShapesBench and ShapesPOPE an `image` cell may hold the index of the row that has the picture.

Made by `PYTHONPATH=src python -m training.benchmarks --out resources/benchmarks`. The pictures' bytes depend on the
Pillow version (its font and PNG encoder), questions and answers do not.

| file | rows | bytes | md5 |
| --- | ---: | ---: | --- |
"""


def mme_rows() -> Iterator[Row]:
    """Yield two questions a picture, one true and one false."""
    index = itertools.count()
    for number, (category, skill) in enumerate(_MME_CATEGORIES.items()):
        scenes = _scenes(number, lambda s, skill=skill: applies(skill, s) and bool(s.things or s.word))
        if category == "existence":
            scenes = (s for s in scenes if s.things)
        for position, scene in enumerate(itertools.islice(scenes, MME_IMAGES_PER_CATEGORY)):
            rng = _rng(scene)
            for truth in rng.sample((True, False), 2):
                question = YES_NO_SKILLS[skill](scene, rng, truth)
                yield {
                    "index": next(index),
                    "image": scene,
                    "image_path": f"{category}/{position:04d}.png",
                    "question": question.stem + YES_NO_SUFFIX,
                    "answer": question.answer,
                    "category": category,
                }


def bench_rows() -> Iterator[Row]:
    """Yield every question, then its copies with the options rotated by one, two and three places."""
    rows = list(_bench_groups())
    for copy in range(len(OPTION_LETTERS)):
        rotated = [row for group in rows if (row := _rotated(group, copy)) is not None]
        if not rotated:
            return
        yield from rotated


def pope_rows() -> Iterator[Row]:
    """Yield existence questions: every thing of a picture, and absent ones chosen in three ways."""
    scenes = list(itertools.islice(_scenes(20, _has_three_kinds), POPE_IMAGES))
    frequency = Counter(kind for scene in scenes for kind in _kinds(scene))
    popular = sorted(itertools.product(COLORS, SHAPES), key=lambda kind: (-frequency[kind], kind))
    index = itertools.count()
    for scene in scenes:
        rng, image = _rng(scene), scene
        for kind in _kinds(scene):
            yield (row := _pope_row(next(index), image, kind, True, _POPE_SETTINGS))
            image = row["index"] if isinstance(image, Scene) else image
        for kind, settings in _pope_negatives(scene, popular, rng).items():
            yield _pope_row(next(index), image, kind, False, settings)


def ocr_rows() -> Iterator[Row]:
    """Yield one reading question a picture."""
    scenes = itertools.islice(_scenes(30, lambda scene: scene.word is not None), OCR_IMAGES)
    for index, scene in enumerate(scenes):
        question = ask("ocr_open", scene, _rng(scene))
        yield {"index": index, "image": scene, "question": question.stem, "answer": question.answer}


BENCHMARKS: dict[str, Callable[[], Iterable[Row]]] = {
    "ShapesMME": mme_rows,
    "ShapesBench": bench_rows,
    "ShapesPOPE": pope_rows,
    "ShapesOCR": ocr_rows,
}
"""The rows of each file; an ``image`` is a scene still to be drawn, or the index of the row that has it."""


def write_tsv(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Write rows as a tab separated file, each scene as the base64 of its PNG."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            image = row["image"]
            writer.writerow({**row, "image": _png(image) if isinstance(image, Scene) else image})


def _png(scene: Scene) -> str:
    buffer = io.BytesIO()
    draw(scene).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _scenes(part: int, wanted: Callable[[Scene], bool]) -> Iterator[Scene]:
    """Yield the wanted scenes of one part of the benchmark seeds; parts do not overlap."""
    first = part * _SEEDS_PER_FILE
    return filter(wanted, map(layout, BENCHMARK_SEEDS[first : first + _SEEDS_PER_FILE]))


def _rng(scene: Scene) -> random.Random:
    return random.Random(f"questions about {scene.seed}")


def _kinds(scene: Scene) -> list[Kind]:
    return [(thing.color, thing.shape) for thing in scene.things]


def _has_three_kinds(scene: Scene) -> bool:
    return len(set(_kinds(scene))) == 3


def _bench_groups() -> Iterator[tuple[int, Scene, Question]]:
    index = itertools.count()
    for number, skill in enumerate(_BENCH_CATEGORIES):
        scenes = _scenes(10 + number, lambda scene, skill=skill: applies(skill, scene))
        for scene in itertools.islice(scenes, BENCH_GROUPS_PER_SKILL):
            yield next(index), scene, ask(skill, scene, _rng(scene))


def _rotated(group: tuple[int, Scene, Question], copy: int) -> Row | None:
    """Return the group's copy with its options moved by so many places, or nothing when it has no such copy."""
    index, scene, question = group
    texts = list(question.options.values())
    if copy >= len(texts):
        return None
    texts = texts[copy:] + texts[:copy]
    gold = texts.index(question.options[question.answer])
    category, broad_category = _BENCH_CATEGORIES[question.skill]
    return {
        "index": index + copy * COPY_STRIDE,
        "image": index if copy else scene,
        "question": question.stem,
        "hint": question.hint or "",
        **dict(zip("ABCD", [*texts, "", ""], strict=False)),
        "answer": OPTION_LETTERS[gold],
        "category": category,
        "l2-category": broad_category,
        "split": "dev",
    }


def _pope_row(index: int, image: Scene | int, kind: Kind, truth: bool, settings: Iterable[str]) -> Row:
    question = existence_question(*kind, truth)
    return {
        "index": index,
        "image": image,
        "question": question.stem,
        "answer": question.answer,
        "category": ",".join(settings),
    }


def _pope_negatives(scene: Scene, popular: list[Kind], rng: random.Random) -> dict[Kind, list[str]]:
    """Return absent kinds with the settings that chose them: any, the most frequent ones, the most similar ones."""
    present = set(_kinds(scene))
    absent = [kind for kind in popular if kind not in present]
    colors, shapes = {color for color, _ in present}, {shape for _, shape in present}
    similar = [kind for kind in absent if kind[0] in colors and kind[1] in shapes]
    similar = similar or [kind for kind in absent if kind[0] in colors]
    chosen = {
        "random": rng.sample(absent, _POPE_NEGATIVES),
        "popular": absent[:_POPE_NEGATIVES],
        "adversarial": rng.sample(similar, min(_POPE_NEGATIVES, len(similar))),
    }
    negatives: dict[Kind, list[str]] = {}
    for setting, kinds in chosen.items():
        for kind in kinds:
            negatives.setdefault(kind, []).append(setting)
    return negatives


def _table_line(path: Path, rows: int) -> str:
    data = path.read_bytes()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return f"| `{path.name}` | {rows} | {len(data)} | `{md5}` |\n"


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the files.")
def main(out: Path) -> None:
    """Write the four benchmarks and a README with each file's rows, bytes and md5."""
    out.mkdir(parents=True, exist_ok=True)
    table = ""
    for name, rows in BENCHMARKS.items():
        path, made = out / f"{name}.tsv", list(rows())
        write_tsv(path, COLUMNS[name], made)
        table += _table_line(path, len(made))
    (out / "README.md").write_text(_README + table)
    click.echo(table, nl=False)


if __name__ == "__main__":
    main()
