"""Nothing that is evaluated was trained on."""

import itertools
import re

import pytest

from training.questions import ocr_mcq, ocr_yn, wrong_word
from training.scenes import (
    BENCHMARK_SEEDS,
    HELD_OUT_SEEDS,
    TRAIN_SEEDS,
    is_training_seed,
    is_training_word,
    layout,
)
from training.stages import STAGES

WORD = re.compile(r'"([A-Z0-9]{3})"')


def test_seed_ranges_do_not_meet():
    for one, other in itertools.combinations((TRAIN_SEEDS, HELD_OUT_SEEDS, BENCHMARK_SEEDS), 2):
        assert max(one[0], other[0]) > min(one[-1], other[-1])


def test_stages_stay_in_the_training_seeds_and_share_no_scene():
    used = sorted(
        ((stage.first_seed, stage.seeds(stage.steps - 1)[-1]) for stage in STAGES), key=lambda seeds: seeds[0]
    )
    for first, last in used:
        assert first in TRAIN_SEEDS and last in TRAIN_SEEDS
    for (_, last), (first, _) in itertools.pairwise(used):
        assert last < first


def test_a_seed_of_no_split_is_refused():
    with pytest.raises(ValueError, match="no split"):
        layout(2**33)


def test_training_scenes_never_show_or_mention_a_held_out_word():
    import random

    for seed in TRAIN_SEEDS[:3000]:
        scene = layout(seed)
        if scene.word:
            assert is_training_word(scene.word)
            assert is_training_word(wrong_word(scene, random.Random(seed)))


def test_held_out_scenes_never_show_or_mention_a_training_word():
    import random

    for seed in itertools.chain(HELD_OUT_SEEDS[:1500], BENCHMARK_SEEDS[:1500]):
        scene, rng = layout(seed), random.Random(seed)
        if scene.word:
            options = ocr_mcq(scene, rng).options.values()
            mentioned = WORD.findall(ocr_yn(scene, rng, truth=False).text)
            assert mentioned
            assert not any(is_training_word(word) for word in (scene.word, *options, *mentioned))


def test_words_are_split_about_one_in_ten():
    from training.scenes import CHARACTERS

    words = ["".join(word) for word in itertools.product(CHARACTERS, repeat=3)]
    share = sum(not is_training_word(word) for word in words) / len(words)
    assert 0.07 < share < 0.13


def test_no_string_in_the_shipped_benchmarks_was_trained_on(shipped):
    words = [row["answer"] for row in shipped("ShapesOCR")]
    words += [word for row in shipped("ShapesMME") for word in WORD.findall(row["question"])]
    words += [
        row[letter]
        for row in shipped("ShapesBench")
        if row["category"] == "written characters"
        for letter in "ABCD"
        if row[letter]
    ]
    assert len(words) > 240 + 88 + 300
    assert all(re.fullmatch(r"[A-Z0-9]{3}", word) for word in words)
    assert not [word for word in words if is_training_word(word)]


def test_benchmark_rows_come_from_benchmark_seeds_only():
    from training.benchmarks import BENCHMARKS
    from training.scenes import Scene

    scenes = [row["image"] for rows in BENCHMARKS.values() for row in rows() if isinstance(row["image"], Scene)]
    assert len(scenes) > 800
    assert all(scene.seed in BENCHMARK_SEEDS and not is_training_seed(scene.seed) for scene in scenes)
