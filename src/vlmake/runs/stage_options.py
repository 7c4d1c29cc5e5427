"""Options that several stage programs take: one word means one file, whichever program does the stage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

FILE = click.Path(path_type=Path)


def _together(*options: Decorator) -> Decorator:
    """Return one decorator that adds all options, in the order in which ``--help`` shows them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


REGISTRY = click.option(
    "--registry", "registries", type=FILE, multiple=True, required=True, help="Registry folder; repeatable."
)
LMU_DATA = click.option("--lmu-data", type=FILE, required=True, help="Where published TSVs and images/ lie.")

DECODING = _together(
    REGISTRY,
    LMU_DATA,
    click.option("--dataset", required=True, help="Registered dataset."),
    click.option("--source", required=True, type=FILE, help="What the download step wrote about it."),
    click.option("--samples", required=True, type=FILE, help="Written: the samples (Parquet)."),
    click.option("--images", required=True, type=FILE, help="Written: the image store (Arrow)."),
)
"""TSV in, samples and images out: ``decode`` and ``decode_class``."""

SCORING = _together(
    click.option("--spec", required=True, help="What the score depends on, as one JSON object."),
    click.option("--predictions", required=True, type=FILE, help="The model's answers (Parquet)."),
    click.option("--judged", required=True, type=FILE, help="Written: one row a sample and protocol (Parquet)."),
    click.option("--table", required=True, type=FILE, help="Written: the configured protocol's score table (CSV)."),
    click.option("--detail", required=True, type=FILE, help="Written: every protocol's numbers, provenance (JSON)."),
)
"""Predictions in, judged rows, table and detail out: ``score`` and ``score_class``."""
