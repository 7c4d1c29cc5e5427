"""Turn a dataset's TSV into a table of samples and a store of images."""

import json
from pathlib import Path

import click

from vlmake.decode import decode
from vlmake.errors import VlmakeError
from vlmake.program import run_program


@click.command()
@click.option("--tsv", required=True, type=click.Path(path_type=Path), help="The TSV.")
@click.option("--source", required=True, type=click.Path(path_type=Path), help="What the download step wrote about it.")
@click.option("--image-root", required=True, type=click.Path(path_type=Path), help="Folder of the image_path files.")
@click.option("--samples", required=True, type=click.Path(path_type=Path), help="Written: the samples (Parquet).")
@click.option("--images", required=True, type=click.Path(path_type=Path), help="Written: the image store (Arrow).")
def main(tsv: Path, source: Path, image_root: Path, samples: Path, images: Path) -> None:
    """Decode a benchmark's TSV."""
    try:
        record = json.loads(source.read_bytes())
        expected = {"sha256": str(record["sha256"]), "size": int(record["size"])}
    except FileNotFoundError:
        raise VlmakeError(f"{source} does not exist; run the download step first") from None
    except (ValueError, KeyError, TypeError):
        raise VlmakeError(f"{source} does not say sha256 and size; delete it and run the download step again") from None
    done = decode(tsv, expected, image_root, samples, images)
    if done.broken:
        click.echo(
            f"vlmake decode: {done.broken} of {done.rows} rows have no usable image; the first is {done.first_broken}",
            err=True,
        )


if __name__ == "__main__":
    run_program("decode", main)
