"""Leases of real devices: jobs of one machine share its GPUs without meeting on one.

A device is leased by an ``flock`` on a file of its own in a folder that all users and checkouts of the machine share.
The kernel keeps the lock while any process has the file open that the job opened, so a device stays busy as long as
the job or a child it handed the descriptor to lives, and is free the moment the last of them dies, however it dies.

Whoever has to wait puts a ticket into the folder, locked as long as its owner waits. Nobody takes a device for which an
earlier live ticket waits, so a job that wants many devices is not overtaken for ever by those that want one, and jobs
that may use different devices do not hold each other up. Nothing is held while waiting: there is no deadlock.

The locks are local to what shares the folder: containers with a ``/tmp`` of their own do not see each other's.
"""

import errno
import fcntl
import json
import os
import pwd
import socket
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vlmake.devices.finding import VENDORS, Device, is_partition, restriction, visible_devices
from vlmake.errors import VlmakeError, counted

LOCK_FOLDER = Path("/tmp/vlmake-devices")  # one for the whole machine, so not where TMPDIR happens to point
_POLL_SECONDS = 0.1
_TICKET, _LOCK = ".ticket", ".lock"
_MOST_BYTES = 1 << 16  # of a lock file or ticket that is read: anyone may write them


@dataclass(frozen=True)
class Lease:
    """The devices a job may use; none means the CPU.

    ``environment`` restricts a process to them (empty where there is nothing to restrict). ``descriptors`` are
    inheritable: a child that outlives the job keeps the devices if it gets them (``Popen(pass_fds=descriptors)``).
    """

    devices: tuple[Device, ...]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()


@contextmanager
def lease(count: int, what: str, *, folder: Path = LOCK_FOLDER) -> Iterator[Lease]:
    """Hold ``count`` of the visible devices, all or nothing, waiting for them if need be.

    Yields an empty lease if ``count`` is 0 or the machine has no devices, and all visible devices, unlocked, where
    SLURM gave this job just these. A SLURM job that sees more (several jobs in one allocation) leases among them.

    Args:
        count: Devices wanted.
        what: The job in a few words, for the line on stderr that says what it waits for, and for those who wait for it.
        folder: Where the lock files lie; made if absent.

    Raises VlmakeError when there are fewer devices, or the folder or a file in it is not to be trusted or opened.
    """
    devices = visible_devices() if count else ()
    if count and "SLURM_JOB_ID" in os.environ:
        if count > len(devices):
            raise VlmakeError(
                f"{what}: wants {counted(count, 'device')}, but SLURM gave this job {len(devices)};"
                " make `gpus` of the model what the job is submitted with"
            )
        if count == len(devices):
            yield Lease(devices, {})
            return
    if not devices:
        yield Lease((), {})
        return
    candidates = _candidates(devices, count, what)
    descriptors = _collect([_file_name(device) for device in candidates], count, what, folder)
    try:
        chosen = tuple(device for device in candidates if _file_name(device) in descriptors)
        for descriptor in descriptors.values():
            os.set_inheritable(descriptor, True)
        yield Lease(chosen, restriction(chosen), tuple(descriptors.values()))
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)  # not LOCK_UN, which would free what a living child still uses


def apply(lease: Lease) -> None:
    """Restrict this process, and children it starts from now on, to the leased devices, for the rest of its life.

    Raises VlmakeError if torch is already imported, since it may have looked at the devices before.
    """
    if lease.environment and "torch" in sys.modules:
        raise VlmakeError("torch was imported before the devices were leased, so it may use others; lease them first")
    os.environ.update(lease.environment)


def describe(lease: Lease) -> str:
    """Return the line an inference job prints: which devices it has, and through which variable."""
    if not lease.devices:
        return "devices: none, on the CPU"
    given = VENDORS[lease.devices[0].vendor].variable if lease.environment else "as SLURM gave them"
    return f"devices: {' '.join(device.id for device in lease.devices)} ({given})"


def _candidates(devices: Sequence[Device], count: int, what: str) -> list[Device]:
    """Return the devices that may be leased; raise VlmakeError if there are fewer than ``count``."""
    if count == 1:
        return list(devices)
    whole = [device for device in devices if not is_partition(device)]
    if count > len(whole):
        kind = "whole device" if len(whole) < len(devices) else "device"
        raise VlmakeError(
            f"{what}: wants {counted(count, 'device')}, but this process sees {counted(len(whole), kind)} here;"
            f" lower `gpus` of the model or widen {VENDORS[devices[0].vendor].variable}"
        )
    return whole


def _collect(names: Sequence[str], count: int, what: str, folder: Path) -> dict[str, int]:
    """Return the locked descriptors of ``count`` of the lock files ``names``, by name."""
    with _shared_folder(folder) as root:
        taken = _attempt(root, names, count) or _wait(root, names, count, what)
        me = f"{what} (pid {os.getpid()} of {_user()} on {socket.gethostname()})\n"
        for descriptor in taken.values():
            with suppress(OSError):  # only a courtesy to those who wait, on a disk that may be full
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, me.encode(errors="replace"), 0)
        return taken


