"""A model on leased devices that answers one shard after another."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from vlmake import backends
from vlmake.backends.base import Backend, StreamingBackend
from vlmake.data.images import ImageStore
from vlmake.data.roundtrip import ShownImages
from vlmake.devices import gpus
from vlmake.devices.finding import visible_devices
from vlmake.errors import VlmakeError
from vlmake.inference import endpoint_turns, run_record
from vlmake.inference.answering import Course, Pace, answer, askable, set_aside_broken
from vlmake.inference.journal import JournalWriter
from vlmake.inference.shard import Question
from vlmake.inference.shard_work import Shard, Todo
from vlmake.inference.streaming import answer_streaming
from vlmake.models import model_spec
from vlmake.models.model_spec import ModelSpec, RuntimeOptions
from vlmake.registry.model_entries import EndpointEntry, ModelEntry, ServerEntry
from vlmake.runs.progress import progress

_MOST_HOST_WORKERS = 8  # threads that decode and tile ahead of one device: a photo takes them 30 to 140 ms


@dataclass
class LoadedModel:
    """A backend, the devices it runs on, and the pace at which batches were found to fit."""

    backend: Backend | StreamingBackend
    devices: tuple[str, ...]
    pace: Pace


def has_unleased_engine(entry: ModelEntry) -> bool:
    """Tell whether a job starts a model's server without leasing a device for it: then one job at a time does."""
    return isinstance(entry, ServerEntry) and not (entry.gpus and visible_devices())


def open_model(
    spec: ModelSpec, threads: int, started_ns: int | None, stack: ExitStack, *, has_turn: bool = False
) -> LoadedModel:
    """Lease devices until ``stack`` ends and load the model on them; waits for devices that others hold.

    ``started_ns`` is when the run began (Unix time, ns). A model at an endpoint, or of an engine without devices, is
    kept for this job as devices are; ``has_turn`` says that it is kept already.
    """
    unleased = has_unleased_engine(spec.entry)
    if unleased or isinstance(spec.entry, EndpointEntry):
        if not has_turn:
            stack.enter_context(endpoint_turns.turn(spec))
        endpoint_turns.refuse_if_stopped(spec, started_ns)
    lease = stack.enter_context(gpus.lease(spec.entry.gpus, spec.name))
    gpus.apply(lease)
    if lease.devices:
        print(f"{spec.name}: {gpus.describe(lease)}", file=sys.stderr, flush=True)
    runtime = RuntimeOptions(model_spec.choose_device(spec.entry), threads, lease.descriptors)
    workers = 0 if runtime.device == "cpu" else min(_MOST_HOST_WORKERS, _usable_cpus())
    names = tuple(device.id for device in lease.devices)
    with endpoint_turns.noted(spec, VlmakeError) if unleased else nullcontext():  # the next one would not start either
        backend = backends.load(spec, runtime)
    stack.callback(backend.close)
    return LoadedModel(backend, names, Pace(spec.entry.batch_size, workers))


def _usable_cpus() -> int:
    """Return how many cores this process may use: fewer than the machine has in a container or a SLURM job."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def answer_shard(shard: Shard, todo: Todo, spec: ModelSpec, opened: Callable[[], LoadedModel]) -> None:
    """Answer questions of a shard whose rows are held; the model is opened only if a question needs it."""
    if not (todo.questions or todo.apart):
        return
    files = shard.files
    part = f" {files.shard + 1}/{files.shards}" if files.shards > 1 else ""
    known = len(shard.questions) - len(todo.questions) - len(todo.apart)
    with (
        closing(JournalWriter(files.journal)) as writer,
        ImageStore(files.images) as store,
        progress(f"{spec.name} {files.dataset}{part}", len(shard.questions), known) as advance,
    ):
        images = ShownImages(store)
        rows = Counter(question.key for question in (*todo.questions, *todo.apart))

        def finish(asked: Sequence[Question]) -> None:
            advance(sum(rows[question.key] for question in asked))  # rows that ask the same are answered at once

        if broken := set_aside_broken(todo.questions, writer, shard.asking, shard.epoch):
            advance(broken)
        for questions, alone in ((askable(todo.questions), False), (askable(todo.apart), True)):
            if not questions:
                continue
            loaded = opened()
            pace = replace(loaded.pace, batch_size=1) if alone else loaded.pace
            before, started = loaded.backend.facts(), time.time()
            if isinstance(loaded.backend, StreamingBackend):
                try:
                    with endpoint_turns.noted(spec):
                        course = answer_streaming(
                            questions, loaded.backend, images, writer, shard.asking, epoch=shard.epoch, advance=finish
                        )
                except VlmakeError as error:
                    _record(shard, spec, loaded, Course(0, [f"stopped: {error}"]), before, started)
                    raise
            else:
                course = answer(
                    questions, loaded.backend, images, writer, shard.asking, pace, epoch=shard.epoch, advance=finish
                )
            _record(shard, spec, loaded, course, before, started)
            if not alone:  # what did not fit were perhaps this benchmark's pictures: grow again, step by step
                loaded.pace = replace(pace, batch_size=min(spec.entry.batch_size, 2 * course.batch_size))


def _record(
    shard: Shard, spec: ModelSpec, loaded: LoadedModel, course: Course, before: Mapping[str, Any], started: float
) -> None:
    """Keep how the shard's answers were made; ``before`` are the backend's facts of the moment when that began."""
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
        "backend": run_record.since(before, loaded.backend.facts()),
    }
    run_record.write_record(run_record.new_record(shard.files.journal), content)
