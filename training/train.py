"""Train TinyVLM from nothing: ``python -m training.train --out DIR``.

Every stage starts from the files the stage before it left in the folder, so a run that was stopped goes on with
``--resume`` and comes to the same weights as one that was not.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from training.attention import use_plain_attention
from training.card import FACTS_FILE
from training.model import make_model, make_processor, save
from training.stages import STAGES, VISION, Stage, make_probes, train_language, train_vision
from training.tokenizer import make_tokenizer

SEED = 20251120


def start(out: Path) -> None:
    """Leave tokenizer and untrained model in ``out``."""
    torch.manual_seed(SEED)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    save(model, make_processor(tokenizer), out)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    _write_facts(out, {"seed": SEED, "parameters": parameters, "stages": []})


def run_stage(out: Path, stage: Stage) -> None:
    """Run one stage on the model in ``out`` and leave the result there."""
    torch.manual_seed(SEED + stage.first_seed)
    began = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = LlavaForConditionalGeneration.from_pretrained(out, dtype=torch.float32).train()
    model.set_attn_implementation(use_plain_attention())
    if stage.name == VISION.name:
        train_vision(model, tokenizer, stage, click.echo)
    else:
        train_language(model, tokenizer, make_probes(), stage, click.echo)
    save(model, make_processor(tokenizer), out)
    facts = _read_facts(out)
    facts["stages"].append(
        {
            "name": stage.name,
            "steps": stage.steps,
            "images": stage.steps * stage.images,
            "first_seed": stage.first_seed,
            "minutes": round((time.monotonic() - began) / 60, 1),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__.partition("+")[0],
        }
    )
    _write_facts(out, facts)


def train(out: Path, stages: Sequence[Stage] = STAGES, resume: bool = False) -> None:
    """Run the stages one after another, on resuming only those that ``out`` has not been through."""
    if not resume:
        start(out)
    done = len(_read_facts(out)["stages"])
    for stage in stages[done:]:
        run_stage(out, stage)


def _read_facts(out: Path) -> dict[str, Any]:
    return json.loads((out / FACTS_FILE).read_text())


def _write_facts(out: Path, facts: dict[str, Any]) -> None:
    (out / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n")


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the model.")
@click.option("--resume", is_flag=True, help="Go on after the last finished stage in the folder.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads for torch.")
def main(out: Path, resume: bool, threads: int) -> None:
    """Train TinyVLM with the default stages."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    train(out, resume=resume)


if __name__ == "__main__":
    main()
