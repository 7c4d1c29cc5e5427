"""A process that holds its part of a model split by tensor parallelism and repeats the calls of rank 0.

Started by ``vlmake.backends.tensor_parallel`` as ``python -m vlmake.backends.tensor_follower``. Calls come in frames on
standard input: JSON settings and safetensors, nothing pickled. A pipe rather than a broadcast, because a broadcast that
waits for the next batch runs into the collective's time limit, and because the pipe ends when rank 0 does, however it
dies; the follower then ends at once. One JSON line a call goes back on standard output.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from vlmake.errors import VlmakeError
from vlmake.models.model_spec import RuntimeOptions, TransformersSpec
from vlmake.registry.model_entries import TransformersEntry

COLLECTIVE_LIMIT = timedelta(minutes=10)  # the longest that one exchange of tensors may take
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Frame:
    """One message: plain values, and tensors on the host."""

    values: Mapping[str, Any]
    tensors: Mapping[str, Any]


def packed(frame: Frame) -> bytes:
    """Return a message as it goes through a pipe: the lengths of both halves, JSON, safetensors."""
    from safetensors.torch import save

    values = json.dumps(frame.values).encode()
    tensors = save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in frame.tensors.items()})
    lengths = (len(half).to_bytes(_LENGTH_BYTES, "big") for half in (values, tensors))
    return b"".join([*lengths, values, tensors])


def read_frame(stream: BinaryIO) -> Frame | None:
    """Return the next message, None where the pipe ends."""
    from safetensors.torch import load

    lengths = stream.read(2 * _LENGTH_BYTES)
    if len(lengths) < 2 * _LENGTH_BYTES:
        return None
    halves = []
    for start in (0, _LENGTH_BYTES):
        length = int.from_bytes(lengths[start : start + _LENGTH_BYTES], "big")
        half = stream.read(length)
        if len(half) < length:
            return None
        halves.append(half)
    return Frame(json.loads(halves[0]), load(halves[1]))


def join(kind: str, rank: int, ranks: int, meeting: Path) -> None:
    """Join the group of processes that hold one model; ``meeting`` is a file where they find each other.

    ``kind`` is the device kind. A file needs no open port, and no other job can take it.
    """
    import torch.distributed as dist
    from torch._C._distributed_c10d import FileStore
    from transformers.distributed.utils import get_distributed_backend

    store = FileStore(str(meeting), ranks)
    dist.init_process_group(
        get_distributed_backend(kind), store=store, rank=rank, world_size=ranks, timeout=COLLECTIVE_LIMIT
    )


def read_part(spec: TransformersSpec, runtime: RuntimeOptions, ranks: int) -> Any:
    """Return this process's part of the model, split as its class says; raise VlmakeError."""
    from transformers.distributed.configuration_utils import DistributedConfig

    from vlmake.backends.loading import read_weights

    return read_weights(spec, runtime, {"distributed_config": DistributedConfig(tp_size=ranks, tp_plan="auto")})


def agree(_: Any, scores: Any) -> Any:
    """Take rank 0's scores for the next token: a rounding error may not make processes choose different ones."""
    import torch.distributed as dist

    scores = scores.contiguous()
    dist.broadcast(scores, src=0)
    return scores


def main() -> None:
    """Follow rank 0 until it ends."""
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    commands = os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)  # what libraries print would garble the reports
    start = read_frame(commands)
    if start is None:
        return
    frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(commands, frames, Path(start.values["meeting"])), daemon=True).start()
    try:
        model = _start(start.values, reports)
        _report(reports, "ready")
        while True:
            _follow(model, frames.get(), reports)
    except Exception as error:  # whatever it is, rank 0 must say it
        _report(reports, "ended", error)
        sys.exit(1)


def _receive(commands: BinaryIO, frames: queue.SimpleQueue[Frame], meeting: Path) -> None:
    while (frame := read_frame(commands)) is not None:
        frames.put(frame)
    shutil.rmtree(meeting.parent, ignore_errors=True)  # rank 0 may have been killed
    os._exit(0)  # the main thread may be waiting for rank 0 in a collective


def _start(values: Mapping[str, Any], reports: Any) -> Any:
    import torch
    import transformers  # noqa: F401  # slow: before the others wait

    runtime = RuntimeOptions(**values["runtime"])
    entry = TransformersEntry.model_validate(values["entry"])
    spec = TransformersSpec(values["name"], entry, Path(values["folder"]), values["identity"], values["dtype"])
    if runtime.device != "cpu":
        torch.accelerator.set_device_index(values["rank"])
    _report(reports, "started")
    join(runtime.device, values["rank"], values["ranks"], Path(values["meeting"]))
    return read_part(spec, runtime, values["ranks"])


def _follow(model: Any, frame: Frame, reports: Any) -> None:
    """Repeat one call. An error that rank 0 meets at the same place leaves both ready for the next call."""
    import torch

    inputs = {name: tensor.to(model.device) for name, tensor in frame.tensors.items()}
    try:
        with torch.inference_mode():
            model.generate(**inputs, **frame.values, logits_processor=[agree])
    except Exception as error:  # a model's code raises anything
        _report(reports, "failed", error)
    else:
        _report(reports, "done")


def _report(reports: Any, state: str, error: Exception | None = None) -> None:
    reason = "" if error is None else " ".join(str(error).split()) or type(error).__name__
    if error is not None and not isinstance(error, VlmakeError):
        reason = f"{type(error).__name__}: {reason}"
    print(json.dumps({"state": state, "reason": reason[:1000]}), file=reports, flush=True)


if __name__ == "__main__":
    main()
