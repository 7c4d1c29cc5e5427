"""Train TinyVLM from nothing: ``python -m training.train --out DIR``."""

import json
import time
from pathlib import Path

import click
import torch

from training.attention import use_plain_attention
from training.card import FACTS_FILE
from training.model import make_model, make_processor, save
from training.stages import FOCUS, LANGUAGE, VISION, Stage, make_probes, train_language, train_vision
from training.tokenizer import make_tokenizer

SEED = 20251120


def train(out: Path, stages: tuple[Stage, Stage, Stage] = (VISION, LANGUAGE, FOCUS)) -> None:
    """Run the three stages and leave a loadable model in ``out`` after each of them."""
    torch.manual_seed(SEED)
    start = time.monotonic()
    vision, language, focus = stages
    tokenizer = make_tokenizer()
    model, processor, probes = make_model(tokenizer), make_processor(tokenizer), make_probes()
    model.train()
    model.set_attn_implementation(use_plain_attention())
    train_vision(model, tokenizer, vision, click.echo)
    save(model, processor, out)
    for stage in (language, focus):
        train_language(model, tokenizer, probes, stage, click.echo)
        save(model, processor, out)
    facts = {
        "seed": SEED,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "torch": torch.__version__.partition("+")[0],
        "threads": torch.get_num_threads(),
        "minutes": round((time.monotonic() - start) / 60, 1),
        "stages": [
            {"name": s.name, "steps": s.steps, "images": s.steps * s.images, "first_seed": s.first_seed} for s in stages
        ],
    }
    (out / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n")


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the model.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads for torch.")
def main(out: Path, threads: int) -> None:
    """Train TinyVLM with the default stages."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    train(out)


if __name__ == "__main__":
    main()