def _attempt(root: int, names: Sequence[str], count: int, ticket: str | None = None) -> dict[str, int]:
    """Lock ``count`` of the files at once, or none, leaving out what a ticket before the own one asks for."""
    claimed = set[str]().union(*(wanted for _, wanted in _live_tickets(root, ticket)))
    taken: dict[str, int] = {}
    with ExitStack() as given_up:
        for name in sorted(set(names) - claimed):
            descriptor = _open_lock(root, name)
            if not _try_lock(descriptor):
                os.close(descriptor)
                continue
            given_up.callback(os.close, descriptor)
            taken[name] = descriptor
            if len(taken) == count:
                given_up.pop_all()
                return taken
    return {}


def _wait(root: int, names: Sequence[str], count: int, what: str) -> dict[str, int]:
    """Queue up until ``count`` of the files are locked; say once what for."""
    told = False
    with _ticket(root, names) as ticket:
        while True:
            time.sleep(_POLL_SECONDS)
            if taken := _attempt(root, names, count, ticket):
                return taken
            if not told:
                told = True
                reasons = [*_holders(root, names), *_waiting_before(root, names, ticket)]
                line = f"{what}: waiting for {count} of {counted(len(names), 'device')}; {'; '.join(reasons)}"
                print("".join(letter for letter in line if letter.isprintable()), file=sys.stderr, flush=True)


def _holders(root: int, names: Sequence[str]) -> Iterator[str]:
    """Yield, for each file that is locked, what its holder wrote into it."""
    for name in names:
        descriptor = _open_lock(root, name)
        try:
            if not _try_lock(descriptor):
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
                yield f"{name.removesuffix(_LOCK)} is used by {holder or 'an unnamed job'}"
        finally:
            os.close(descriptor)


def _waiting_before(root: int, names: Sequence[str], ticket: str) -> Iterator[str]:
    for other, wanted in _live_tickets(root, ticket):
        if not wanted.isdisjoint(names):
            yield f"pid {other.removesuffix(_TICKET).partition('-')[2]} waits before it"


@contextmanager
def _ticket(root: int, names: Sequence[str]) -> Iterator[str]:
    """Queue up: yield the name of a ticket that tells which files are wanted and is locked while this block runs."""
    stem = f"{time.monotonic_ns():020d}-{os.getpid()}"  # sorts by arrival; the clock is the machine's
    ticket, draft = f"{stem}{_TICKET}", f"{stem}.draft"
    with _for_all():
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=root)
    try:
        os.write(descriptor, json.dumps(list(names)).encode())
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.rename(draft, ticket, src_dir_fd=root, dst_dir_fd=root)  # seen only once it is locked
        yield ticket
    finally:
        for name in (draft, ticket):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=root)
        os.close(descriptor)


def _live_tickets(root: int, before: str | None) -> Iterator[tuple[str, set[str]]]:
    """Yield the tickets, up to ``before`` if it is given, whose owners still wait, and the files that each wants."""
    for ticket in sorted(name for name in os.listdir(root) if name.endswith(_TICKET)):
        if before is not None and ticket >= before:
            return
        try:
            descriptor = os.open(ticket, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=root)
        except OSError:  # its owner has just got its devices, or it is nobody's ticket
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            with suppress(OSError):  # left by a job that was killed; another user's may have to stay
                os.unlink(ticket, dir_fd=root)
        except BlockingIOError:
            yield ticket, _wanted(os.read(descriptor, _MOST_BYTES))
        finally:
            os.close(descriptor)


def _wanted(content: bytes) -> set[str]:
    try:
        names = json.loads(content)
    except ValueError:
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


@contextmanager
def _shared_folder(folder: Path) -> Iterator[int]:
    """Yield a descriptor of the lock folder, made for all users with the sticky bit, as ``/tmp`` is.

    Raises VlmakeError for the system's errors in and about it.
    """
    try:
        with suppress(FileExistsError), _for_all():
            folder.mkdir(mode=0o1777)
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield root
        finally:
            os.close(root)
    except OSError as error:
        path = folder / str(error.filename or "")
        raise VlmakeError(
            f"devices cannot be leased by {path}: {error.strerror};"
            f" it must be no link and open to all users: have it removed, or {folder} opened by `chmod 1777`"
        ) from error


def _open_lock(root: int, name: str) -> int:
    """Open a lock file for reading and writing, made for all users if absent.

    An existing one is opened without O_CREAT, which Linux refuses for another user's file in a sticky folder.
    """
    while True:
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=root)
        except FileNotFoundError:
            with suppress(FileExistsError), _for_all():
                os.close(os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=root))
            continue
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file, or has a second name", name)


def _try_lock(descriptor: int) -> bool:
    """Lock the open file unless someone else has it, or it has been removed from the folder meanwhile."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink == 1


def _file_name(device: Device) -> str:
    return f"{device.vendor}-{device.id.replace('/', '_')}{_LOCK}"


@contextmanager
def _for_all() -> Iterator[None]:
    """Make files with exactly the permissions that are asked for, whatever the user's mask."""
    mask = os.umask(0)
    try:
        yield
    finally:
        os.umask(mask)


def _user() -> str:
    """Return the user's name, or number where the machine knows no name for it (containers)."""
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid())
