"""What a user's class may do to the job that runs it is undone: another folder, a second process, processes left."""

import os
import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager
from multiprocessing import resource_tracker

import psutil

from vlmake.leftovers import GRACE_S, POLITELY_THEN_BY_FORCE, descendants, end_all


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Let the user's code run: after it the process is in its folder again, and a copy of it (``fork``) ends.

    All that a job writes is relative to its folder, and a copy would write the same answers once more. ``what`` is the
    code in a few words, for the line that a copy ends with.
    """
    job, folder = os.getpid(), os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield
    finally:
        if os.getpid() != job:
            print(
                f"{what} made a copy of its process, which came back from it and is ended", file=sys.stderr, flush=True
            )
            os._exit(1)
        os.fchdir(folder)
        os.close(folder)


def running() -> frozenset[int]:
    """Return the ids of this process's descendants."""
    return frozenset(process.pid for process in descendants())


def end_all_but(before: Set[int], grace: float = GRACE_S) -> None:
    """End this process's descendants but those that ran ``before``: asked first, killed after ``grace`` seconds."""
    end_all(lambda: _started_since(before), POLITELY_THEN_BY_FORCE, grace)


def _started_since(before: Set[int]) -> list[psutil.Process]:
    return [process for process in descendants() if process.pid not in before and not _cleans_up(process)]


def _cleans_up(process: psutil.Process) -> bool:
    """Tell whether a process is the one by which multiprocessing cleans up; it ends after its parent, of itself."""
    return bool(process.pid == getattr(resource_tracker._resource_tracker, "_pid", None))
