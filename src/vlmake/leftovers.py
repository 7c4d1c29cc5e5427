"""Processes that this one or its descendants started and that still run: found, and ended."""

import time
from collections.abc import Callable, Sequence

import psutil

GRACE_S = 10.0
"""Seconds that processes have to end in one way before the next is tried."""

_LOOK_EVERY_S = 0.2

End = Callable[[psutil.Process], None]
POLITELY_THEN_BY_FORCE: Sequence[End] = (psutil.Process.terminate, psutil.Process.kill)
BY_FORCE: Sequence[End] = (psutil.Process.kill,)


def descendants() -> list[psutil.Process]:
    """Return the descendants of this process that have not ended."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def end_all(find: Callable[[], Sequence[psutil.Process]], ways: Sequence[End], grace: float = GRACE_S) -> None:
    """End all that ``find`` finds, now and meanwhile, each way for ``grace`` seconds."""
    for end in ways:
        deadline = time.monotonic() + grace
        while (left := find()) and time.monotonic() < deadline:
            for process in left:
                try:
                    end(process)
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(left, timeout=_LOOK_EVERY_S)
