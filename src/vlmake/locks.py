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
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with lock_file.open("a") as file:
        try:
            fcntl.flock(file, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            print(waiting, file=sys.stderr, flush=True)
            fcntl.flock(file, mode)
        yield
