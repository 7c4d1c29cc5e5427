# What this run will infer, written down before the first job starts: on this machine a job that has its model loaded
# goes on to further shards of that model. Elsewhere a job is one shard, and WORK_AHEAD is empty.

from pathlib import Path

from vlmake import work_ahead

WORK_AHEAD = ["--planned", str(work_ahead.PLANNED)] if workflow.is_main_process else []


def planned_shard(job):
    """The files of an inference job, as the job itself will be told them."""
    return work_ahead.ShardFiles(
        dataset=job.wildcards.dataset,
        shard=int(job.wildcards.get("shard", 0)),
        shards=int(job.wildcards.get("shards", 1)),
        samples=Path(job.input.samples),
        images=Path(job.input.images),
        journal=Path(job.params.journal),
    )


def write_planned_shards():
    planned = {}
    for job in workflow.dag.needrun_jobs():
        if job.rule.name in ("infer", "infer_shard"):
            planned.setdefault(job.wildcards.model, []).append(planned_shard(job))
    work_ahead.write_plan(work_ahead.PLANNED, planned)


onstart:
    write_planned_shards()
