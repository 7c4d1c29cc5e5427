"""Ports of this machine: one that no other job uses, and whose program listens there."""

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import psutil

from vlmake.errors import VlmakeError

Listener = Literal["nobody", "ours", "others"]

_TRIES = 100
_CONNECT_S = 1.0
_REACHED_BY_LOOPBACK = frozenset({"127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"})


@dataclass(frozen=True)
class PortLease:
    """A port that no other job has as long as ``holder`` is open in some process."""

    number: int
    holder: socket.socket


def lease_port() -> PortLease:
    """Return a port that nothing listens at and no other job has.

    Engines may listen at a port that is listened at already (SO_REUSEPORT): the system then deals requests out among
    them. So a job keeps its port by a name that exists once where the port does, and ends with the last process that
    has it: a socket in Linux's abstract namespace. Elsewhere nothing is kept.
    """
    for _ in range(_TRIES):
        lease = PortLease(_free_port(), socket.socket(socket.AF_UNIX))
        if sys.platform != "linux":
            return lease
        try:
            lease.holder.bind(f"\0vlmake-server-at-{lease.number}")
        except OSError:
            lease.holder.close()
            continue
        return lease
    raise VlmakeError(f"no free port was found in {_TRIES} tries")


def listener(port: int, keeper: int) -> Listener:
    """Tell who listens at a port of this machine: nobody, descendants of ``keeper`` alone, or others (too)."""
    if not _is_listened_at(port):
        return "nobody"
    ours = _descendants(keeper)
    try:
        pids = {found.pid for found in psutil.net_connections("tcp") if _accepts(found, port)}
    except psutil.AccessDenied:  # macOS: a user sees the own processes alone, and those only one by one
        pids = set(_accepting(ours, port)) or {None}
    if not pids:
        return "nobody"  # it has ended meanwhile
    strangers = pids - ours.keys()
    if strangers:  # or a worker that was started meanwhile
        strangers -= _descendants(keeper).keys()
    return "others" if strangers else "ours"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_listened_at(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), _CONNECT_S):
        return True
    return False


def _descendants(pid: int) -> dict[int, Any]:
    try:
        return {child.pid: child for child in psutil.Process(pid).children(recursive=True)}
    except psutil.NoSuchProcess:
        return {}


def _accepting(processes: Mapping[int, Any], port: int) -> Iterator[int]:
    for pid, process in processes.items():
        with suppress(psutil.Error):
            if any(_accepts(found, port) for found in process.net_connections("tcp")):
                yield pid


def _accepts(connection: Any, port: int) -> bool:
    if connection.status != psutil.CONN_LISTEN:
        return False
    return connection.laddr.port == port and connection.laddr.ip in _REACHED_BY_LOOPBACK
