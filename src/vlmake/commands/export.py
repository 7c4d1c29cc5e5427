"""``vlmake export``: predictions as a table for people."""

from pathlib import Path

import click

from vlmake import paths
from vlmake.commands.arguments import refuse_parted
from vlmake.dataset_classes.source import PROTOCOL
from vlmake.errors import VlmakeError, counted
from vlmake.registry.judge_entries import EXACT
from vlmake.registry.own_benchmarks import known_registry
from vlmake.runs.run_config import config_files, load_config

FORMATS = ("xlsx", "csv", "tsv", "json", "jsonl")


@click.command()
@click.option("--model", required=True, help="Model whose predictions are there.")
@click.option("--dataset", "--data", "dataset", required=True, help="Dataset, with its row limit if any: MME@20.")
@click.option("--judge", metavar="NAME", help="Whose score to show; exact: that of rules alone.")
@click.option("--format", "file_format", type=click.Choice(FORMATS), help="Else what FILE ends in.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.option("--work-dir", type=click.Path(path_type=Path), default=Path(), help="Where results/ and data/ lie.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
def command(
    model: str,
    dataset: str,
    judge: str | None,
    file_format: str | None,
    out: Path,
    work_dir: Path,
    registry: tuple[Path, ...],
) -> None:
    """Write predictions beside their questions, without the images.

    If there is a score, the answers that were found and the hits of the configured protocol follow: those of rules
    alone, or of a judge where --judge names one or a single one is all there is. Texts stay texts: nothing becomes a
    formula or a number. What does not fit a cell of a spreadsheet stands whole on a second sheet.
    """
    from vlmake.tables.export import exported_table, write_table

    chosen = _format(file_format, out)
    _check_out(out)
    config = load_config({}, config_files())
    known = known_registry(config, registry, [dataset], work_dir)
    pair = known.resolve_model(model), known.resolve_dataset(dataset)
    refuse_parted(pair[1], known.dataset(pair[1]))
    predictions = work_dir / paths.predictions(*pair)
    samples = work_dir / paths.samples(paths.parse_dataset(pair[1]).base, config.data_dir)
    for file in (predictions, samples):
        if not file.is_file():
            raise VlmakeError(f"{file} is not there; `vlmake run --model {pair[0]} --data {pair[1]}` makes it")
    protocol = config.protocol if known.dataset(pair[1]).dataset is None else PROTOCOL
    chosen_judge = _judge(judge, *pair, work_dir)
    judged = _current(work_dir / paths.judged(*pair, chosen_judge), predictions)
    if judged and chosen_judge:
        _say_who_judged(chosen_judge, work_dir / paths.judgements(*pair, chosen_judge))
    table = exported_table(samples, predictions, judged, protocol)
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


def _judge(given: str | None, model: str, dataset: str, work_dir: Path) -> str:
    """Return the judge whose score is shown; empty for the one that rules alone made, or where there is none.

    Raises VlmakeError for a judge that made no score, and where several did and none is named.
    """
    if given == EXACT or (given is None and (work_dir / paths.judged(model, dataset)).is_file()):
        return ""
    there = _judges(model, dataset, work_dir)
    if given in there or (given is None and len(there) < 2):
        return given or "".join(there)
    if given is None:
        raise VlmakeError(f"several judges scored {model} on {dataset}: name one, --judge {' or '.join(there)}")
    known = f"there are {', '.join(there)}" if there else "no judge has scored it"
    raise VlmakeError(
        f"{work_dir / paths.judged(model, dataset, given)} is not there; {known}"
        f" (`vlmake run --model {model} --data {dataset} --judge {given}` makes it)"
    )


def _judges(model: str, dataset: str, work_dir: Path) -> list[str]:
    """Return the judges whose judged rows are there, sorted."""
    judges = (name.judge for name in paths.present_scores(work_dir) if name[:2] == (model, dataset) and name.judge)
    return sorted(judge for judge in judges if (work_dir / paths.judged(model, dataset, judge)).is_file())


def _say_who_judged(judge: str, judgements: Path) -> None:
    from vlmake.judges.judgements import read_judgements

    fallback = read_judgements(judgements).fallback if judgements.is_file() else None
    said = "its verdicts are part of this" if fallback is None else f"rules alone have scored: {fallback}"
    click.echo(f"judge {judge}: {said}", err=True)


def _current(judged: Path, predictions: Path) -> Path | None:
    """Return the judged rows unless there are none, or only those of earlier predictions."""
    if not judged.is_file():
        return None
    if judged.stat().st_mtime_ns < predictions.stat().st_mtime_ns:
        click.echo(f"{judged} is older than the predictions and is left out; score them again", err=True)
        return None
    return judged
