"""Submission stage: samples and predictions in, the file for the server with the hidden answers out."""

import json
from pathlib import Path

import click
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.errors import VlmakeError, counted
from vlmake.paths import parse_dataset
from vlmake.runs.program import run_program
from vlmake.submissions.registry import load_writer

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--spec", required=True, help="Dataset and submission format, as one JSON object.")
@click.option("--samples", required=True, type=FILE, help="The decoded benchmark (Parquet).")
@click.option("--predictions", required=True, type=FILE, help="The models' answers (Parquet).")
@click.option("--submission", required=True, type=FILE, help="Written: the file to hand in.")
def main(spec: str, samples: Path, predictions: Path, submission: Path) -> None:
    """Write what is handed in; say what is missing from it."""
    dataset, name = _dataset_and_format(spec)
    limit = parse_dataset(dataset).limit
    rows = _read(samples)[:limit]
    try:
        gaps = load_writer(name).write(rows, _read(predictions), submission)
    except VlmakeError as error:
        raise VlmakeError(f"dataset '{dataset}' cannot be handed in: {error}") from error
    if line := gaps.line(len(rows)):
        click.echo(f"{submission.name}: {line}", err=True)
    if limit is not None:
        click.echo(
            f"{submission.name}: of the first {counted(len(rows), 'row')} only; what is handed in has all of them",
            err=True,
        )


def _dataset_and_format(spec: str) -> tuple[str, str]:
    try:
        values = json.loads(spec)
        return str(values["dataset"]), str(values["submission"])
    except (ValueError, KeyError, TypeError):
        raise VlmakeError("--spec: not a JSON object with 'dataset' and 'submission'") from None


def _read(path: Path) -> pd.DataFrame:
    try:
        return pq.read_table(path).to_pandas()
    except FileNotFoundError:
        raise VlmakeError(f"{path} is not there") from None
    except pa.ArrowInvalid as error:
        raise VlmakeError(f"{path} is damaged ({error}); delete it and run the same command again") from None


if __name__ == "__main__":
    run_program("submit", main)
