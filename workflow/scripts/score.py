"""Score stage: samples and predictions in, judged rows, table and detail out."""

import json
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vlmake import __version__
from vlmake.errors import VlmakeError
from vlmake.importing.imported import notes_about
from vlmake.paths import parse_dataset
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import FILE, SCORING
from vlmake.scoring.protocols import ScoringSpec, score
from vlmake.scoring.score_files import write_detail, write_judged, write_table

FOLDER = click.Path(path_type=Path)


@click.command()
@SCORING
@click.option("--samples", required=True, type=FILE, help="The decoded benchmark (Parquet).")
@click.option("--registry", "registries", type=FOLDER, multiple=True, help="Registry folder; repeatable.")
@click.option("--model", help="The model: of imported predictions it is said what their files had lost.")
def main(
    spec: str,
    samples: Path,
    predictions: Path,
    registries: tuple[Path, ...],
    model: str | None,
    judged: Path,
    table: Path,
    detail: Path,
) -> None:
    """Extract the answers and score them, in every protocol."""
    wanted = ScoringSpec.from_mapping(settings := _json_object(spec, "--spec"))
    answers, made_by = _read(predictions)
    rows = _read(samples)[0][: parse_dataset(wanted.dataset).limit]
    result = score(rows, answers, wanted)
    provenance = {"predictions": made_by, "scoring": settings, "vlmake": __version__}
    write_judged(result, judged)
    write_table(result, table)
    notes = notes_about(load_registry(registries).model(model), wanted.dataset, rows["index"]) if model else []
    write_detail(result, provenance, detail, notes)


def _read(path: Path) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Return a Parquet table and the JSON object under ``vlmake`` in its schema's metadata, if there is one."""
    try:
        content = pq.read_table(path)
    except FileNotFoundError:
        raise VlmakeError(f"{path} is not there") from None
    except pa.ArrowInvalid as error:
        raise VlmakeError(f"{path} is damaged ({error}); delete it and run the same command again") from None
    about = (content.schema.metadata or {}).get(b"vlmake")
    return content.to_pandas(), None if about is None else _json_object(about.decode(), f"{path}: metadata")


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise VlmakeError(f"{where}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise VlmakeError(f"{where}: not a JSON object")
    return value


if __name__ == "__main__":
    run_program("score", main)
