"""The prompts of a certification: drawn by a seed, or the first samples of a decoded benchmark."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from vlmake.certify.drawing import pictures
from vlmake.data.images import ImageStore
from vlmake.errors import VlmakeError, counted
from vlmake.inference.prompts import Part
from vlmake.inference.questions import read_questions
from vlmake.inference.shard import Asking
from vlmake.models.model_spec import BenchmarkSettings
from vlmake.registry.dataset_entries import DatasetEntry

_QUESTIONS = (
    "What is in the picture?",
    "Describe the image in detail.",
    "请描述这张图片。",
    "Is there a red circle in the picture? Please answer yes or no.",
    "图中有几个物体？请直接回答数字。",
    "Question: Which one is larger?\nOptions:\nA. the left one\nB. the right one\n"
    "Please select the correct answer from the options above. \n",
    "What  does the text say?\n\nAnswer with   its exact words: \t\"don't\" → 'x_1 = 3.5%' 😀 é",
    "这是什么颜色？(red/蓝色/don't know)",
)
_TWO_EVERY = 8  # every so many prompts show two pictures, by turns before the question and within it


@dataclass(frozen=True, slots=True)
class Prompt:
    """What both sides are asked: parts in their order, the original bytes of the images by digest, pixel budget."""

    name: str
    parts: Sequence[Part]
    images: Mapping[str, bytes]
    pixels: Mapping[str, Any] = field(default_factory=dict)


def drawn_prompts(count: int, seed: int, pixels: Mapping[str, Any]) -> list[Prompt]:
    """Return ``count`` prompts with drawn pictures, the same for the same seed; some of them show two."""
    drawn = pictures(seed)
    return [_drawn(number, islice(drawn, _pictures_of(number)), pixels) for number in range(count)]


def dataset_prompts(
    samples: Path, images: Path, entry: DatasetEntry, settings: BenchmarkSettings, count: int
) -> list[Prompt]:
    """Return the first ``count`` samples of a decoded benchmark, asked as an evaluation asks them.

    Samples whose image is known to be broken are left out. Raises VlmakeError where nothing is left.
    """
    questions, _ = read_questions(
        samples, entry, Asking("", 1, settings.pixels), frames=settings.frames, limit=count, shard=0, shards=1
    )
    with ImageStore(images) as store:
        found = [
            Prompt(question.index, question.messages, _bytes(question.messages, store), settings.pixels)
            for question in questions
            if not question.image_error
        ]
    if not found:
        raise VlmakeError(f"{samples}: of the first {counted(count, 'sample')} none can be asked")
    return found


def _pictures_of(number: int) -> int:
    return 2 if number % _TWO_EVERY == _TWO_EVERY - 1 else 1


def _drawn(number: int, drawn: Iterable[bytes], pixels: Mapping[str, Any]) -> Prompt:
    images = {hashlib.sha256(data).hexdigest(): data for data in drawn}
    shown: list[Part] = [{"type": "image", "image": digest} for digest in images]
    text = _QUESTIONS[number % len(_QUESTIONS)]
    parts = [*shown, {"type": "text", "text": text}]
    if len(shown) > 1 and number // _TWO_EVERY % 2:
        parts = [{"type": "text", "text": "First "}, shown[0], {"type": "text", "text": " then "}, shown[1], parts[-1]]
    return Prompt(f"{number:03d}", parts, images, pixels)


def _bytes(parts: Sequence[Part], store: ImageStore) -> dict[str, bytes]:
    digests = {part["image"] for part in parts if part["type"] == "image"}
    return {digest: store.bytes(digest) for digest in digests}
