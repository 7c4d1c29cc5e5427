"""``vlmake audit``: extraction checked by hand."""

from pathlib import Path

import click

from vlmake.errors import VlmakeError
from vlmake.registry.loading import Registry, load_registry, registry_folders
from vlmake.runs.run_config import config_files, load_config

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Check by hand what was read from predictions: draw a sheet, label it, and see how far it can be trusted."""


@command.command("draw", short_help="Draw a sheet of predictions to label.")
@click.option("--model", "models", multiple=True, required=True, help="Model with results; several are drawn together.")
@click.option("--data", "datasets", multiple=True, required=True, help="Dataset, with its row limit if any: MME@20.")
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
    FILE.json, which the person who labels should not open.
    """
    from vlmake.audit.draw import draw
    from vlmake.audit.labels import INSTRUCTIONS
    from vlmake.audit.population import read_population
    from vlmake.audit.sheet import record_file, write_sheet

    config = load_config({}, config_files())
    known = load_registry(registry_folders([*config.registry, *map(str, registry)]))
    names = [known.resolve_dataset(dataset) for dataset in dict.fromkeys(datasets)]
    if classes := [name for name in names if known.dataset(name).dataset is not None]:
        raise VlmakeError(f"dataset '{classes[0]}': its class reads the answers, there is nothing to audit")
    pairs = [(model, name, known.dataset(name).task) for model in _models(models, known, work_dir) for name in names]
    drawing = draw(read_population(list(dict.fromkeys(pairs)), work_dir, config.data_dir), samples, seed)
    write_sheet(drawing, out)
    population, strata = drawing.record["population"], drawing.record["strata"]
    click.echo(f"{out}: {len(drawing.rows)} of {population['rows']} rows, from {len(strata)} strata")
    if left_out := ", ".join(f"{count} {reason}" for reason, count in population["left_out"].items()):
        click.echo(f"not part of it: {left_out}")
    click.echo(f"{record_file(out)}: what was read, and the weights; it belongs to the sheet")
    for line in INSTRUCTIONS:
        click.echo(f"  {line}")


@command.command("score", short_help="Turn a labelled sheet into agreement and kappa.")
@click.argument("sheet", type=FILE)
@click.option("--sheet", "second", type=FILE, help="The same sheet, labelled by a second person.")
@click.option("--current", is_flag=True, help="Judge what the present results read, not what they read at drawing.")
@click.option("--work-dir", type=FOLDER, default=Path(), help="Where results/ and data/ lie, if they are there.")
def score_sheet(sheet: Path, second: Path | None, current: bool, work_dir: Path) -> None:
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
    others = read_labels(second, record["rows"]) if second else None
    state = _results_state(record, work_dir)
    if current:
        record = with_current_readings(record, work_dir, load_config({}, config_files()).data_dir)
    elif state["changed"]:
        click.echo(
            f"{', '.join(state['changed'])}: changed since the sheet was drawn; judged is what was read then, --current"
            " judges what is read now",
            err=True,
        )
    result = outcome(record, labels, others)
    result |= {
        "sheet": sheet.name,
        "second_sheet": second.name if second else None,
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
