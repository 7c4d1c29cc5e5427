"""Make sure that a dataset's TSV is there and right; write down which file it is."""

from pathlib import Path

import click

from vlmake.data.download import source_record
from vlmake.data.hf_source import source_record_from_hub
from vlmake.dataset_classes.asking import published_tsv
from vlmake.dataset_classes.process import class_call
from vlmake.registry.dataset_entries import tsv_path
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import FILE, LMU_DATA, REGISTRY
from vlmake.store import canonical_json, write_text


@click.command()
@REGISTRY
@LMU_DATA
@click.option("--dataset", required=True, help="Registered dataset; its entry says where the TSV comes from.")
@click.option("--source", type=FILE, required=True, help="Written: md5, sha256, size, origin.")
def download(registries: tuple[Path, ...], lmu_data: Path, dataset: str, source: Path) -> None:
    """Make sure that a dataset's TSV is there and right; write down which file it is."""
    entry = load_registry(registries).dataset(dataset)
    tsv = tsv_path(dataset, entry, lmu_data)
    if entry.source and not entry.path:
        record = source_record_from_hub(dataset, tsv, entry)
    elif entry.dataset and not (entry.path or entry.url):
        call = class_call(entry, dataset, tsv, lmu_data, source.with_name("class.log"))
        record = source_record(dataset, tsv, *published_tsv(call))
    else:
        record = source_record(dataset, tsv, () if entry.path else entry.url, entry.md5)
    write_text(source, canonical_json(record) + "\n")


if __name__ == "__main__":
    run_program("download", download)
