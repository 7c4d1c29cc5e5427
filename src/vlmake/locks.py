"""Waiting for one's turn: a lock file that the kernel frees the moment its holder dies, however it dies."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def hold(lock_file: Path, waiting: str) -> Iterator[None]:
    """Hold ``lock_file``; print ``waiting`` to stderr once if another process holds it, and wait for that one."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(waiting, file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
