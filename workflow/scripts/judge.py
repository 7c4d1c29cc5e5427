"""Judge stage: samples and predictions in, a judge's verdicts on what rules leave open out."""

import sys
from contextlib import ExitStack
from pathlib import Path

import click

from vlmake.endpoints.faults import EndpointStoppedError, LimitReachedError
from vlmake.inference.work_ahead import read_plan, started_ns, work_ahead
from vlmake.judges.account import about, costs
from vlmake.judges.deciding import decide, refuse_errors
from vlmake.judges.judge_spec import check_price, resolve
from vlmake.judges.judgements import write_fallback, write_judgements
from vlmake.judges.opening import JudgeAtHand, with_model
from vlmake.judges.resolution import Choice, entry_of
from vlmake.judges.work import JudgeFiles, hold_cases, read_work, try_hold_cases
from vlmake.metrics.registry import metric_entry
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import FILE, REGISTRY
from vlmake.scoring.score_inputs import json_object


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
    entry = entry_of(name, Choice(name, "", served_model), load_registry(registries), Path.cwd())
    own = JudgeFiles(model, json_object(spec, "--spec")["dataset"], spec, samples, predictions, journal)
    work = read_work(own, self_agreement)
    title = f"judge {name}: {own.name}"
    check_price(name, entry, max_cost)
    with ExitStack() as stack:
        try:
            judge = resolve(name, with_model(entry, Path.cwd()) if work.cases else entry, max_cost)
            opened = stack.enter_context(JudgeAtHand(judge, started_ns(planned) if planned else None))
            with hold_cases(own, name):
                found, again = decide(work.cases, work.twice, work.judging, judge, journal, opened, title)
        except EndpointStoppedError as error:
            limited = isinstance(error, LimitReachedError)
            if limited or fallback != "exact" or metric_entry(work.spec.metric).grader:
                raise
            print(f"{title}: {error}; rules alone score it (judge_fallback: exact)", file=sys.stderr)
            write_fallback(name, work.spec.judging, str(error), judgements)
            return
        refuse_errors(found, max_failures, title)
        told = about(found, again, judge, work.judging, work.spec, work.left_open)
        write_judgements(found, {one.index: one.verdict for one in again}, costs(found, judge), told, judgements)

        def ask_ahead(files: JudgeFiles) -> None:
            other = read_work(files, self_agreement)
            ahead = f"judge {name}: {files.name}"
            decide(other.cases, other.twice, other.judging, judge, files.journal, opened, ahead)

        if planned is not None and opened.is_open:
            work_ahead(read_plan(planned, judge.home, JudgeFiles), own, try_hold_cases, ask_ahead)


if __name__ == "__main__":
    run_program("judge", main)
