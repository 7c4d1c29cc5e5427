"""Shards → all predictions, in the benchmark's order."""

from pathlib import Path

import click

from vlmake.errors import VlmakeError
from vlmake.inference.journal import settle_epoch
from vlmake.inference.predictions import UnlikeShardsError, read_shard, write_predictions
from vlmake.inference.run_record import read_records
from vlmake.runs.program import run_program

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("shards", type=FILE, nargs=-1, required=True)
@click.option("--dataset", required=True, help="The dataset, with its row limit if any.")
@click.option("--journal", type=FILE, required=True, help="Folder of all answers.")
@click.option("--predictions", type=FILE, required=True, help="All predictions.")
@click.option("--timing", type=FILE, required=True, help="Seconds of each prediction.")
def merge(shards: tuple[Path, ...], dataset: str, journal: Path, predictions: Path, timing: Path) -> None:
    """Shards → all predictions, in the benchmark's order."""
    try:
        tables = [read_shard(shard) for shard in shards]
        write_predictions(tables, predictions, timing, read_records(journal, dataset))
    except UnlikeShardsError as error:
        for shard in shards:
            shard.unlink(missing_ok=True)
        raise VlmakeError(
            f"{error}; they are removed, and the same command makes them again from the journal"
        ) from None
    settle_epoch(journal, dataset)


if __name__ == "__main__":
    run_program("merge", merge)
