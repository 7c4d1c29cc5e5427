"""The training stages: what each is made of, and how each is run."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from training.batches import PATCH_NAMES, PATCH_PLACES, PREFIX, PackedBatch, packed_batch, patch_batch
from training.model import GRID, WIDTH, image_features
from training.questions import SKILLS
from training.scenes import TRAIN_SEEDS
from training.tokenizer import USER_ID
from training.wording import PROBE_CLASSES

Report = Callable[[str], None]

PROBED_LAYER = {"match": 2, "same": 2, "color": 2, "column": 2, "row": 2, "option": 3}
PROBED_LAYER |= {"shape": 2, "left": 3, "above": 3}
"""The decoder layer after which a kind of probe is read: early enough for the answer to make use of it."""

_FIRST_PROBES = ("match", "same", "color", "column", "row", "option")
_GROUND_WEIGHT = 0.15  # most patches show nothing
_PROBE_WEIGHT = 0.5
_REPORT_EVERY = 50
_BEFORE_POSITION = dict.fromkeys(SKILLS, 1.0) | {"position_yn": 0.0}


@dataclass(frozen=True)
class Stage:
    """One stage with its fixed length; scenes are taken from ``first_seed`` on.

    ``last_rate`` is the share of the learning rate that is left in the end; a stage ``with_vision`` false leaves the
    vision tower and the projector as they are.
    """

    name: str
    steps: int
    images: int
    learning_rate: float
    last_rate: float
    first_seed: int
    per_scene: int = 0
    caption_share: float = 0.0
    with_vision: bool = True
    weights: Mapping[str, float] | None = None
    probes: tuple[str, ...] = _FIRST_PROBES

    def seeds(self, step: int) -> Sequence[int]:
        """Return the scenes of one step."""
        first = self.first_seed + step * self.images
        return TRAIN_SEEDS[first : first + self.images]


VISION = Stage("vision", steps=3000, images=32, learning_rate=1.5e-3, last_rate=0.03, first_seed=2**28)
LANGUAGE = Stage(
    "language",
    steps=1200,
    images=20,
    learning_rate=1.3e-3,
    last_rate=0.6,
    first_seed=2**29,
    per_scene=5,
    caption_share=0.7,
    with_vision=False,
    weights=_BEFORE_POSITION | {"ocr_open": 2.0, "ocr_yn": 2.0, "relation_yn": 2.0},
)
FOCUS = Stage(
    "focus",
    steps=1300,
    images=20,
    learning_rate=1.0e-3,
    last_rate=0.02,
    first_seed=2**30,
    per_scene=6,
    caption_share=0.1,
    with_vision=False,
    weights=_BEFORE_POSITION
    | {"ocr_yn": 3.0, "ocr_mcq": 3.0, "relation_yn": 3.0, "color_mcq": 2.0, "shape_mcq": 2.0}
    | {"count_mcq": 1.5, "quadrant_mcq": 2.0, "existence_yn": 2.0},
)
RELATIONS = Stage(
    "relations",
    steps=1500,
    images=20,
    learning_rate=0.9e-3,
    last_rate=0.02,
    first_seed=2**31,
    per_scene=6,
    caption_share=0.1,
    with_vision=False,
    weights=_BEFORE_POSITION
    | {"relation_yn": 6.0, "bound_existence": 4.0, "quadrant_mcq": 3.0, "color_open": 2.5, "color_mcq": 1.5}
    | {"shape_open": 2.5, "shape_mcq": 2.5, "ocr_yn": 1.5, "ocr_mcq": 1.5},
    probes=tuple(PROBE_CLASSES),
)
POSITION = Stage(
    "position",
    steps=600,
    images=20,
    learning_rate=0.6e-3,
    last_rate=0.02,
    first_seed=3 * 2**30,
    per_scene=6,
    caption_share=0.05,
    with_vision=False,
    weights=dict.fromkeys(SKILLS, 1.0) | {"position_yn": 6.0, "bound_existence": 1.0},
    probes=tuple(PROBE_CLASSES),
)
HALVES = Stage(
    "halves",
    steps=400,
    images=20,
    learning_rate=0.8e-3,
    last_rate=0.02,
    first_seed=7 * 2**29,
    per_scene=6,
    caption_share=0.05,
    with_vision=False,
    weights=dict.fromkeys(SKILLS, 1.0) | {"position_yn": 9.0, "bound_existence": 1.0, "shape_mcq": 1.5},
    probes=tuple(PROBE_CLASSES),
)
LAST = Stage(
    "last",
    steps=600,
    images=20,
    learning_rate=0.9e-3,
    last_rate=0.02,
    first_seed=15 * 2**28,
    per_scene=8,
    caption_share=0.05,
    with_vision=False,
    weights=dict.fromkeys(SKILLS, 1.0)
    | {"position_yn": 12.0, "bound_existence": 1.0, "shape_mcq": 2.0, "quadrant_mcq": 2.5},
    probes=tuple(PROBE_CLASSES),
)
STAGES = (VISION, LANGUAGE, FOCUS, RELATIONS, POSITION, HALVES, LAST)


class PatchHeads(nn.Module):
    """What reads a patch: place by throw-away weights, everything that has a name by the name's own embedding.

    So a patch that shows a red circle comes to lie near the words "red" and "circle", and a K near the character K,
    which makes comparing picture and question easy to learn.
    """

    def __init__(self, embeddings: nn.Embedding, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.ground = nn.ParameterDict({name: nn.Parameter(torch.zeros(1, WIDTH)) for name in PATCH_NAMES})
        self.places = nn.ModuleDict({name: nn.Linear(WIDTH, 1 + GRID) for name in PATCH_PLACES})
        self._ids = {
            name: torch.tensor([_single_id(tokenizer, w) for w in words]) for name, words in PATCH_NAMES.items()
        }

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the logits of every reading."""
        named = {
            name: functional.linear(features, torch.cat([self.ground[name], self.embeddings(ids)]))
            for name, ids in self._ids.items()
        }
        return named | {name: head(features) for name, head in self.places.items()}


