"""One run per work directory, told apart from a crashed one.

The holder keeps an advisory lock on ``.snakemake/vlmake.lock`` for as long as its process lives; the kernel drops it
the moment the process dies, however it dies. So whoever gets it knows that Snakemake's own lock files, which carry no
pid, are left over from a crash and may go.
"""

import fcntl
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from vlmake.errors import VlmakeError

_WAIT_SECONDS = 2.0  # a run that has just ended may need a moment to let go


def hold_work_dir(folder: Path) -> IO[str]:
    """Take the work directory for this process and clear what a crashed run left locked.

    Returns the open lock file: the hold lasts until it is closed or the process ends. Raises VlmakeError naming the
    holder's host, pid and start when another run is alive there.
    """
    state = folder / ".snakemake"
    state.mkdir(parents=True, exist_ok=True)
    lock = (state / "vlmake.lock").open("a+", encoding="utf-8")
    deadline = time.monotonic() + _WAIT_SECONDS
    while not _try_lock(lock):
        if time.monotonic() > deadline:
            lock.seek(0)
            holder = lock.read().strip() or "another run"
            lock.close()
            raise VlmakeError(f"{folder} is in use by {holder}; wait for it to end, or stop it there")
        time.sleep(0.05)
    lock.truncate(0)
    lock.write(f"pid {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
    lock.flush()
    clear_stale_locks(state / "locks")
    return lock


def clear_stale_locks(locks: Path) -> None:
    """Remove Snakemake's lock files of this workflow; those of another workflow in the same folder stay."""
    for file in locks.glob("*.lock"):
        if all(_is_ours(line) for line in file.read_text(encoding="utf-8", errors="replace").splitlines()):
            file.unlink(missing_ok=True)


def is_dry_run(arguments: Sequence[str]) -> bool:
    """Tell whether Snakemake was asked only to plan (``-n``, also within ``-np``); a plan needs no hold."""
    short = (word[1:] for word in arguments if word.startswith("-") and not word.startswith("--"))
    return any(word in ("--dry-run", "--dryrun") for word in arguments) or any(
        letters.isalpha() and "n" in letters and set(letters) <= set("npqFfk") for letters in short
    )


def _is_ours(path: str) -> bool:
    return "/results/" in f"/{path}" or path.endswith(("source.json", "samples.parquet", "images.arrow"))


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
