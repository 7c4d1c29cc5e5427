"""``vlmake audit``: what rules and judges read from predictions, checked by hand and against each other."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlmake.commands.arguments import refuse_parted, spread_values
from vlmake.errors import VlmakeError, counted
from vlmake.registry.loading import Registry
from vlmake.registry.own_benchmarks import known_registry
from vlmake.registry.readiness import readiness
from vlmake.runs.run_config import config_files, load_config

if TYPE_CHECKING:
    from vlmake.scoring.protocols import ScoringSpec

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path)
DATASETS = "Datasets, each with its row limit if any: MME@20."


class _Draw(click.Command):
    """Reads ``--data A B`` as two values, as ``vlmake run`` does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_values(args))


@click.group()
def command() -> None:
    """Check what rules or a judge read from predictions: by a sheet that a person labels, or against each other."""


@command.command("draw", cls=_Draw, short_help="Draw a sheet of predictions to label.")
@click.option("--model", "models", multiple=True, required=True, metavar="NAME...", help="Models that have results.")
@click.option("--data", "--dataset", "datasets", multiple=True, required=True, metavar="NAME...", help=DATASETS)
@click.option("--samples", type=click.IntRange(min=1), default=100, show_default=True, help="Rows of the sheet.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="What the rows are drawn by.")
@click.option("--judge", metavar="NAME", help="Draw what this judge decided, of one model and dataset.")
@click.option("--out", type=FILE, required=True, help="The sheet, FILE.csv or FILE.xlsx; FILE.json appears beside it.")
@click.option("--work-dir", type=FOLDER, default=Path(), help="Where results/ and data/ lie.")
@click.option("--registry", multiple=True, type=FOLDER, help="Another registry folder.")
def draw_sheet(
    models: tuple[str, ...],
    datasets: tuple[str, ...],
    samples: int,
    seed: int,
    judge: str | None,
    out: Path,
    work_dir: Path,
    registry: tuple[Path, ...],
) -> None:
    """Draw predictions to be labelled by hand, seldom rules and disagreements of the protocols included.

    The sheet shows the question and the prediction, and not what was read from it or what is right: that stands in
    FILE.json, which the person who labels should not open. Several models and datasets are drawn from together.

    With --judge the rows are a plain sample of those about which the judge gave a verdict, which is not shown either.
    """
    from vlmake.audit.draw import draw
    from vlmake.audit.judge_sheet import draw_judged
    from vlmake.audit.judged import read_judged
    from vlmake.audit.population import read_population
    from vlmake.audit.sheet import record_file, write_sheet

    config = load_config({}, config_files())
    known = known_registry(config, registry, datasets, work_dir)
    names = list(dict.fromkeys(known.resolve_dataset(dataset) for dataset in datasets))
    answered = list(dict.fromkeys(_models(models, known, work_dir)))
    for name in names:
        _check_scored(name, known, judge)
    if judge is None:
        pairs = [(model, name, known.dataset(name).task) for model in answered for name in names]
        drawing = draw(read_population(pairs, work_dir, config.data_dir), samples, seed)
    else:
        if len(names) > 1 or len(answered) > 1:
            raise VlmakeError("a sheet about a judge is about one model's answers to one dataset: name one of each")
        spec = _judged_spec(names[0], _judge(judge, known, work_dir), known, config.protocol)
        drawing = draw_judged(read_judged(answered[0], spec, work_dir, config.data_dir), samples, seed)
    write_sheet(drawing, out)
    population, strata = drawing.record["population"], drawing.record["strata"]
    of = f", from {counted(len(strata), 'stratum', 'strata')}" if judge is None else f" that {judge} decided"
    click.echo(f"{out}: {len(drawing.rows)} of {counted(population['rows'], 'row')}{of}")
    if left_out := ", ".join(f"{count} {reason}" for reason, count in population["left_out"].items()):
        click.echo(f"not part of it: {left_out}")
    click.echo(f"{record_file(out)}: what was read, and the weights; it belongs to the sheet")
    for line in drawing.record["how_to_label"]:
        click.echo(f"  {line}")


@command.command("score", short_help="Turn a labelled sheet into agreement and kappa.")
@click.argument("sheet", type=FILE)
@click.option("--sheet", "others", multiple=True, type=FILE, help="The sheet labelled by another person; repeatable.")
@click.option("--current", is_flag=True, help="Judge what the present results read, not what they read at drawing.")
@click.option("--work-dir", type=FOLDER, default=Path(), help="Where results/ and data/ lie, if they are there.")
def score_sheet(sheet: Path, others: tuple[Path, ...], current: bool, work_dir: Path) -> None:
    """Compare labels with what each protocol read: agreement, kappa, wrong and missed answers, each disagreement.

    Of a judge's sheet: agreement and kappa of its verdicts with the labels, and the score freed of its errors. The
    figures are estimates for all rows that the sheet was drawn from, with 95 % intervals; they are written to
    SHEET.result.json too.
    """
    from vlmake.audit.sheet import read_record, result_file
    from vlmake.scoring.score_files import write_json

    record = read_record(sheet)
    score = _score_judge if "judge" in record else _score_rules
    result, shown = score(record, sheet, others, current, work_dir)
    write_json(result | {"sheet": sheet.name, "other_sheets": [other.name for other in others]}, result_file(sheet))
    for line in shown:
        click.echo(line)
    click.echo(f"\n{result_file(sheet)}")


@command.command("compare", short_help="Compare two judges, or a judge and rules.")
@click.option("--model", required=True, metavar="NAME", help="The model whose answers were judged.")
@click.option(
    "--data", "--dataset", "dataset", required=True, metavar="NAME", help="Dataset, with its row limit if any."
)
@click.option(
    "--judge", "judges", multiple=True, required=True, metavar="NAME", help="A judge; give two, or one: rules."
)
@click.option("--out", type=FILE, help="FILE.csv or FILE.jsonl: the samples on which they differ.")
@click.option("--work-dir", type=FOLDER, default=Path(), help="Where results/ and data/ lie.")
@click.option("--registry", multiple=True, type=FOLDER, help="Another registry folder.")
def compare(
    model: str,
    dataset: str,
    judges: tuple[str, ...],
    out: Path | None,
    work_dir: Path,
    registry: tuple[Path, ...],
) -> None:
    """Compare two judges' verdicts on what both decided; or, with one --judge, its verdicts with what rules read.

    Shown are counts, agreement, kappa, the table of verdicts and the scores; nothing is asked and no score changes.
    """
    from vlmake.audit import comparison, comparison_lines
    from vlmake.audit.differing import check_name, write_differing
    from vlmake.audit.judged import read_judged

    if out:
        check_name(out)
    config = load_config({}, config_files())
    known = known_registry(config, registry, (dataset,), work_dir)
    name = known.resolve_dataset(dataset)
    found = []
    for judge in dict.fromkeys(_judge(judge, known, work_dir) for judge in judges):
        _check_scored(name, known, judge)
        spec = _judged_spec(name, judge, known, config.protocol)
        found.append(read_judged(_models((model,), known, work_dir)[0], spec, work_dir, config.data_dir))
    if len(found) > 2 or len(judges) != len(found):
        raise VlmakeError("--judge: name two judges to compare them, or one to compare it with rules")
    if len(found) == 2:
        result, lines = comparison.compare_judges(*found), comparison_lines.judges_lines
        named = [one.spec.judge for one in found]
    else:
        result, lines = comparison.compare_rules(found[0]), comparison_lines.rules_lines
        named = ["", found[0].spec.judge]
    overall = {one: comparison.scores(found[0], work_dir, one) for one in named}
    for line in lines(result | {"overall": overall}):
        click.echo(line)
    if out:
        write_differing(result["differing"], out)
        click.echo(f"\n{out}")


def _score_rules(
    record: dict[str, Any], sheet: Path, others: tuple[Path, ...], current: bool, work_dir: Path
) -> tuple[dict[str, Any], Iterator[str]]:
    """Return what a labelled sheet says of each protocol's rules, and the lines that show it."""
    from vlmake.audit.freshness import with_current_readings
    from vlmake.audit.outcome import lines, outcome
    from vlmake.audit.sheet import read_labels

    sheets = {str(one): read_labels(one, record["rows"]) for one in (sheet, *others)}
    state = _results_state(record, work_dir)
    if current:
        record = with_current_readings(record, work_dir, load_config({}, config_files()).data_dir)
    elif state["changed"]:
        click.echo(
            f"{', '.join(state['changed'])}: changed since the sheet was drawn; judged is what was read then, --current"
            " judges what is read now",
            err=True,
        )
    result = outcome(record, sheets) | {"current": current, "inputs": state}
    return result, lines(result)


def _score_judge(
    record: dict[str, Any], sheet: Path, others: tuple[Path, ...], current: bool, work_dir: Path
) -> tuple[dict[str, Any], Iterator[str]]:
    """Return what a labelled sheet says of a judge, and the lines that show it; its results have to be there."""
    from vlmake.audit.judge_labels import GRADES, parse
    from vlmake.audit.judge_outcome import judge_outcome, labelled_rows, lines
    from vlmake.audit.judged import hits_of, read_judged
    from vlmake.audit.sheet import read_labels
    from vlmake.scoring.protocols import ScoringSpec

    def read(cell: str, row: Mapping[str, Any]) -> str | None:
        return parse(cell, row["kind"], row["options"])

    sheets = {str(one): read_labels(one, record["rows"], read) for one in (sheet, *others)}
    data_dir = load_config({}, config_files()).data_dir
    spec = ScoringSpec(record["dataset"], judge=record["judge"], **record["scoring"])
    present = read_judged(record["model"], spec, work_dir, data_dir)
    rows, gone = labelled_rows(record, sheets[str(sheet)], present, current)
    by_index = {row["index"]: row["label"] for row in rows if row["kind"] not in GRADES}
    hits = hits_of(by_index, present, work_dir, data_dir) if by_index else {}
    result = judge_outcome(record, rows, gone, sheets, present, hits)
    result |= {"current": current, "inputs": _results_state(record, work_dir)}
    return result, lines(result)


def _check_scored(name: str, known: Registry, judge: str | None) -> None:
    """Raise VlmakeError for a dataset whose answers are not read one by one."""
    refuse_parted(name, known.dataset(name))
    if known.dataset(name).dataset is not None:
        raise VlmakeError(f"dataset '{name}': its class reads the answers, there is nothing to audit")
    if (ready := readiness(known.dataset(name), judged=judge is not None)).result != "score":
        raise VlmakeError(f"dataset '{name}' has no scored answers to audit: {ready.reason}")


def _judged_spec(name: str, judge: str, known: Registry, protocol: str) -> "ScoringSpec":
    """Return how a dataset is scored with a judge, who need not be registered any more."""
    from vlmake.judges.registry import judging_of
    from vlmake.scoring.protocols import ScoringSpec

    entry = known.dataset(name)
    judging = judging_of(entry.metric or "")
    if judging is None:
        raise VlmakeError(f"dataset '{name}': rules leave nothing of it to a judge")
    assert entry.metric is not None  # it has a score
    return ScoringSpec(name, entry.task, entry.metric, protocol, judge, judging)


def _models(names: tuple[str, ...], known: Registry, work_dir: Path) -> list[str]:
    """Return the models' names; one that has results need not be registered."""
    present = {folder.name for folder in (work_dir / "results").glob("*") if folder.is_dir()}
    return [name if name in present else known.resolve_model(name) for name in names]


def _judge(name: str, known: Registry, work_dir: Path) -> str:
    """Return a judge's name; one that has judged here need not be registered any more."""
    files = (work_dir / "results").glob("*/*_judgements.*.parquet")
    present = any(file.name.endswith(f"_judgements.{name}.parquet") for file in files)
    return name if present else known.resolve_judge(name)


def _results_state(record: dict[str, Any], work_dir: Path) -> dict[str, list[str]]:
    from vlmake.audit.freshness import changed_inputs

    changed, missing = changed_inputs(record, work_dir)
    return {"changed": changed, "not_there": missing}
