"""Score stage of a benchmark that is a class: predictions in, what its own `evaluate` makes of them out."""

import json
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq

from vlmake import __version__
from vlmake.dataset_classes.evaluating import Answer, score_by_class
from vlmake.dataset_classes.process import class_call
from vlmake.errors import VlmakeError
from vlmake.importing.imported import notes_about
from vlmake.paths import parse_dataset
from vlmake.registry.dataset_entries import tsv_path
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import FILE, LMU_DATA, REGISTRY, SCORING


@click.command()
@REGISTRY
@LMU_DATA
@SCORING
@click.option("--model", required=True, help="The model, for the name of the file that the class gets.")
@click.option("--dataset", required=True, help="Registered dataset, with its row limit if any.")
@click.option("--log", required=True, type=FILE, help="Written: what the class printed.")
def main(
    registries: tuple[Path, ...],
    lmu_data: Path,
    spec: str,
    model: str,
    dataset: str,
    predictions: Path,
    judged: Path,
    table: Path,
    detail: Path,
    log: Path,
) -> None:
    """Let a dataset class evaluate a model's predictions."""
    try:
        content = pq.read_table(predictions)
    except (pa.ArrowInvalid, OSError) as error:
        raise VlmakeError(f"{predictions} cannot be read ({error}); delete it and run the same command again") from None
    registry = load_registry(registries)
    entry, base = registry.dataset(dataset), parse_dataset(dataset).base
    call = class_call(entry, dataset, tsv_path(base, entry, lmu_data), lmu_data, log)
    answers = [
        Answer(row["index"], row["prediction"], row["status"]) for row in content.to_pylist() if not row["repeat"]
    ]
    scored = score_by_class(call, model, entry.judge, answers)
    made_by = json.loads((content.schema.metadata or {}).get(b"vlmake", b"null"))
    scored.write_judged(judged)
    notes = notes_about(registry.model(model), dataset, [answer.index for answer in answers])
    scored.write(table, detail, {"predictions": made_by, "scoring": json.loads(spec), "vlmake": __version__}, notes)


if __name__ == "__main__":
    run_program("score_class", main)
