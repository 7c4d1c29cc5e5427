"""Batches: scenes as pixels, questions packed behind them, labels for patches and for single tokens.

The questions of a scene are packed in ONE sequence: the image prefix, then question and answer after question and
answer. A mask lets each question see the image and itself only, and positions restart after the prefix, so each
question sees exactly what it would see alone at evaluation.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Encoding
from transformers import PreTrainedTokenizerFast

from training.model import GRID, HEADS, IMAGE_TOKENS, PATCH
from training.questions import applies, ask, caption, with_frame
from training.scenes import CHARACTERS, COLORS, SHAPES, SIZE, Scene, draw, layout
from training.tokenizer import ASSISTANT_ID, END_ID
from training.wording import PROBE_CLASSES, Question

PREFIX = 1 + IMAGE_TOKENS
"""The user token and the image: what stands before the packed questions."""

PATCH_LABELS = ("shape", "color", "character", "column", "row")
"""What is known of each patch; 0 is the empty ground."""

PATCH_NAMES = {
    "shape": SHAPES,
    "shape:inner": tuple(f" {shape}" for shape in SHAPES),
    "color": tuple(COLORS),
    "color:inner": tuple(f" {color}" for color in COLORS),
    "character": tuple(CHARACTERS),
}
"""The words that name the labels above 0, at the start and inside of a text (they are different tokens)."""

PATCH_PLACES = ("column", "row")

IGNORED = -100
_MASKED = -1e4
_Packed = tuple[list[int], list[int], list[tuple[str, int, int]]]  # question, answer, (kind, token, label)


@dataclass(frozen=True)
class PackedBatch:
    """Tensors of one training step; ``probes`` holds rows, columns and labels of each kind."""

    pixels: torch.Tensor
    tokens: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor
    probes: dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def pixel_batch(scenes: Sequence[Scene]) -> torch.Tensor:
    """Draw scenes and scale them as the processor does."""
    stack = np.stack([np.asarray(draw(scene)) for scene in scenes])
    return torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 127.5 - 1


def patch_batch(seeds: Sequence[int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return pixels and the labels of every patch."""
    scenes = [layout(seed) for seed in seeds]
    labels = np.stack([_patch_labels(scene) for scene in scenes])
    return pixel_batch(scenes), {
        name: torch.from_numpy(labels[:, i].reshape(len(scenes), -1)) for i, name in enumerate(PATCH_LABELS)
    }


def packed_batch(
    seeds: Sequence[int],
    tokenizer: PreTrainedTokenizerFast,
    weights: Mapping[str, float],
    per_scene: int,
    caption_share: float,
) -> PackedBatch:
    """Return the packed questions of some scenes, drawn by skill weight."""
    scenes = [layout(seed) for seed in seeds]
    asked = [_questions(scene, weights, per_scene, caption_share) for scene in scenes]
    packed = iter(_tokenized([question for questions in asked for question in questions], tokenizer))
    return _pack(pixel_batch(scenes), [[next(packed) for _ in questions] for questions in asked])


def _questions(scene: Scene, weights: Mapping[str, float], per_scene: int, caption_share: float) -> list[Question]:
    rng = random.Random(f"training questions {scene.seed}")
    skills = [skill for skill in weights if applies(skill, scene)]
    chosen = rng.choices(skills, [weights[skill] for skill in skills], k=per_scene)
    questions = [with_frame(ask(skill, scene, rng), rng) for skill in chosen]
    return [caption(scene, rng), *questions[1:]] if rng.random() < caption_share else questions


def _tokenized(questions: Sequence[Question], tokenizer: PreTrainedTokenizerFast) -> list[_Packed]:
    encode = tokenizer.backend_tokenizer.encode_batch
    texts = encode([question.text for question in questions], add_special_tokens=False)
    answers = encode([question.answer for question in questions], add_special_tokens=False)
    return [
        ([*text.ids, END_ID, ASSISTANT_ID], [*answer.ids, END_ID], _located(question, text))
        for question, text, answer in zip(questions, texts, answers, strict=True)
    ]


def _located(question: Question, text: Encoding) -> list[tuple[str, int, int]]:
    """Turn the probes' character offsets into token positions."""
    token_ending_at = {end: i for i, (_, end) in enumerate(text.offsets)}
    return [(probe.kind, token_ending_at[probe.end], probe.label) for probe in question.probes]


def _pack(pixels: torch.Tensor, rows: list[list[_Packed]]) -> PackedBatch:
    length = max(sum(len(question) + len(answer) for question, answer, _ in row) for row in rows)
    shape = (len(rows), length)
    tokens, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    blocks, labels = np.full(shape, -1, np.int64), np.full(shape, IGNORED, np.int64)
    probes: dict[str, list[tuple[int, int, int]]] = {kind: [] for kind in PROBE_CLASSES}
    for i, row in enumerate(rows):
        start = 0
        for block, (question, answer, located) in enumerate(row):
            end = start + len(question) + len(answer)
            tokens[i, start:end] = question + answer
            positions[i, start:end] = PREFIX + np.arange(end - start)
            blocks[i, start:end] = block
            labels[i, start + len(question) - 1 : end - 1] = answer  # a position predicts the next token
            for kind, at, label in located:
                probes[kind].append((i, start + at, label))
            start = end
    return PackedBatch(
        pixels,
        torch.from_numpy(tokens),
        torch.cat([torch.arange(PREFIX).expand(len(rows), PREFIX), torch.from_numpy(positions)], 1),
        torch.from_numpy(labels),
        _mask(torch.from_numpy(blocks)),
        {kind: tuple(torch.tensor(found).unbind(1)) for kind, found in probes.items() if found},
    )


def _mask(blocks: torch.Tensor) -> torch.Tensor:
    """Return what is added to attention scores: a position sees the prefix before it and its own question's past."""
    number, length = blocks.shape
    mask = torch.zeros(number, 1, PREFIX + length, PREFIX + length, dtype=torch.bool)
    mask[:, :, :PREFIX, :PREFIX] = torch.ones(PREFIX, PREFIX, dtype=torch.bool).tril()
    mask[:, :, PREFIX:, :PREFIX] = True
    same = blocks[:, :, None] == blocks[:, None, :]
    mask[:, 0, PREFIX:, PREFIX:] = same & torch.ones(length, length, dtype=torch.bool).tril()
    added = torch.zeros(mask.shape, dtype=torch.bfloat16).masked_fill_(~mask, _MASKED)
    return added.expand(-1, HEADS, -1, -1).contiguous()


def _patch_labels(scene: Scene) -> np.ndarray:
    """Return one label map per name of ``PATCH_LABELS``."""
    maps = np.zeros((len(PATCH_LABELS), GRID, GRID), np.int64)
    shape, color, character, column, row = maps
    for thing in scene.things:
        left, top = (int(edge / PATCH + 0.2) for edge in thing.box[:2])
        right, bottom = (min(GRID, int(edge / PATCH + 0.8)) for edge in thing.box[2:])
        area = slice(top, bottom), slice(left, right)
        shape[area] = 1 + SHAPES.index(thing.shape)
        color[area] = 1 + list(COLORS).index(thing.color)
        column[area] = 1 + int(thing.x / PATCH)
        row[area] = 1 + int(thing.y / PATCH)
    for glyph in scene.glyphs:
        left, top = max(0, int((glyph.x - SIZE * 0.11) / PATCH)), max(0, int((glyph.y - SIZE * 0.12) / PATCH))
        character[top : top + 3, left : left + 3] = 1 + CHARACTERS.index(glyph.character)
    return maps
