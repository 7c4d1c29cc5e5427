"""One model with every layer split over several devices, one process each.

Rank 0 is the inference job itself. It starts the other ranks (``vlmake.backends.tensor_follower``), which load their
parts of the same checkpoint and repeat each generation on the inputs that rank 0 sends them. They end with rank 0,
however it ends; a follower that fails or dies makes the call on rank 0 fail with its reason.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlmake.backends.base import DeviceLostError
from vlmake.backends.tensor_follower import COLLECTIVE_LIMIT, Frame, agree, join, packed, read_part
from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vlmake.models.model_spec import RuntimeOptions, TransformersSpec

_START_SECONDS = 3600.0  # reading a large checkpoint from a slow disk
_GRACE_SECONDS = 20.0  # how far one process may be behind another when both meet the same error


@dataclass
class Follower:
    """One other rank: its process, and what it reported that nobody took yet."""

    rank: int
    process: subprocess.Popen[bytes]
    reports: queue.SimpleQueue[dict[str, str]] = field(default_factory=queue.SimpleQueue)

    def tell(self, message: bytes) -> None:
        """Send it a message; raise OSError if it is gone."""
        assert self.process.stdin is not None  # it was opened as a pipe
        self.process.stdin.write(message)
        self.process.stdin.flush()


class Team:
    """All ranks of one model, as rank 0 sees them."""

    def __init__(self, spec: TransformersSpec, runtime: RuntimeOptions) -> None:
        self._name = spec.name
        self._ranks = spec.entry.gpus
        self._uses_nccl = runtime.device == "cuda"
        self._lost: str | None = None  # why no further call can succeed
        self._released: str | None = None  # why rank 0 was freed from a collective
        self._calls = 0
        self._running: int | None = None  # the number of the call that some rank is still in
        folder = tempfile.TemporaryDirectory(prefix="vlmake-ranks-", ignore_cleanup_errors=True)
        self._folder, self.meeting = folder, Path(folder.name) / "meeting"
        self.followers: list[Follower] = []
        start = {
            "name": spec.name,
            "entry": spec.entry.model_dump(mode="json"),
            "folder": str(spec.folder.absolute()),
            "identity": spec.identity,
            "dtype": spec.dtype,
            "runtime": asdict(runtime),
            "ranks": self._ranks,
            "meeting": str(self.meeting),
        }
        atexit.register(self.close)
        for rank in range(1, self._ranks):
            self.followers.append(_started(rank, start, self._notice, runtime.descriptors))

    def wait_for(self, state: str, seconds: float) -> None:
        """Wait until every follower reported ``state``; raise VlmakeError if one ends or none comes in time."""
        end = time.monotonic() + seconds
        for follower in self.followers:
            try:
                report = follower.reports.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                report = {"state": "ended", "reason": f"it reported nothing for {seconds:.0f} s"}
            if report["state"] != state:
                raise VlmakeError(f"model '{self._name}': {_told(follower.rank, report)}")

    def generate(self, generate: Callable[..., Any], **inputs: Any) -> Any:
        """Run one generation on every rank and return rank 0's answer.

        Tensors and plain values are sent to the followers. Raises what the model raises where all ranks agree on it,
        DeviceLostError where they no longer do: further calls then fail in the same way.
        """
        import torch

        if self._lost:
            raise DeviceLostError(self._lost)
        tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
        message = packed(Frame({name: value for name, value in inputs.items() if name not in tensors}, tensors))
        fault: Exception | None = None
        answer = None
        self._calls += 1
        self._running = self._calls
        try:
            for follower in self.followers:
                follower.tell(message)
            answer = generate(**inputs, logits_processor=[agree])
        except Exception as error:  # a model's code raises anything, and so does a broken connection
            fault = error
        try:
            self._settle(fault)
            if fault is not None:
                raise fault
        finally:
            self._running = None
            fault = None  # it knows this frame, and would keep the batch's tensors alive
        return answer

    def close(self) -> None:
        """End all followers and forget the group; the model cannot be used any more."""
        import torch.distributed as dist

        atexit.unregister(self.close)
        self._lost = self._lost or "the model is closed"
        for follower in self.followers:
            _end(follower)
        if dist.is_initialized():
            if self._uses_nccl:
                dist.distributed_c10d._abort_process_group()  # ending it in order would wait for ranks that are gone
            else:
                dist.destroy_process_group()
        self._folder.cleanup()

    def _settle(self, fault: Exception | None) -> None:
        """Raise DeviceLostError unless every rank ended the call in the same way."""
        end = time.monotonic() + (_GRACE_SECONDS if fault else COLLECTIVE_LIMIT.total_seconds())
        expected = "failed" if fault else "done"
        for follower in self.followers:
            try:
                report = follower.reports.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                report = {"state": "waits", "reason": f"it goes on, rank 0 does not: {fault or 'no answer'}"}
            if self._released is not None:
                raise self._given_up(self._released) from fault
            if report["state"] != expected:
                raise self._given_up(_told(follower.rank, report)) from fault

    def _given_up(self, reason: str) -> DeviceLostError:
        self._lost = reason
        for follower in self.followers:
            _end(follower)
        return DeviceLostError(reason)

    def _notice(self, follower: Follower, report: Mapping[str, str]) -> None:
        """Free rank 0 from a collective in which a follower that failed or died will never take part."""
        if report["state"] == "ended" and self._lost is None and self._released is None:
            self._release(_told(follower.rank, report))
        elif report["state"] == "failed":
            timer = threading.Timer(
                _GRACE_SECONDS, self._release_if_running, [self._running, _told(follower.rank, report)]
            )
            timer.daemon = True
            timer.start()

    def _release_if_running(self, call: int | None, reason: str) -> None:
        if call is not None and self._running == call:
            self._release(reason)

    def _release(self, reason: str) -> None:
        import torch.distributed as dist

        self._released = reason
        for follower in self.followers:
            follower.process.kill()  # a broken connection ends a collective of gloo
        if self._uses_nccl and dist.is_initialized():
            dist.distributed_c10d._abort_process_group()


def load(spec: TransformersSpec, runtime: RuntimeOptions) -> Any:
    """Return rank 0's part of the model; its ``generate`` runs on all ranks. Raises VlmakeError."""
    import torch

    ranks = spec.entry.gpus
    here = torch.accelerator.current_accelerator()
    kind = here.type if here is not None and torch.accelerator.is_available() else "cpu"
    if runtime.device != kind:  # the library splits over the machine's accelerators, whatever it is told
        raise VlmakeError(
            f"model '{spec.name}': tensor_parallel on a machine with '{kind}' cannot run on '{runtime.device}'"
        )
    if kind != "cpu" and torch.accelerator.device_count() < ranks:
        count = torch.accelerator.device_count()
        raise VlmakeError(f"model '{spec.name}': tensor_parallel with gpus: {ranks}, this job has {count}")
    _refuse_uneven_heads(spec, ranks)
    team = Team(spec, runtime)
    try:
        team.wait_for("started", _START_SECONDS)
        join(kind, 0, ranks, team.meeting)
        model = read_part(spec, runtime, ranks)
        team.wait_for("ready", _START_SECONDS)
    except VlmakeError:
        team.close()
        raise
    except Exception as error:  # the group could not meet
        team.close()
        raise VlmakeError(f"model '{spec.name}': its {ranks} ranks do not come together: {error}") from error
    model.generate = partial(team.generate, model.generate)
    model.team = team
    return model


