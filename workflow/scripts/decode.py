"""Turn a dataset's TSV into a table of samples and a store of images."""

import json
from pathlib import Path

import click

from vlmake.data.decode import decode
from vlmake.errors import VlmakeError
from vlmake.paths import image_root
from vlmake.registry.entries import tsv_path
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--registry", "registries", type=FILE, multiple=True, required=True, help="Registry folder; repeatable.")
@click.option("--lmu-data", type=FILE, required=True, help="Where published TSVs and images/ lie.")
@click.option("--dataset", required=True, help="Registered dataset.")
@click.option("--source", required=True, type=FILE, help="What the download step wrote about it.")
@click.option("--samples", required=True, type=FILE, help="Written: the samples (Parquet).")
@click.option("--images", required=True, type=FILE, help="Written: the image store (Arrow).")
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
            f"vlmake decode: {done.broken} of {done.rows} rows have no usable image; the first is {done.first_broken}",
            err=True,
        )
    if done.turned:
        click.echo(
            f"vlmake decode: {done.turned} of {done.images} images carry an EXIF orientation; models see them as they"
            " are stored, unturned",
            err=True,
        )


if __name__ == "__main__":
    run_program("decode", main)
