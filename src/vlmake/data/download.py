"""Bring a benchmark's TSV to its final name: only whole, only with the right md5, one process at a time.

Bytes arrive in ``<name>.part`` beside the target. The final name is given by a rename after the whole file was hashed
again from disk. A cut transfer goes on where it stopped only if the server had given the part a strong ETag and
confirms it; in every other case it starts again from zero.
"""

import errno
import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from vlmake.data.transfer import (
    CHUNK,
    Advance,
    Limits,
    Reply,
    TransferError,
    UselessError,
    copy_local,
    fetch,
    shown_url,
)
from vlmake.errors import VlmakeError, counted
from vlmake.locks import hold
from vlmake.store import sync_folder

CONNECT_SECONDS = 20.0
STALL_SECONDS = 60.0
"""A server that sends nothing for so long has stalled."""

ATTEMPTS = 4
"""Tries for one URL as long as its errors may pass by themselves."""

_SHOWN_BYTES = 80
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Digests(NamedTuple):
    """What identifies a file's content."""

    md5: str
    sha256: str
    size: int


def source_record(
    dataset: str, tsv: Path, urls: Sequence[str] = (), md5s: Sequence[str] = (), **options: Any
) -> dict[str, Any]:
    """Make sure that ``tsv`` is there and right, downloading it if needed; return what ``source.json`` holds.

    Args:
        dataset: The dataset's name.
        tsv: Where the TSV is or shall be.
        urls: Where to get it, in order; without any, ``tsv`` is a local file that is used in place.
        md5s: The accepted md5 sums; with none, any sum is accepted and recorded.
        options: As for ``download``.

    Returns:
        dataset, file (the name without folders), md5, sha256, size, origin.

    Raises:
        VlmakeError: The file is missing, is another one, or cannot be fetched.
    """
    if urls:
        found = download(list(urls), list(md5s), tsv, **options)
    else:
        found = {**_existing(tsv, _known_md5s(md5s))._asdict(), "origin": "local file"}
    return {"dataset": dataset, "file": tsv.name, **found}


def download(
    urls: list[str],
    md5s: list[str],
    target: Path,
    *,
    attempts: int = ATTEMPTS,
    pause: float = 1.0,
    connect_seconds: float = CONNECT_SECONDS,
    stall_seconds: float = STALL_SECONDS,
) -> dict[str, Any]:
    """Fetch ``target`` from the first URL that gives a good file, unless it is there already.

    A file that exists with an accepted md5 is used as it is; one with another md5 is never overwritten. A second
    process that wants the same file waits for the first and uses its result.

    Args:
        urls: http, https or file URLs, in the order in which they are tried.
        md5s: Accepted md5 sums. With none, what arrives is accepted unless it is an HTML page or was cut short.
        target: The final name; ``<target>.part``, ``<target>.part.json`` and ``<target>.lock`` stand beside it.
        attempts: Tries for one URL while its errors may pass (connection, stall, 5xx).
        pause: Seconds before the second try; doubled for every further one.
        connect_seconds: How long a connection may take.
        stall_seconds: How long a server may send nothing.

    Returns:
        md5, sha256, size and origin: the URL without secrets, or "existing file".

    Raises:
        VlmakeError: No URL gave a good file, the file that exists is another one, or the disk does not take it.
    """
    accepted = _known_md5s(md5s)
    if not urls:
        raise VlmakeError(f"{target.name}: no URL to download it from")
    if os.path.lexists(target):  # before the lock: a shared data folder may be read-only
        return {**_existing(target, accepted)._asdict(), "origin": "existing file"}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with hold(Path(f"{target}.lock"), f"vlmake: waiting for another process that downloads {target}"):
            if os.path.lexists(target):
                return {**_existing(target, accepted)._asdict(), "origin": "existing file"}
            limits = Limits(attempts, pause, connect_seconds, stall_seconds)
            return _first_good(urls, accepted, target, limits)
    except OSError as error:
        if error.errno in _DISK_ERRORS:
            raise VlmakeError(
                f"{target}: the disk took no more bytes ({error.strerror}); nothing was saved under that name; "
                "make room or set another data folder"
            ) from error
        raise VlmakeError(f"cannot write {target}: {error.strerror or error}") from error


