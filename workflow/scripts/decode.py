"""Turn a dataset's TSV into a table of samples and a store of images."""

import json
from pathlib import Path

import click

from vlmake.data.decode import decode
from vlmake.errors import VlmakeError, counted
from vlmake.paths import image_root
from vlmake.registry.dataset_entries import tsv_path
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import DECODING


@click.command()
@DECODING
def main(registries: tuple[Path, ...], lmu_data: Path, dataset: str, source: Path, samples: Path, images: Path) -> None:
    """Decode a benchmark's TSV."""
    try:
        record = json.loads(source.read_bytes())
        expected = {"sha256": str(record["sha256"]), "size": int(record["size"])}
    except FileNotFoundError:
        raise VlmakeError(f"{source} does not exist; run the download step first") from None
    except (ValueError, KeyError, TypeError):
        raise VlmakeError(f"{source} does not say sha256 and size; delete it and run the download step again") from None
    tsv = tsv_path(dataset, load_registry(registries).dataset(dataset), lmu_data)
    done = decode(tsv, expected, image_root(dataset, lmu_data), samples, images)
    if done.broken:
        click.echo(
            f"vlmake decode: {done.broken} of {counted(done.rows, 'row')} without a usable image;"
            f" the first is {done.first_broken}",
            err=True,
        )
    if done.turned:
        click.echo(
            f"vlmake decode: {done.turned} of {counted(done.images, 'image')} with an EXIF orientation; models see"
            " them as they are stored, unturned",
            err=True,
        )


if __name__ == "__main__":
    run_program("decode", main)