def _refuse_uneven_heads(spec: TransformersSpec, ranks: int) -> None:
    """Raise VlmakeError where the ranks cannot have equally many attention heads: the first call would fail.

    A configuration that cannot be read is left to the loader, which says what is wrong with it.
    """
    auto_config: Any = import_module("transformers").AutoConfig
    try:
        config = auto_config.from_pretrained(spec.folder, trust_remote_code=spec.entry.trust_remote_code)
    except Exception:  # libraries raise anything for a damaged checkpoint
        return
    text = config.get_text_config()
    for key in ("num_attention_heads", "num_key_value_heads"):
        heads = getattr(text, key, None)
        if heads is not None and heads % ranks:
            raise VlmakeError(
                f"model '{spec.name}': tensor_parallel needs {key} ({heads}) to be a multiple of gpus ({ranks})"
            )


def tensor_parallel_facts(model: Any) -> dict[str, Any]:
    """Return on how many ranks the model runs and how many of its tensors are split over them."""
    from torch.distributed.tensor import DTensor

    split = sum(isinstance(parameter, DTensor) for parameter in model.parameters())
    total = sum(1 for _ in model.parameters())
    return {"ranks": model._tp_size, "split_tensors": split, "tensors": total, "image_groups": "off"}


def _started(
    rank: int,
    start: Mapping[str, Any],
    notice: Callable[[Follower, Mapping[str, str]], None],
    descriptors: Sequence[int],
) -> Follower:
    """Start one follower, tell it what to load, and listen to it; it keeps the leases behind ``descriptors`` too."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vlmake.backends.tensor_follower"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=descriptors,
        start_new_session=True,  # Ctrl-C is for rank 0, with which it ends
        env=os.environ | {"LOCAL_RANK": str(rank)},  # where the library looks for the number of the device
    )
    follower = Follower(rank, process)
    follower.tell(packed(Frame({**start, "rank": rank}, {})))
    threading.Thread(target=_listen, args=(follower, notice), daemon=True).start()
    return follower


def _listen(follower: Follower, notice: Callable[[Follower, Mapping[str, str]], None]) -> None:
    """Take a follower's reports as they come; its death is the last of them."""
    assert follower.process.stdout is not None
    last = ""
    for line in follower.process.stdout:
        report = json.loads(line)
        last = report["reason"]
        if report["state"] != "ended":
            follower.reports.put(report)
            notice(follower, report)
    code = follower.process.wait()
    died = {"state": "ended", "reason": last or f"its process ended ({code})"}
    follower.reports.put(died)
    notice(follower, died)


def _told(rank: int, report: Mapping[str, str]) -> str:
    return f"tensor parallel rank {rank}: {report['reason'] or report['state']}"


def _end(follower: Follower) -> None:
    follower.process.kill()
    follower.process.wait()
    if follower.process.stdin is not None:
        try:
            follower.process.stdin.close()
        except OSError:
            return  # what was left to send has no reader
