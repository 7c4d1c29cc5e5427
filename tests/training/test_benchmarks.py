"""The shipped benchmarks are what the code makes, and their labels are true."""

import base64
import hashlib
import io
import re
from collections import Counter, defaultdict

import pytest
from PIL import Image

from training.benchmarks import BENCHMARKS, COLUMNS, COPY_STRIDE
from training.scenes import SIZE, Scene

NAMES = list(BENCHMARKS)


@pytest.mark.parametrize("name", NAMES)
def test_labels_made_again_from_the_seeds_equal_the_shipped_ones(name, shipped):
    made = list(BENCHMARKS[name]())
    rows = shipped(name)
    assert len(made) == len(rows)
    for again, row in zip(made, rows, strict=True):
        assert tuple(row) == COLUMNS[name]
        for column in COLUMNS[name]:
            if column != "image":
                assert str(again[column]) == row[column]
            elif not isinstance(again["image"], Scene):
                assert str(again["image"]) == row["image"]


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_a_picture_or_the_index_of_one(name, shipped):
    rows = shipped(name)
    pictures = {row["index"]: row["image"] for row in rows if len(row["image"]) > 64}
    for row in rows:
        if len(row["image"]) <= 64:
            assert row["image"] in pictures
    for data in set(pictures.values()):
        image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        image.load()
        assert image.size == (SIZE, SIZE)


@pytest.mark.parametrize("name", NAMES)
def test_indices_are_unique(name, shipped):
    rows = shipped(name)
    assert len({row["index"] for row in rows}) == len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_readme_has_the_rows_and_md5_of_the_file(name, shipped, benchmark_folder):
    data = (benchmark_folder / f"{name}.tsv").read_bytes()
    md5 = hashlib.md5(data).hexdigest()
    line = f"| `{name}.tsv` | {len(shipped(name))} | {len(data)} | `{md5}` |"
    assert line in (benchmark_folder / "README.md").read_text().splitlines()


def test_mme_asks_one_true_and_one_false_question_a_picture(shipped):
    rows = shipped("ShapesMME")
    answers = defaultdict(list)
    for row in rows:
        assert row["question"].endswith(" Please answer yes or no.")
        answers[row["category"], row["image_path"]].append(row["answer"])
    assert all(sorted(pair) == ["No", "Yes"] for pair in answers.values())
    assert Counter(category for category, _ in answers).keys() == {"existence", "count", "position", "color", "OCR"}
    assert len({row["image"] for row in rows}) == len(answers)


def test_bench_copies_rotate_the_options_and_keep_the_right_text(shipped):
    groups = defaultdict(list)
    for row in shipped("ShapesBench"):
        groups[int(row["index"]) % COPY_STRIDE].append(row)
    assert len(groups) >= 120
    for copies in groups.values():
        texts = [[row[letter] for letter in "ABCD" if row[letter]] for row in copies]
        assert len(copies) == len(texts[0])
        assert [int(row["index"]) // COPY_STRIDE for row in copies] == list(range(len(copies)))
        assert [tuple(t) for t in texts] == [(*texts[0][k:], *texts[0][:k]) for k in range(len(copies))]
        assert len({row[row["answer"]] for row in copies}) == 1
        assert {row["answer"] for row in copies} == set("ABCD"[: len(copies)])


def test_pope_and_ocr_labels_are_true_of_the_scenes(shipped):
    scenes = {str(row["index"]): row["image"] for row in BENCHMARKS["ShapesPOPE"]() if isinstance(row["image"], Scene)}
    asked = Counter()
    for row in shipped("ShapesPOPE"):
        key = row["index"] if row["index"] in scenes else row["image"]
        color, shape = re.fullmatch(r"Is there an? (\w+) (\w+) in the image\?", row["question"]).groups()
        there = any((t.color, t.shape) == (color, shape) for t in scenes[key].things)
        assert row["answer"] == ("Yes" if there else "No")
        assert set(row["category"].split(",")) <= {"random", "popular", "adversarial"}
        asked[key] += 1
    assert len(asked) >= 60 and min(asked.values()) >= 6
    for made, row in zip(BENCHMARKS["ShapesOCR"](), shipped("ShapesOCR"), strict=True):
        assert "".join(glyph.character for glyph in made["image"].glyphs) == row["answer"]


def test_mme_labels_are_true_of_the_scenes():
    numbers = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4}
    for row in BENCHMARKS["ShapesMME"]():
        scene, question = row["image"], row["question"]
        by_shape = {thing.shape: thing for thing in scene.things}
        if row["category"] == "count":
            truth = numbers[re.match(r"(?:Is|Are) there (\w+) object", question)[1]] == len(scene.things)
        elif row["category"] == "color":
            shape, color = re.match(r"Is the (\w+) (\w+)\?", question).groups()
            truth = by_shape[shape].color == color
        elif row["category"] == "position":
            shape, half = re.match(r"Is the (\w+) in the (\w+) half of the image\?", question).groups()
            left, top, right, bottom = by_shape[shape].box
            truth, false = {
                "left": (right < SIZE / 2, left > SIZE / 2),
                "right": (left > SIZE / 2, right < SIZE / 2),
                "top": (bottom < SIZE / 2, top > SIZE / 2),
                "bottom": (top > SIZE / 2, bottom < SIZE / 2),
            }[half]
            assert truth != false, "the thing lies across the middle line"
        elif row["category"] == "OCR":
            truth = f'"{scene.word}"' in question
        else:
            color, shape = re.match(r"Is there an? (\w+) (\w+) in", question).groups()
            truth = any((t.color, t.shape) == (color, shape) for t in scene.things)
        assert row["answer"] == ("Yes" if truth else "No"), question
