"""One run per work directory, told apart from a crashed one.

The holder keeps an advisory lock on ``.snakemake/vlmake.lock`` for as long as its process lives; the kernel drops it
the moment the process dies, however it dies. So whoever gets it knows that Snakemake's own lock files, which carry no
pid, are left over from a crash and may go.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from vlmake.digests import cache_home
from vlmake.errors import VlmakeError

_WAIT_SECONDS = 2.0  # a run that has just ended may need a moment to let go


def check_folders(work_dir: Path, within: Iterable[str] = ()) -> None:
    """Raise VlmakeError for a folder that cannot be made or written, before Snakemake meets it.

    Args:
        work_dir: Where ``results/`` and ``data/`` lie or will lie.
        within: Further folders below it that a run writes to, where they are there.
    """
    places = [work_dir / name for name in dict.fromkeys(("results", ".snakemake", *within))]
    for folder in (_nearest(work_dir), *(place for place in places if place.exists())):
        if not folder.is_dir():
            raise VlmakeError(f"{folder} is a file where a folder should be; name another --work-dir or move it")
        if not _is_writable(folder):
            raise VlmakeError(f"{folder} cannot be written by you; name another --work-dir")
    cache = cache_home().parent
    if not _is_writable(_nearest(cache)):
        raise VlmakeError(
            f"{cache} cannot be written by you, and Snakemake keeps files there: set XDG_CACHE_HOME to a folder"
            " that can (and HF_HOME, if models lie in the old one)"
        )


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _is_writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


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


_LOOKS = (
    *("--summary", "-S", "--detailed-summary", "-D", "--dag", "--rulegraph", "--filegraph", "--d3dag", "--lint"),
    *("--list-rules", "--list", "-l", "--list-target-rules", "--lt", "--list-changes", "--list-input-changes"),
    *("--list-params-changes", "--list-untracked", "--unlock", "--touch", "-t", "--cleanup-metadata", "--report"),
    *("--archive", "--delete-all-output", "--delete-temp-output", "--containerize", "--print-compilation"),
)


def only_looks(arguments: Sequence[str]) -> bool:
    """Tell whether Snakemake was asked for something else than to make files: a plan, a list, a drawing."""
    return is_dry_run(arguments) or any(word.partition("=")[0] in _LOOKS for word in arguments)


def _is_ours(path: str) -> bool:
    return "/results/" in f"/{path}" or path.endswith(("source.json", "samples.parquet", "images.arrow"))


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
