"""A job that has a model loaded answers further shards of that model, across datasets, until none is free.

The run's plan is a file. Each shard is kept by its lock while it is worked on, and its answers go to its own journal;
the job that the shard belongs to then finds them there and loads nothing. So devices stay busy without a daemon, small
benchmarks share one loading of the model, and whatever is killed has lost nothing.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from vlmake.errors import DeviceStoppedError
from vlmake.inference.shard_work import ShardFiles, try_hold_rows
from vlmake.store import canonical_json, write_text

PLANNED = Path(".snakemake") / "vlmake-planned.json"  # in the work directory, for the life of a run


@dataclass(frozen=True)
class RunPlan:
    """The shards of one model that a run has planned, and the process that runs it (0: unknown)."""

    shards: Sequence[ShardFiles]
    process: int

    def is_running(self) -> bool:
        """Tell whether the run is still alive on this machine."""
        return self.process > 0 and psutil.pid_exists(self.process)


def write_plan(file: Path, planned: Mapping[str, Sequence[ShardFiles]], process: int) -> None:
    """Write the shards that the run of ``process`` has planned, by model."""
    shards = {model: [_as_text(shard) for shard in listed] for model, listed in planned.items()}
    write_text(file, canonical_json({"process": process, "shards": shards}))


def read_plan(file: Path, model: str) -> RunPlan:
    """Return what is planned for a model; nothing if there is no readable plan: it only saves time."""
    try:
        plan = json.loads(file.read_text(encoding="utf-8"))
        return RunPlan([_from_text(shard) for shard in plan["shards"].get(model, [])], int(plan["process"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return RunPlan([], 0)


def started_ns(file: Path) -> int | None:
    """Return when the run with this plan began (Unix time, ns), if there is one."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def work_ahead(plan: RunPlan, own: ShardFiles, answer: Callable[[ShardFiles], None]) -> list[str]:
    """Answer every planned shard that is free and whose data are there; return the names of those worked on.

    It ends when nothing is left, or when the run was killed: an orphan must not keep a device for hours.
    A shard that cannot be read or answered, for whatever reason, is left to its own job, which will say why: one's own
    work is done and must not fail with it.
    """
    done = []
    for files in _from(plan.shards, own):
        if not plan.is_running():
            break
        try:
            if not (files.samples.is_file() and files.images.is_file()):
                continue
            with try_hold_rows(files) as held:
                if held:
                    answer(files)
                    done.append(files.name)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"{files.name}: left to its own job ({reason})", file=sys.stderr, flush=True)
            if isinstance(error, DeviceStoppedError):
                break
    return done


def _from(planned: Sequence[ShardFiles], own: ShardFiles) -> Iterator[ShardFiles]:
    """Yield the planned shards that follow one's own, then those before it: neighbours start in different places."""
    place = planned.index(own) if own in planned else -1
    yield from planned[place + 1 :]
    yield from planned[: max(place, 0)]


def _as_text(files: ShardFiles) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(files).items()}


def _from_text(values: Mapping[str, Any]) -> ShardFiles:
    return ShardFiles(
        dataset=values["dataset"],
        shard=int(values["shard"]),
        shards=int(values["shards"]),
        samples=Path(values["samples"]),
        images=Path(values["images"]),
        journal=Path(values["journal"]),
    )
