"""``vlmake export``: predictions as a table for people."""

from pathlib import Path

import click

from vlmake import paths
from vlmake.dataset_classes.source import PROTOCOL
from vlmake.errors import VlmakeError, counted
from vlmake.registry.own_benchmarks import known_registry
from vlmake.runs.run_config import config_files, load_config

FORMATS = ("xlsx", "csv", "tsv", "json", "jsonl")


@click.command()
@click.option("--model", required=True, help="Model whose predictions are there.")
@click.option("--dataset", "--data", "dataset", required=True, help="Dataset, with its row limit if any: MME@20.")
@click.option("--format", "file_format", type=click.Choice(FORMATS), help="Else what FILE ends in.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.option("--work-dir", type=click.Path(path_type=Path), default=Path(), help="Where results/ and data/ lie.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
def command(
    model: str, dataset: str, file_format: str | None, out: Path, work_dir: Path, registry: tuple[Path, ...]
) -> None:
    """Write predictions beside their questions, without the images.

    If there is a score, the answers that were found and the hits of the configured protocol follow. Texts stay texts:
    nothing becomes a formula or a number. What does not fit a cell of a spreadsheet stands whole on a second sheet.
    """
    from vlmake.tables.export import exported_table, write_table

    chosen = _format(file_format, out)
    _check_out(out)
    config = load_config({}, config_files())
    known = known_registry(config, registry, [dataset], work_dir)
    pair = known.resolve_model(model), known.resolve_dataset(dataset)
    predictions, judged = work_dir / paths.predictions(*pair), work_dir / paths.judged(*pair)
    samples = work_dir / paths.samples(paths.parse_dataset(pair[1]).base, config.data_dir)
    for file in (predictions, samples):
        if not file.is_file():
            raise VlmakeError(f"{file} is not there; `vlmake run --model {pair[0]} --data {pair[1]}` makes it")
    protocol = config.protocol if known.dataset(pair[1]).dataset is None else PROTOCOL
    table = exported_table(samples, predictions, _current(judged, predictions), protocol)
    if cut := write_table(table, out, chosen):
        click.echo(f"{counted(cut, 'cell')} too long for a spreadsheet: cut, and whole on its second sheet", err=True)


def _format(given: str | None, out: Path) -> str:
    """Return the format that was asked for; VlmakeError where the file's name says another one, or none."""
    ending = out.suffix.lower().removeprefix(".")
    if given is None and ending not in FORMATS:
        raise VlmakeError(f"--out {out}: name a --format, or end the name in one of {', '.join(FORMATS)}")
    if given is not None and ending in FORMATS and ending != given:
        raise VlmakeError(f"--out {out}: ends in .{ending} and --format is {given}; make them the same")
    return given or ending


def _check_out(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise VlmakeError(f"--out {out} is a link or no plain file; name another one")


def _current(judged: Path, predictions: Path) -> Path | None:
    """Return the judged rows unless there are none, or only those of earlier predictions."""
    if not judged.is_file():
        return None
    if judged.stat().st_mtime_ns < predictions.stat().st_mtime_ns:
        click.echo(f"{judged} is older than the predictions and is left out; score them again", err=True)
        return None
    return judged
