"""Make sure that a dataset's TSV is there and right; write down which file it is."""

from pathlib import Path

import click

from vlmake.download import source_record
from vlmake.program import run_program
from vlmake.store import canonical_json, write_text


@click.command()
@click.option("--dataset", required=True, help="Name of the dataset.")
@click.option("--tsv", required=True, type=click.Path(path_type=Path), help="Final name of the TSV.")
@click.option("--url", "urls", multiple=True, help="Where to get it; may be repeated. None: the TSV is used in place.")
@click.option("--md5", "md5s", multiple=True, help="Accepted md5 sum; may be repeated.")
@click.option("--source", required=True, type=click.Path(path_type=Path), help="Written: md5, sha256, size, origin.")
def main(dataset: str, tsv: Path, urls: tuple[str, ...], md5s: tuple[str, ...], source: Path) -> None:
    """Download and check a benchmark's TSV."""
    write_text(source, canonical_json(source_record(dataset, tsv, urls, md5s)) + "\n")


if __name__ == "__main__":
    run_program("download", main)
