"""Score stage: samples and predictions in, judged rows, table and detail out."""

from pathlib import Path

import click

from vlmake import __version__
from vlmake.importing.imported import notes_about
from vlmake.judges.judgements import read_judgements
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import FILE, SCORING
from vlmake.scoring.protocols import ScoringSpec, score
from vlmake.scoring.score_files import write_detail, write_judged, write_table
from vlmake.scoring.score_inputs import json_object, read_predictions, read_samples


@click.command()
@SCORING
@click.option("--samples", required=True, type=FILE, help="The decoded benchmark (Parquet).")
@click.option("--judgements", type=FILE, help="What a judge said of what rules leave open (Parquet).")
@click.option("--registry", "registries", type=FILE, multiple=True, help="Registry folder; repeatable.")
@click.option("--model", help="The model: of imported predictions it is said what their files had lost.")
def main(
    spec: str,
    samples: Path,
    judgements: Path | None,
    predictions: Path,
    registries: tuple[Path, ...],
    model: str | None,
    judged: Path,
    table: Path,
    detail: Path,
) -> None:
    """Extract the answers and score them, in every protocol."""
    wanted = ScoringSpec.from_mapping(settings := json_object(spec, "--spec"))
    answers, made_by = read_predictions(predictions)
    rows = read_samples(samples, wanted.dataset)
    result = score(rows, answers, wanted, read_judgements(judgements) if judgements else None)
    provenance = {"predictions": made_by, "scoring": settings, "vlmake": __version__}
    write_judged(result, judged)
    write_table(result, table)
    notes = notes_about(load_registry(registries).model(model), wanted.dataset, rows["index"]) if model else []
    write_detail(result, provenance, detail, notes)


if __name__ == "__main__":
    run_program("score", main)
