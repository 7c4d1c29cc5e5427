"""Make sure that a dataset's TSV is there and right; write down which file it is."""

from pathlib import Path

import click

from vlmake.download import source_record
from vlmake.program import run_program
from vlmake.registry import load_registry, tsv_path
from vlmake.store import canonical_json, write_text

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--registry", "registries", type=FILE, multiple=True, required=True, help="Registry folder; repeatable.")
@click.option("--lmu-data", type=FILE, required=True, help="Where published TSVs lie.")
@click.option("--dataset", required=True, help="Registered dataset; its entry says where the TSV comes from.")
@click.option("--source", type=FILE, required=True, help="Written: md5, sha256, size, origin.")
def download(registries: tuple[Path, ...], lmu_data: Path, dataset: str, source: Path) -> None:
    """Make sure that a dataset's TSV is there and right; write down which file it is."""
    entry = load_registry(registries).dataset(dataset)
    urls = () if entry.path else entry.url
    record = source_record(dataset, tsv_path(dataset, entry, lmu_data), urls, entry.md5)
    write_text(source, canonical_json(record) + "\n")


if __name__ == "__main__":
    run_program("download", download)
