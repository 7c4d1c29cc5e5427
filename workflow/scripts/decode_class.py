"""Turn a dataset's TSV into a table of samples with their prompts and a store of images, by a class of the user's."""

import json
from pathlib import Path

import click

from vlmake.dataset_classes.asking import decode_class
from vlmake.dataset_classes.process import class_call
from vlmake.errors import VlmakeError, counted
from vlmake.registry.dataset_entries import tsv_path
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import DECODING, FILE


@click.command()
@DECODING
@click.option("--log", required=True, type=FILE, help="Written: what the class printed.")
def main(
    registries: tuple[Path, ...],
    lmu_data: Path,
    dataset: str,
    source: Path,
    samples: Path,
    images: Path,
    log: Path,
) -> None:
    """Let a dataset class build the prompts of its rows."""
    try:
        record = json.loads(source.read_bytes())
    except (OSError, ValueError):
        raise VlmakeError(f"{source} cannot be read; delete it and run the download step again") from None
    entry = load_registry(registries).dataset(dataset)
    call = class_call(entry, dataset, tsv_path(dataset, entry, lmu_data), lmu_data, log)
    done = decode_class(call, record, samples, images)
    if done.broken:
        click.echo(
            f"vlmake decode_class: {done.broken} of {counted(done.rows, 'row')} without a usable image; the first is"
            f" {done.first_broken}",
            err=True,
        )


if __name__ == "__main__":
    run_program("decode_class", main)
