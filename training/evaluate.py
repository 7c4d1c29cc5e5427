"""Measure a trained TinyVLM on held-out scenes, the way any checkpoint is used: ``python -m training.evaluate``."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from training.card import SkillScore, write_card
from training.questions import SKILLS, applies, ask, with_frame
from training.scenes import HELD_OUT_SEEDS, Scene, draw, layout
from training.wording import Question

QUESTIONS_PER_SKILL = 200
_SEEDS_PER_SKILL = 2**20
_MAX_NEW_TOKENS = 8


@dataclass(frozen=True)
class Asked:
    """A held-out question with its picture."""

    question: Question
    scene: Scene


class Answerer:
    """A checkpoint behind the generic classes: left padding, chat template, greedy decoding."""

    def __init__(self, folder: Path) -> None:
        self._processor = AutoProcessor.from_pretrained(folder, backend="pil")
        self._processor.tokenizer.padding_side = "left"
        self._model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def answer(self, prompts: Sequence[tuple[Image.Image, str]]) -> list[str]:
        """Return the answers to one batch of (picture, text)."""
        conversations = [
            [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}]
            for image, text in prompts
        ]
        inputs = self._processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        sequences = self._model.generate(**inputs, max_new_tokens=_MAX_NEW_TOKENS, do_sample=False)
        answers = self._processor.batch_decode(sequences[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [answer.strip() for answer in answers]


def held_out_questions(per_skill: int) -> list[Asked]:
    """Return the first so many questions of every skill; each skill has its own part of the held-out seeds."""
    return [
        asked for part, skill in enumerate(SKILLS) for asked in itertools.islice(_questions(skill, part), per_skill)
    ]


def score(answerer: Answerer, asked: Sequence[Asked], batch_size: int = 32) -> list[SkillScore]:
    """Return exact-match accuracy of every skill, beside that of the best constant answer."""
    right: Counter[str] = Counter()
    golds: dict[str, Counter[str]] = {}
    for batch in _batches(asked, batch_size):
        answers = answerer.answer([(draw(a.scene), a.question.text) for a in batch])
        for item, answer in zip(batch, answers, strict=True):
            right[item.question.skill] += answer == item.question.answer
            golds.setdefault(item.question.skill, Counter())[item.question.answer] += 1
    return [SkillScore(skill, right[skill], gold.total(), max(gold.values())) for skill, gold in golds.items()]


def _questions(skill: str, part: int) -> Iterator[Asked]:
    first = part * _SEEDS_PER_SKILL
    for seed in HELD_OUT_SEEDS[first : first + _SEEDS_PER_SKILL]:
        scene, rng = layout(seed), random.Random(f"held-out question {seed}")
        if applies(skill, scene):
            yield Asked(with_frame(ask(skill, scene, rng), rng), scene)


def _batches(items: Sequence[Asked], size: int) -> Iterable[Sequence[Asked]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@click.command()
@click.option("--model", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--per-skill", type=click.IntRange(min=1), default=QUESTIONS_PER_SKILL, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads for torch.")
@click.option("--card/--no-card", default=False, help="Write the model card into the model's folder.")
def main(model: Path, per_skill: int, threads: int, card: bool) -> None:
    """Print accuracy per skill on held-out scenes; optionally write the model card from it."""
    torch.set_num_threads(threads)
    scores = score(Answerer(model), held_out_questions(per_skill))
    for line in scores:
        click.echo(f"{line.skill:14s} {line.accuracy:5.1f} % of {line.asked} (constant answer: {line.constant:.1f} %)")
    right, asked = sum(s.right for s in scores), sum(s.asked for s in scores)
    click.echo(f"{'overall':14s} {100 * right / asked:5.1f} % of {asked}")
    if card:
        write_card(model, scores)


if __name__ == "__main__":
    main()
