"""Waiting for one's turn: a lock file that the kernel frees the moment its holder dies, however it dies.

On a network file system the lock holds across nodes where the system's ``flock`` does (NFSv4, Lustre with ``flock``).
"""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold(lock_file: Path, waiting: str, *, shared: bool = False) -> Iterator[None]:
    """Hold ``lock_file``, alone or together with other sharers; the file itself stays.

    Prints ``waiting`` to stderr once if another process is in the way, and waits for that one.
    """
    with try_hold(lock_file, shared=shared) as held:
        if held:
            yield
            return
    with lock_file.open("a") as file:
        print(waiting, file=sys.stderr, flush=True)
        fcntl.flock(file, _mode(shared))
        yield


@contextmanager
def try_hold(lock_file: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold ``lock_file`` if no other process is in the way; yields whether it is held."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a") as file:
        try:
            fcntl.flock(file, _mode(shared) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _mode(shared: bool) -> int:
    return fcntl.LOCK_SH if shared else fcntl.LOCK_EX
