"""Fetch and convert what a model is loaded from; write down where it is and which commit it is."""

from pathlib import Path
from typing import get_args

import click

from vlmake.data.hubs import Hub
from vlmake.models import checkpoints
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import FILE, REGISTRY
from vlmake.store import write_text


@click.command()
@REGISTRY
@click.option("--model", required=True, help="Registered model; its entry says where the checkpoint comes from.")
@click.option("--hub", type=click.Choice(get_args(Hub)), required=True, help="Where from, if the entry does not say.")
@click.option("--model-cache", type=FILE, required=True, help="Where converted checkpoints lie.")
@click.option("--checkpoint", type=FILE, required=True, help="Written: folder, identity and pinned commit.")
def fetch(registries: tuple[Path, ...], model: str, hub: Hub, model_cache: Path, checkpoint: Path) -> None:
    """Fetch and convert what a model is loaded from; write down where it is and which commit it is."""
    entry = load_registry(registries).model(model)
    checkpoints.require_environment(model, entry)
    located = checkpoints.locate(model, entry, hub, model_cache)
    write_text(checkpoint, checkpoints.record(located))


if __name__ == "__main__":
    run_program("checkpoint", fetch)
