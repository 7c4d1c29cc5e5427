"""``vlmake audit``: extraction checked by hand."""

from pathlib import Path

import click

from vlmake.commands.arguments import spread_values
from vlmake.errors import VlmakeError, counted
from vlmake.registry.loading import Registry
from vlmake.registry.own_benchmarks import known_registry
from vlmake.registry.readiness import readiness
from vlmake.runs.run_config import config_files, load_config

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path)
DATASETS = "Datasets, each with its row limit if any: MME@20."


class _Draw(click.Command):
    """Reads ``--data A B`` as two values, as ``vlmake run`` does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_values(args))


@click.group()
def command() -> None:
    """Check by hand what was read from predictions: draw a sheet, label it, and see how far it can be trusted."""


@command.command("draw", cls=_Draw, short_help="Draw a sheet of predictions to label.")
@click.option("--model", "models", multiple=True, required=True, metavar="NAME...", help="Models that have results.")
@click.option("--data", "--dataset", "datasets", multiple=True, required=True, metavar="NAME...", help=DATASETS)
@click.option("--samples", type=click.IntRange(min=1), default=100, show_default=True, help="Rows of the sheet.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="What the rows are drawn by.")
@click.option("--out", type=FILE, required=True, help="The sheet, FILE.csv or FILE.xlsx; FILE.json appears beside it.")
@click.option("--work-dir", type=FOLDER, default=Path(), help="Where results/ and data/ lie.")
@click.option("--registry", multiple=True, type=FOLDER, help="Another registry folder.")
def draw_sheet(
    models: tuple[str, ...],
    datasets: tuple[str, ...],
    samples: int,
    seed: int,
    out: Path,
    work_dir: Path,
    registry: tuple[Path, ...],
) -> None:
    """Draw predictions to be labelled by hand, seldom rules and disagreements of the protocols included.

    The sheet shows the question and the prediction, and not what was read from it or what is right: that stands in
    FILE.json, which the person who labels should not open. Several models and datasets are drawn from together.
    """
    from vlmake.audit.draw import draw
    from vlmake.audit.labels import INSTRUCTIONS
    from vlmake.audit.population import read_population
    from vlmake.audit.sheet import record_file, write_sheet

    config = load_config({}, config_files())
    known = known_registry(config, registry, datasets, work_dir)
    names = [known.resolve_dataset(dataset) for dataset in dict.fromkeys(datasets)]
    if classes := [name for name in names if known.dataset(name).dataset is not None]:
        raise VlmakeError(f"dataset '{classes[0]}': its class reads the answers, there is nothing to audit")
    for name in names:
        if (ready := readiness(known.dataset(name))).result != "score":
            raise VlmakeError(f"dataset '{name}' has no scored answers to audit: {ready.reason}")
    pairs = [(model, name, known.dataset(name).task) for model in _models(models, known, work_dir) for name in names]
    drawing = draw(read_population(list(dict.fromkeys(pairs)), work_dir, config.data_dir), samples, seed)
    write_sheet(drawing, out)
    population, strata = drawing.record["population"], drawing.record["strata"]
    click.echo(
        f"{out}: {len(drawing.rows)} of {counted(population['rows'], 'row')},"
        f" from {counted(len(strata), 'stratum', 'strata')}"
    )
    if left_out := ", ".join(f"{count} {reason}" for reason, count in population["left_out"].items()):
        click.echo(f"not part of it: {left_out}")
    click.echo(f"{record_file(out)}: what was read, and the weights; it belongs to the sheet")
    for line in INSTRUCTIONS:
        click.echo(f"  {line}")


@command.command("score", short_help="Turn a labelled sheet into agreement and kappa.")
@click.argument("sheet", type=FILE)
@click.option("--sheet", "others", multiple=True, type=FILE, help="The sheet labelled by another person; repeatable.")
@click.option("--current", is_flag=True, help="Judge what the present results read, not what they read at drawing.")
@click.option("--work-dir", type=FOLDER, default=Path(), help="Where results/ and data/ lie, if they are there.")
def score_sheet(sheet: Path, others: tuple[Path, ...], current: bool, work_dir: Path) -> None:
    """Compare labels with what each protocol read: agreement, kappa, wrong and missed answers, each disagreement.

    The figures are estimates for all rows that the sheet was drawn from, with 95 % intervals; they are written to
    SHEET.result.json too.
    """
    from vlmake.audit.freshness import with_current_readings
    from vlmake.audit.outcome import lines, outcome
    from vlmake.audit.sheet import read_labels, read_record, result_file
    from vlmake.scoring.score_files import write_json

    record = read_record(sheet)
    labels = read_labels(sheet, record["rows"])
    by_others = {str(other): read_labels(other, record["rows"]) for other in others}
    state = _results_state(record, work_dir)
    if current:
        record = with_current_readings(record, work_dir, load_config({}, config_files()).data_dir)
    elif state["changed"]:
        click.echo(
            f"{', '.join(state['changed'])}: changed since the sheet was drawn; judged is what was read then, --current"
            " judges what is read now",
            err=True,
        )
    result = outcome(record, {str(sheet): labels} | by_others)
    result |= {
        "sheet": sheet.name,
        "other_sheets": [other.name for other in others],
        "current": current,
        "inputs": state,
    }
    write_json(result, result_file(sheet))
    for line in lines(result):
        click.echo(line)
    click.echo(f"\n{result_file(sheet)}")


def _models(names: tuple[str, ...], known: Registry, work_dir: Path) -> list[str]:
    """Return the models' names; one that has results need not be registered."""
    present = {folder.name for folder in (work_dir / "results").glob("*") if folder.is_dir()}
    return [name if name in present else known.resolve_model(name) for name in names]


def _results_state(record: dict[str, object], work_dir: Path) -> dict[str, list[str]]:
    from vlmake.audit.freshness import changed_inputs

    changed, missing = changed_inputs(record, work_dir)
    return {"changed": changed, "not_there": missing}
