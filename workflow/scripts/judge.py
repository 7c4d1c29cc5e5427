"""Judge stage: samples and predictions in, a judge's verdicts on what rules leave open out."""

import sys
from pathlib import Path

import click

from vlmake.errors import VlmakeError
from vlmake.inference.work_ahead import started_ns
from vlmake.judges.account import about, costs
from vlmake.judges.deciding import asked_twice, cases_of, decide, refuse_errors
from vlmake.judges.judge_spec import resolve
from vlmake.judges.judgements import write_judgements
from vlmake.judges.opening import with_model
from vlmake.judges.registry import load_judging
from vlmake.judges.resolution import Choice, entry_of
from vlmake.locks import hold
from vlmake.metrics.registry import metric_entry
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import FILE, REGISTRY
from vlmake.scoring.protocols import ScoringSpec, open_rows
from vlmake.scoring.score_inputs import json_object, read_predictions, read_samples


@click.command()
@REGISTRY
@click.option("--judge", "name", required=True, help="Registered judge.")
@click.option("--served-model", default="", help="The model behind a judge whose entry names a variable.")
@click.option("--model", required=True, help="The model that is judged.")
@click.option("--spec", required=True, help="What the verdicts depend on, as one JSON object.")
@click.option("--samples", required=True, type=FILE, help="The decoded benchmark (Parquet).")
@click.option("--predictions", required=True, type=FILE, help="The model's answers (Parquet).")
@click.option("--journal", required=True, type=FILE, help="Folder of all replies so far.")
@click.option("--max-failures", type=int, default=0, show_default=True, help="Judge errors that may stay.")
@click.option("--fallback", type=click.Choice(["none", "exact"]), default="none", help="If the judge does not answer.")
@click.option("--max-cost", type=float, help="Money after which the judge is asked no more.")
@click.option("--self-agreement", type=float, default=0.0, help="Share of samples that are asked about twice.")
@click.option("--planned", type=FILE, help="The run's plan: what stopped one of its jobs stops the others.")
@click.option("--judgements", required=True, type=FILE, help="Written: the verdicts (Parquet).")
def main(
    registries: tuple[Path, ...],
    name: str,
    served_model: str,
    model: str,
    spec: str,
    samples: Path,
    predictions: Path,
    journal: Path,
    max_failures: int,
    fallback: str,
    max_cost: float | None,
    self_agreement: float,
    planned: Path | None,
    judgements: Path,
) -> None:
    """Ask a judge about every sample that rules leave open."""
    wanted = ScoringSpec.from_mapping(json_object(spec, "--spec"))
    judging = load_judging(wanted.judging)
    rows = open_rows(read_samples(samples, wanted.dataset), read_predictions(predictions)[0], wanted)
    cases = cases_of(rows, judging)
    twice = asked_twice(cases, self_agreement)
    entry = entry_of(name, Choice(name, "", served_model), load_registry(registries), Path.cwd())
    title = f"judge {name}: {model} {wanted.dataset}"
    try:
        judge = resolve(name, with_model(entry, Path.cwd()) if cases else entry, max_cost)
        with hold(journal / "rows.lock", f"{title}: another process asks about these; waiting for it"):
            found, again = decide(
                cases, twice, judging, judge, journal, started_ns(planned) if planned else None, title
            )
    except VlmakeError as error:
        if fallback != "exact" or metric_entry(wanted.metric).grader:
            raise
        print(f"{title}: {error}; rules alone score it (judge_fallback: exact)", file=sys.stderr)
        write_judgements([], {}, {}, {"judge": name, "judging": wanted.judging, "fallback": str(error)}, judgements)
        return
    refuse_errors(found, max_failures, title)
    told = about(found, again, judge, judging, wanted, len(rows))
    second = {one.index: one.verdict for one in again}
    write_judgements(found, second, costs(found, judge), told, judgements)


if __name__ == "__main__":
    run_program("judge", main)
