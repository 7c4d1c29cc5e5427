"""A job that has a model loaded answers further pieces of the run's work for it, until none is free.

The run's plan is a file. Each piece is kept by its lock while it is worked on, and its answers go to its own journal;
the job that the piece belongs to then finds them there and loads nothing. So devices stay busy without a daemon, small
benchmarks share one loading of the model, and whatever is killed has lost nothing. A piece is a shard for a model, and
one model's answers to one benchmark for a judge.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import psutil

from vlmake.errors import DeviceStoppedError
from vlmake.store import canonical_json, write_text

PLANNED = Path(".snakemake") / "vlmake-planned.json"  # in the work directory, for the life of a run


class Piece(Protocol):
    """A dataclass of texts, numbers and paths that says what is to be done, and from which files."""

    __dataclass_fields__: Any

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def inputs(self) -> Sequence[Path]:
        """The files without which it cannot be done."""


Kind = TypeVar("Kind", bound=Piece)


@dataclass(frozen=True)
class RunPlan(Generic[Kind]):
    """The pieces of one model that a run has planned, and the process that runs it (0: unknown)."""

    pieces: Sequence[Kind]
    process: int

    def is_running(self) -> bool:
        """Tell whether the run is still alive on this machine."""
        return self.process > 0 and psutil.pid_exists(self.process)


def write_plan(file: Path, planned: Mapping[str, Sequence[Piece]], process: int) -> None:
    """Write the pieces that the run of ``process`` has planned, by who is to do them."""
    pieces = {owner: [_as_text(piece) for piece in listed] for owner, listed in planned.items()}
    write_text(file, canonical_json({"process": process, "pieces": pieces}))


def read_plan(file: Path, owner: str, kind: type[Kind]) -> RunPlan[Kind]:
    """Return what is planned for a model; nothing if there is no readable plan: it only saves time."""
    try:
        plan = json.loads(file.read_text(encoding="utf-8"))
        return RunPlan([_from_text(piece, kind) for piece in plan["pieces"].get(owner, [])], int(plan["process"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return RunPlan([], 0)


def started_ns(file: Path) -> int | None:
    """Return when the run with this plan began (Unix time, ns), if there is one."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def work_ahead(
    plan: RunPlan[Kind],
    own: Kind,
    try_hold: Callable[[Kind], AbstractContextManager[bool]],
    answer: Callable[[Kind], None],
) -> list[str]:
    """Answer every planned piece that is free and whose data are there; return the names of those worked on.

    It ends when nothing is left, or when the run was killed: an orphan must not keep a device for hours.
    A piece that cannot be read or answered, for whatever reason, is left to its own job, which will say why: one's own
    work is done and must not fail with it.
    """
    done = []
    for piece in _from(plan.pieces, own):
        if not plan.is_running():
            break
        try:
            if not all(file.is_file() for file in piece.inputs):
                continue
            with try_hold(piece) as held:
                if held:
                    answer(piece)
                    done.append(piece.name)
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"{piece.name}: left to its own job ({reason})", file=sys.stderr, flush=True)
            if isinstance(error, DeviceStoppedError):
                break
    return done


def _from(planned: Sequence[Kind], own: Kind) -> Iterator[Kind]:
    """Yield the planned pieces that follow one's own, then those before it: neighbours start in different places."""
    place = planned.index(own) if own in planned else -1
    yield from planned[place + 1 :]
    yield from planned[: max(place, 0)]


def _as_text(piece: Piece) -> dict[str, Any]:
    values = {name: getattr(piece, name) for name in piece.__dataclass_fields__}
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


def _from_text(values: Mapping[str, Any], kind: type[Kind]) -> Kind:
    return kind(**{name: one.type(values[name]) for name, one in kind.__dataclass_fields__.items()})
