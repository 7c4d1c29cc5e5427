"""Shards → all predictions, in the benchmark's order."""

from pathlib import Path

import click
import pyarrow.parquet as pq

from vlmake.predictions import write_predictions
from vlmake.program import run_program

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("shards", type=FILE, nargs=-1, required=True)
@click.option("--predictions", type=FILE, required=True, help="All predictions.")
@click.option("--timing", type=FILE, required=True, help="Seconds of each prediction.")
def merge(shards: tuple[Path, ...], predictions: Path, timing: Path) -> None:
    """Shards → all predictions, in the benchmark's order."""
    write_predictions([pq.read_table(shard) for shard in shards], predictions, timing)


if __name__ == "__main__":
    run_program("merge", merge)
