"""A model on leased devices that answers one shard after another."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from vlmake import backends, gpus, model_spec, run_record
from vlmake.answering import Course, Pace, answer, askable, set_aside_broken
from vlmake.backends.base import Backend
from vlmake.images import ImageStore
from vlmake.journal import JournalWriter
from vlmake.model_spec import ModelSpec, RuntimeOptions
from vlmake.progress import progress
from vlmake.shard_work import Shard

_MOST_HOST_WORKERS = 8  # threads that decode and tile ahead of one device: a photo takes them 30 to 140 ms


@dataclass
class LoadedModel:
    """A backend, the devices it runs on, and the pace at which batches were found to fit."""

    backend: Backend
    devices: tuple[str, ...]
    pace: Pace


def open_model(spec: ModelSpec, threads: int, stack: ExitStack) -> LoadedModel:
    """Lease devices until ``stack`` ends and load the model on them; waits for devices that others hold."""
    lease = stack.enter_context(gpus.lease(spec.entry.gpus, spec.name))
    gpus.apply(lease)
    if lease.devices:
        print(f"{spec.name}: {gpus.describe(lease)}", file=sys.stderr, flush=True)
    runtime = RuntimeOptions(model_spec.choose_device(spec.entry), threads)
    workers = 0 if runtime.device == "cpu" else min(_MOST_HOST_WORKERS, _usable_cpus())
    names = tuple(device.id for device in lease.devices)
    return LoadedModel(backends.load(spec, runtime), names, Pace(spec.entry.batch_size, workers))


def _usable_cpus() -> int:
    """Return how many cores this process may use: fewer than the machine has in a container or a SLURM job."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def answer_shard(shard: Shard, spec: ModelSpec, opened: Callable[[], LoadedModel]) -> None:
    """Answer what is still open of a shard whose rows are held; the model is opened only if a question needs it."""
    todo, suspects = shard.todo()
    if not (todo or suspects):
        return
    files = shard.files
    part = f" {files.shard + 1}/{files.shards}" if files.shards > 1 else ""
    known = len(shard.questions) - len(todo) - len(suspects)
    writer = JournalWriter(files.journal)
    with (
        ImageStore(files.images) as images,
        progress(f"{spec.name} {files.dataset}{part}", len(shard.questions), known) as advance,
    ):
        if broken := set_aside_broken(todo, writer, shard.asking, shard.epoch):
            advance(broken)
        for questions, alone in ((askable(todo), False), (askable(suspects), True)):
            if not questions:
                continue
            loaded = opened()
            pace = Pace(1) if alone else loaded.pace
            started = time.time()
            course = answer(
                questions, loaded.backend, images, writer, shard.asking, pace, epoch=shard.epoch, advance=advance
            )
            _record(shard, spec, loaded, course, started)
            if not alone:
                loaded.pace = replace(pace, batch_size=course.batch_size)
    writer.close()


def _record(shard: Shard, spec: ModelSpec, loaded: LoadedModel, course: Course, started: float) -> None:
    """Keep how the shard's answers were made."""
    content = {
        "dataset": shard.files.dataset,
        "shard": shard.files.shard,
        "process": os.getpid(),
        "started": started,
        "ended": time.time(),
        "model": spec.describe(),
        "devices": loaded.devices,
        "batch_size": [loaded.pace.batch_size, course.batch_size],
        "host_workers": loaded.pace.host_workers,
        "events": course.events,
        "backend": loaded.backend.facts(),
    }
    run_record.write_record(run_record.new_record(shard.files.journal), content)
