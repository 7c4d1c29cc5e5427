"""Files that are whole or absent: atomic writes, and canonical JSON with its digest.

Every result file is written under a temporary name in its own folder, flushed, fsynced and renamed, so a reader
never meets half a file and two writers never mix. The work directory is a shared POSIX file system.
"""

import errno
import glob
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from vlmake.errors import VlmakeError

_PART = ".part"


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success fsync and rename it there, on failure remove it.

    The file gets the permissions that a plain ``open`` would give. Parent folders are made.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    mine = f".{target.name}.{socket.gethostname()}-{os.getpid()}."
    handle, name = tempfile.mkstemp(prefix=mine, suffix=_PART, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with disk_errors(target):
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
            sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn the error of a full disk, which often names no file, into a VlmakeError that names ``target``."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise VlmakeError(
            f"cannot write {target}: the disk took no more bytes ({os.strerror(error.errno)});"
            " make room, then the same command goes on"
        ) from error


def _remove_leftovers(target: Path) -> None:
    """Remove temporary files of this target whose process on this host was killed."""
    mark = f".{target.name}.{socket.gethostname()}-"
    for part in target.parent.glob(f"{glob.escape(mark)}*{_PART}"):
        pid = part.name.removeprefix(mark).split(".", 1)[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            part.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically, with line ends as given."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def sync_folder(folder: Path) -> None:
    """Make a rename or a new file in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def text_digest(text: str) -> str:
    """Return the SHA-256 of UTF-8 ``text`` as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _umask() -> int:
    """Return the process's file mode mask (reading it means setting it for a moment)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
