# What a run does before its first job: it writes down what it will infer, and takes away what rests on files that it will
# make anew.

import os
import sys
from pathlib import Path

from vlmake.inference import work_ahead
from vlmake.inference.shard_work import ShardFiles
from vlmake.judges.judge_spec import check_price
from vlmake.judges.opening import see_that_it_answers
from vlmake.judges.work import JudgeFiles, leaves_nothing

# On this machine a job that has its model loaded goes on to the run's further shards of that model; elsewhere a job is
# one shard.
WORK_AHEAD = ["--planned", str(work_ahead.PLANNED)] if workflow.is_main_process else []


def planned_shard(job):
    """The files of an inference job, as the job itself will be told them."""
    return ShardFiles(
        dataset=job.wildcards.dataset,
        shard=int(job.wildcards.get("shard", 0)),
        shards=int(job.wildcards.get("shards", 1)),
        samples=Path(job.input.samples),
        images=Path(job.input.images),
        journal=Path(job.params.journal),
    )


def jobs_to_run(*rules):
    return [job for job in workflow.dag.needrun_jobs() if job.rule.name in rules]


def results_of(jobs):
    """The (model, dataset) that jobs make anew."""
    return {(job.wildcards.model, job.wildcards.dataset) for job in jobs}


def planned_judging(job):
    """The files of a judge's job, as the job itself will be told them."""
    return JudgeFiles(
        model=job.wildcards.model,
        dataset=job.wildcards.dataset,
        spec=job.params.spec,
        samples=Path(job.input.samples),
        predictions=Path(job.input.predictions),
        journal=Path(job.params.journal),
    )


def write_planned(inferred, judged):
    planned = {}
    for job in inferred:
        planned.setdefault(job.wildcards.model, []).append(planned_shard(job))
    for job in judged:
        home = paths.judge_home(job.wildcards.judge)
        planned.setdefault(home, []).append(planned_judging(job))
    work_ahead.write_plan(work_ahead.PLANNED, planned, os.getpid())


def remove_what_rests_on_predictions(results):
    """Snakemake takes away the predictions before it makes them anew, and then thinks a score without them complete: a
    run that fails would leave the old score, or the old file to hand in, and the next would show it.
    """
    for model, dataset in results:
        for file in paths.judged_files(Path.cwd(), model, dataset):
            file.unlink()
        for submission in Path().glob(paths.submission(model, dataset, "*")):
            submission.unlink()


def remove_stacked_scores(results):
    """The same of scores that are made of others."""
    for model, part in results:
        for dataset in PLAN.made_of(part):
            for file in paths.judged_files(Path.cwd(), model, dataset):
                file.unlink()


def remove_what_rests_on_verdicts(jobs):
    """The same of scores in which a judge has part, when it is asked again."""
    for job in jobs:
        name = (job.wildcards.model, job.wildcards.dataset, job.wildcards.judge)
        for path_of in (paths.score_csv, paths.score_json, paths.judged):
            Path(path_of(*name)).unlink(missing_ok=True)


def check_judges(jobs, inferred):
    """A judge that does not answer is said before hours of inference, not after them. One that has nothing left to be
    asked is not tried: its verdicts are in its journals, whether it lives or not.
    """
    by_judge = {}
    for job in jobs:
        by_judge.setdefault(job.wildcards.judge, []).append(job)
    anew = results_of(inferred)
    for judge, asked in sorted(by_judge.items()):
        try:
            entry = PLAN.judge_entry(judge)
            check_price(judge, entry, RUN.max_judge_cost)
            if RUN.judge_fallback != "exact" and not all(
                (job.wildcards.model, job.wildcards.dataset) not in anew
                and leaves_nothing(
                    planned_judging(job), judge, entry, RUN.self_agreement
                )
                for job in asked
            ):
                see_that_it_answers(judge, entry, Path.cwd())
        except VlmakeError as error:
            print(f"vlmake: {error}", file=sys.stderr)
            sys.exit(1)


onstart:
    if not {"--touch", "-t"} & set(sys.argv):
        inferred = jobs_to_run("infer", "infer_shard")
        judged = jobs_to_run("judge")
        check_judges(judged, inferred)
        write_planned(inferred, judged)
        remove_what_rests_on_predictions(results_of(inferred))
        remove_what_rests_on_verdicts(judged)
        remove_stacked_scores(
            results_of(
                inferred + jobs_to_run("score", "score_class", "score_judged")
            )
        )
