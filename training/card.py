"""The model card: written from what was measured, and read back by the tests."""

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CARD_FILE = "README.md"
FACTS_FILE = "training.json"
_WEAK = 80.0

_CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
language: en
---

# TinyVLM

A vision-language model of {parameters:.2f} million parameters ({megabytes:.1f} MB in half precision), small enough to
ship with a repository and to answer in milliseconds on one CPU core. It was trained from nothing by the code in
`training/`, on pictures drawn by that code. **It is a demonstration: it knows colored shapes and three written
characters on a plain {size} x {size} ground, in the wordings it was trained on. It knows nothing about photos**, and
its answers to any other benchmark are noise.

Format: LLaVA (SigLIP vision transformer, two-layer projector, Llama decoder), so `AutoProcessor` and
`AutoModelForImageTextToText` load it without remote code. Use left padding and greedy decoding.

## Accuracy

Exact match, greedy, single precision, on scenes whose seeds and whose character strings were never trained on.
"Constant" is the accuracy of always giving the most frequent answer, that is, of chance. yn: yes/no; open: one word;
mcq: multiple choice with two to four options, one order each.

| skill | accuracy % | questions | constant % |
| --- | ---: | ---: | ---: |
{rows}
| overall | {overall:.1f} | {asked} | |

{weak}

## Training

| stage | steps | scenes | first scene seed | minutes |
| --- | ---: | ---: | ---: | ---: |
{stages}

1. *vision*: the vision tower and the projector learn to name shape, color and character of every patch by the
   embeddings of the words themselves, and the place of the thing it belongs to.
2. *language*: with both of them fixed, the decoder learns from captions and questions about the same scene, packed in
   one sequence.
3. *focus*: the same with few captions and more multiple choice, comparison and relation questions.
4. *relations*: the same with most weight on how two things lie to each other and which color belongs to which shape.
5. *position*, 6. *halves* and 7. *last*: the same with most weight on the half of the picture a thing is in.

In stages 2 to 7 throw-away heads inside the decoder also learn whether single characters and options match the
picture, and the place and color of a named thing; from stage 4 on also its shape and the order of two things.

Seed: {seed}. Training scenes: seeds 0 to 2^32; held-out: from 2^40; Shapes benchmarks: from 2^41. About one character
string in ten (by CRC-32) never appears in training. {minutes:.0f} minutes on {threads} thread(s) of a shared CPU, torch
{torch}, bfloat16 autocast; another machine will not repeat it bit for bit.{note}

```
PYTHONPATH=src python -m training.train --out DIR
PYTHONPATH=src python -m training.evaluate --model DIR --card
```

Licence: Apache-2.0, as the repository. No downloaded weights, pictures or texts were used.
"""


@dataclass(frozen=True)
class SkillScore:
    """Right answers of one skill, and how many the best constant answer gets."""

    skill: str
    right: int
    asked: int
    constant_right: int

    @property
    def accuracy(self) -> float:
        """Percentage of right answers."""
        return 100 * self.right / self.asked

    @property
    def constant(self) -> float:
        """Percentage the best constant answer gets."""
        return 100 * self.constant_right / self.asked


def write_card(folder: Path, scores: Sequence[SkillScore]) -> None:
    """Write the card of a trained model from its scores and its training facts."""
    facts: dict[str, Any] = json.loads((folder / FACTS_FILE).read_text())
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    asked = sum(s.asked for s in scores)
    card = _CARD.format(
        parameters=facts["parameters"] / 1e6,
        megabytes=(folder / "model.safetensors").stat().st_size / 1e6,
        size=vision["image_size"],
        rows="\n".join(f"| {s.skill} | {s.accuracy:.1f} | {s.asked} | {s.constant:.1f} |" for s in scores),
        overall=100 * sum(s.right for s in scores) / asked,
        asked=asked,
        weak=_weak_skills(scores),
        stages="\n".join(
            "| {name} | {steps} | {images} | {first_seed} | {minutes} |".format(**stage) for stage in facts["stages"]
        ),
        seed=facts["seed"],
        minutes=sum(stage["minutes"] for stage in facts["stages"]),
        threads=max(stage["threads"] for stage in facts["stages"]),
        torch=facts["stages"][-1]["torch"],
        note="\n\n" + textwrap.fill(facts["note"], 120) if "note" in facts else "",
    )
    (folder / CARD_FILE).write_text(card)


def read_card(folder: Path) -> dict[str, tuple[float, int]]:
    """Return (accuracy in percent, number of questions) of every row of a card's table, ``overall`` included."""
    rows = re.findall(r"^\| (\w+) \| ([\d.]+) \| (\d+) \| [\d. ]*\|$", (folder / CARD_FILE).read_text(), re.MULTILINE)
    return {skill: (float(accuracy), int(asked)) for skill, accuracy, asked in rows if "." in accuracy}


def _weak_skills(scores: Sequence[SkillScore]) -> str:
    weak = sorted((s for s in scores if s.accuracy < _WEAK), key=lambda s: s.accuracy)
    if not weak:
        return f"No skill is below {_WEAK:.0f} %."
    return "Weak: " + ", ".join(f"{s.skill} ({s.accuracy:.1f} %)" for s in weak) + "."