def train_vision(
    model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, stage: Stage, report: Report
) -> None:
    """Train vision tower and projector alone to name what is in every patch."""
    heads = PatchHeads(model.get_input_embeddings(), tokenizer)
    log = _Log(stage, report)
    for step, optimizer in _schedule((model.model.vision_tower, model.model.multi_modal_projector, heads), stage):
        pixels, labels = patch_batch(stage.seeds(step))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = heads(image_features(model, pixels))
        outputs = {name: output.float().flatten(0, 1) for name, output in outputs.items()}
        targets = {name: labels[name.partition(":")[0]].flatten() for name in outputs}
        losses = [
            functional.cross_entropy(output, targets[name], weight=_ground_weight(output.shape[1]))
            for name, output in outputs.items()
        ]
        _update(optimizer, sum(losses))
        log.add(step, {name: _accuracy(output, targets[name], above=0) for name, output in outputs.items()})


def train_language(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    probes: nn.ModuleDict,
    stage: Stage,
    report: Report,
) -> None:
    """Train everything on packed questions, with probes read from the middle of the decoder."""
    log = _Log(stage, report)
    assert stage.weights
    seeing = (model.model.vision_tower, model.model.multi_modal_projector)
    for part in seeing:
        part.requires_grad_(stage.with_vision)
    for step, optimizer in _schedule((model, probes), stage):
        batch = packed_batch(stage.seeds(step), tokenizer, stage.weights, stage.per_scene, stage.caption_share)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = hidden_states(model, batch)
            answered = batch.labels >= 0
            logits = model.lm_head(states[-1][answered]).float()
            probed = {
                kind: probes[kind](states[PROBED_LAYER[kind]][rows, columns]).float()
                for kind, (rows, columns, _) in batch.probes.items()
                if kind in stage.probes
            }
        targets = {kind: labels for kind, (_, _, labels) in batch.probes.items()}
        answer_loss = functional.cross_entropy(logits, batch.labels[answered])
        probe_loss = sum(functional.cross_entropy(probed[kind], targets[kind]) for kind in probed)
        _update(optimizer, answer_loss + _PROBE_WEIGHT * probe_loss)
        accuracies = {kind: _accuracy(probed[kind], targets[kind]) for kind in probed}
        log.add(step, {"loss": answer_loss.item(), "answer": _accuracy(logits, batch.labels[answered])} | accuracies)


def _single_id(tokenizer: PreTrainedTokenizerFast, word: str) -> int:
    (token_id,) = tokenizer(word, add_special_tokens=False)["input_ids"]
    return token_id


def _ground_weight(classes: int) -> torch.Tensor:
    return torch.tensor([_GROUND_WEIGHT] + [1.0] * (classes - 1))


def make_probes() -> nn.ModuleDict:
    """Return the throw-away heads that read the probes."""
    return nn.ModuleDict(
        {kind: nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, n)) for kind, n in PROBE_CLASSES.items()}
    )


def hidden_states(model: LlavaForConditionalGeneration, batch: PackedBatch) -> tuple[torch.Tensor, ...]:
    """Return what each decoder layer made of the packed questions; the last entry is normalised."""
    embed = model.get_input_embeddings()
    start = embed(torch.full((len(batch.pixels), 1), USER_ID))
    features = image_features(model, batch.pixels).to(start.dtype)
    output = model.model.language_model(
        inputs_embeds=torch.cat([start, features, embed(batch.tokens)], 1),
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
        output_hidden_states=True,
    )
    return tuple(state[:, PREFIX:] for state in (*output.hidden_states[:-1], output.last_hidden_state))


def _schedule(parts: Sequence[nn.Module], stage: Stage) -> Iterator[tuple[int, torch.optim.Optimizer]]:
    """Yield each step with the optimizer at its learning rate: a short rise, then a cosine down."""
    parameters = [parameter for part in parts for parameter in part.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.05},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=stage.learning_rate, betas=(0.9, 0.98))
    for step in range(stage.steps):
        fall = stage.last_rate + (1 - stage.last_rate) * 0.5 * (1 + math.cos(math.pi * step / stage.steps))
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * min(1.0, (step + 1) / 80) * fall
        yield step, optimizer


def _update(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for group in optimizer.param_groups:
        nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimizer.step()


@torch.no_grad()
def _accuracy(logits: torch.Tensor, labels: torch.Tensor, above: int = -1) -> float:
    counted = labels > above
    return (logits.argmax(-1) == labels)[counted].float().mean().item()


class _Log:
    """Mean of what was measured since the last line."""

    def __init__(self, stage: Stage, report: Report) -> None:
        self._stage, self._report, self._start = stage, report, time.monotonic()
        self._values: dict[str, list[float]] = defaultdict(list)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if not math.isnan(value):
                self._values[name].append(value)
        if (step + 1) % _REPORT_EVERY == 0:
            means = " ".join(f"{name} {sum(v) / len(v):.3f}" for name, v in self._values.items())
            seconds = time.monotonic() - self._start
            self._report(f"{self._stage.name} {step + 1}/{self._stage.steps} {seconds:.0f}s {means}")
            self._values.clear()