def hash_file(path: Path) -> Digests:
    """Read a whole file once; return its md5, sha256 and size."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    buffer = memoryview(bytearray(CHUNK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            md5.update(buffer[:count])
            sha256.update(buffer[:count])
            size += count
    return Digests(md5.hexdigest(), sha256.hexdigest(), size)


def _known_md5s(md5s: Sequence[str]) -> list[str]:
    """Return md5 sums in lower case; VlmakeError for one that is none."""
    for md5 in md5s:
        if not re.fullmatch("[0-9a-fA-F]{32}", md5):
            raise VlmakeError(f"'{md5}' is no md5 sum (32 hexadecimal digits)")
    return [md5.lower() for md5 in md5s]


def _existing(path: Path, md5s: list[str]) -> Digests:
    """Return the digests of a file that is there; VlmakeError if it cannot be read or is another one."""
    try:
        if not path.exists():
            raise VlmakeError(f"{path} does not exist; give the path of a TSV or register a URL for it")
        if not path.is_file():
            raise VlmakeError(f"{path} is not a regular file")
        digests = hash_file(path)
        if not md5s or digests.md5 in md5s:
            return digests
        difference = _mismatch(path, digests, md5s)
    except OSError as error:
        raise VlmakeError(f"cannot read {path}: {error.strerror}") from error
    raise VlmakeError(
        f"{path} is not the registered file: {difference}; it is left as it is: "
        "move it away to download the right one, or register its md5 (`md5: null` accepts any file)"
    )


def _mismatch(path: Path, digests: Digests, md5s: list[str]) -> str:
    """Say how a file differs from what was expected: sums, size and first bytes."""
    with path.open("rb") as file:
        start = file.read(_SHOWN_BYTES)
    page = "an HTML page, " if _is_html(start) else ""
    return (
        f"md5 {digests.md5}, expected {' or '.join(md5s)} ({page}{counted(digests.size, 'byte')}, "
        f"the first ones are '{_printable(start)}')"
    )


def _is_html(start: bytes) -> bool:
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html", b"<head"))


def _printable(data: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)


def _first_good(urls: list[str], md5s: list[str], target: Path, limits: Limits) -> dict[str, Any]:
    """Try the URLs in order; return digests and origin of the first good file, which then has its final name."""
    failures = []
    for url in urls:
        try:
            digests = _from_one(url, md5s, target, limits)
        except TransferError as error:
            failures.append(f"{shown_url(url)}: {error}")
            continue
        if os.path.lexists(target):  # another program was faster: its file is not ours to overwrite
            _forget(target)
            return {**_existing(target, md5s)._asdict(), "origin": "existing file"}
        _note(target).unlink(missing_ok=True)
        _part(target).replace(target)
        sync_folder(target.parent)
        return {**digests._asdict(), "origin": shown_url(url)}
    raise VlmakeError(f"cannot download {target.name}: {'; '.join(failures)}; nothing was saved under {target}")


def _from_one(url: str, md5s: list[str], target: Path, limits: Limits) -> Digests:
    """Bring a good file from one URL into the part file; TransferError says why it did not work."""
    scheme = urlsplit(url).scheme.lower() if shown_url(url) != "an invalid URL" else ""
    if scheme not in ("http", "https", "file"):
        raise TransferError("only http, https and file URLs can be downloaded")
    part = _part(target)
    tries = 0
    while True:
        tries += 1
        try:
            with _progress(target.name) as advance:
                if scheme == "file":
                    reply = copy_local(url, part, _note(target), advance)
                else:
                    reply = fetch(url, part, _note(target), limits, bool(md5s), advance)
            return _checked(part, reply, md5s)
        except TransferError as error:
            if isinstance(error, UselessError) or not _note(target).exists():  # without a note it cannot be continued
                _forget(target)
            if not error.passing or tries >= limits.attempts:
                again = f" ({tries} tries)" if tries > 1 else ""
                raise TransferError(f"{error}{again}") from error
        except OSError:
            if not _note(target).exists():
                _forget(target)
            raise
        time.sleep(min(limits.pause * 2 ** (tries - 1), 30.0))


def _checked(part: Path, reply: Reply, md5s: list[str]) -> Digests:
    """Hash the whole part file from disk; return its digests if it is what it should be."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
        start = file.read(_SHOWN_BYTES)
    digests = hash_file(part)
    encoded = f"; the server sent it with Content-Encoding: {_printable(reply.encoding.encode())}"
    if md5s:
        if digests.md5 not in md5s:
            reason = _mismatch(part, digests, md5s) + (encoded if reply.encoding else "")
            raise UselessError(f"wrong file: {reason}", passing=reply.resumed)  # a stitched file is tried once more
        return digests
    described = f"{counted(digests.size, 'byte')}, the first ones are '{_printable(start)}'"
    if _is_html(start) or reply.media_type == "text/html":
        raise UselessError(f"an HTML page arrived instead of a TSV ({described})")
    if reply.encoding:
        raise UselessError(f"not the plain file, and no md5 is registered to tell ({described}){encoded}")
    if not reply.framed:
        raise UselessError(f"the server does not say how long the file is, and no md5 is registered ({described})")
    if not digests.size:
        raise UselessError("an empty file arrived")
    return digests


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def _forget(target: Path) -> None:
    """Remove the part and what is known about it."""
    _note(target).unlink(missing_ok=True)
    _part(target).unlink(missing_ok=True)


@contextmanager
def _progress(name: str) -> Iterator[Advance]:
    """Show a progress bar on stderr if that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
