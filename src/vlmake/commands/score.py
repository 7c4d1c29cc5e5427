"""``vlmake score``: score predictions that exist already."""

import string
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlmake import __version__
from vlmake.errors import VlmakeError, counted
from vlmake.registry.own_benchmarks import known_registry
from vlmake.registry.readiness import readiness
from vlmake.runs.run_config import config_files, load_config

if TYPE_CHECKING:
    import pandas as pd

    from vlmake.registry.dataset_entries import DatasetEntry
    from vlmake.tables.predictions_io import Record

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--dataset", "--data", "dataset", required=True, help="Registered dataset; a limit such as MME@20 is allowed."
)
@click.option("--tsv", type=FILE, required=True, help="The benchmark's rows; any md5 will do, images are not needed.")
@click.option("--predictions", type=FILE, required=True, help="jsonl, csv, tsv, parquet or xlsx: index, prediction.")
@click.option("--protocol", type=click.Choice(["vlmevalkit-main", "vlmevalkit-ms", "strict"]), help="Of the table.")
@click.option("--out", type=FILE, required=True, help="The table, FILE.csv; FILE.json beside it has all protocols.")
@click.option("--items", type=FILE, help="One JSON line per sample: index, extracted, hit, status, rule.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
def command(
    dataset: str,
    tsv: Path,
    predictions: Path,
    protocol: str | None,
    out: Path,
    items: Path | None,
    registry: tuple[Path, ...],
) -> None:
    """Score predictions that exist already; no model is needed and nothing is downloaded."""
    from vlmake.data.samples import read_text_samples
    from vlmake.paths import lmu_data, parse_dataset
    from vlmake.scoring.protocols import ScoringSpec, score
    from vlmake.scoring.score_files import items_jsonl, write_detail, write_table
    from vlmake.tables.predictions_io import complete, predictions_of, read_records

    config = load_config({"protocol": protocol} if protocol else {}, config_files())
    known = known_registry(config, registry, [dataset])
    name, entry = known.resolve_dataset(dataset), known.dataset(dataset)
    _check_files({"--tsv": tsv, "--predictions": predictions}, out, items)
    samples = read_text_samples(tsv)
    records = list(read_records(predictions))
    given = predictions_of(records, predictions)
    answers, _ = complete(given, samples, str(predictions))
    first = slice(parse_dataset(name).limit)
    notes = _notes(records, predictions, set(samples["index"][first]))
    missing = len(set(samples["index"][first]) - set(given["index"]))
    provenance = {"predictions": predictions.name, "tsv": tsv.name, "vlmake": __version__}
    if entry.dataset is not None:
        from vlmake.dataset_classes.evaluating import Answer, score_by_class
        from vlmake.dataset_classes.process import class_call, log_outside_work

        call = class_call(entry, name, tsv, lmu_data(config.lmu_data), log_outside_work(name))
        rows = [Answer(*row) for row in answers[first].itertuples(index=False, name=None)]
        by_class = score_by_class(call, predictions.stem, entry.judge, rows)
        by_class.write(out, out.with_suffix(".json"), provenance, notes)
        _finish(missing, len(rows), notes, items, by_class.items_jsonl)
        return
    ready = readiness(entry)
    if entry.metric is None or not _has_answers(samples, entry, hidden=ready.result == "submission"):
        raise VlmakeError(f"dataset '{name}' cannot be scored: {ready.reason}")
    if entry.parts:
        raise VlmakeError(f"dataset '{name}' is scored by its parts, one TSV each: {', '.join(entry.parts)}")
    spec = ScoringSpec(name, entry.task, entry.metric, config.protocol)
    result = score(samples[first], answers[first], spec)
    write_table(result, out)
    write_detail(result, provenance, out.with_suffix(".json"), notes)
    _finish(missing, len(samples[first]), notes, items, lambda: items_jsonl(result))


def _has_answers(samples: "pd.DataFrame", entry: "DatasetEntry", hidden: bool) -> bool:
    """Tell whether there is something to score by.

    As VLMEvalKit does with MMBench, a hidden choice set is scored where somebody's TSV has a letter in every row.
    """
    given = samples["answer"].dropna().tolist() if "answer" in samples else []
    if hidden:
        return len(given) == len(samples) and set(given) <= set(string.ascii_uppercase)
    return entry.answers or bool(given)


def _notes(records: Sequence["Record"], predictions: Path, wanted: Set[str]) -> list[str]:
    """Return what the file may have lost of the predictions that are scored, as lines for people."""
    from vlmake.importing.doubts import count_doubts, doubt_lines, imported_rows

    rows = imported_rows((record for record in records if record.index in wanted), predictions.suffix.lower())
    doubts = count_doubts(rows)
    if "emptied" in doubts:
        doubts["emptied"]["meaning"] = "a blank cell: the answer was '', or NA, nan, None or the like; no prediction"
    return doubt_lines(doubts)


def _finish(missing: int, total: int, notes: Sequence[str], items: Path | None, lines: Callable[[], str]) -> None:
    """Say what is doubtful and how many samples have no prediction; write one line a sample where that is wanted."""
    for note in notes:
        click.echo(note, err=True)
    if missing:
        click.echo(f"{missing} of {counted(total, 'sample')} without a prediction, counted as model_error", err=True)
    if items is not None:
        from vlmake.store import write_text

        write_text(items, lines())


def _check_files(inputs: dict[str, Path], out: Path, items: Path | None) -> None:
    """Refuse outputs that would overwrite an input or each other, or replace what is no plain file."""
    if out.suffix != ".csv":
        raise VlmakeError(f"--out {out}: the table is a .csv file; the .json file appears beside it")
    outputs = {"--out": out, "the JSON file beside --out": out.with_suffix(".json")}
    if items is not None:
        outputs["--items"] = items
    seen = {file.resolve(): option for option, file in inputs.items()}
    for option, file in outputs.items():
        if file.is_symlink() or (file.exists() and not file.is_file()):
            raise VlmakeError(f"{option}: {file} is a link or no plain file; name another one")
        if other := seen.get(file.resolve()):
            raise VlmakeError(f"{option}: {file} is {other} as well; name another one")
        seen[file.resolve()] = option
