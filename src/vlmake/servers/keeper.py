"""Runs a server and ends it, with all it started, the moment the job that wanted it is gone, however that went.

``python -m vlmake.servers.keeper COMMAND...`` with a pipe as standard input: the job holds the other end, so the kernel
closes it when the job ends, also after ``kill -9``. The keeper has a session of its own (no Ctrl-C of the terminal
reaches it) and adopts orphaned descendants (Linux), so that workers which outlive the server's main process are found.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys

from vlmake.leftovers import BY_FORCE, POLITELY_THEN_BY_FORCE, descendants, end_all
from vlmake.orphans import die_with_parent

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_LOOK_EVERY_S = 0.2
_NOT_FOUND = 127


def main(command: list[str]) -> int:
    """Run ``command`` until it ends or standard input does; return its exit code, 0 if it was stopped."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _adopt_orphans()
    try:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_in_server)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return _NOT_FOUND
    while server.poll() is None and not _is_closed():
        pass
    code = server.poll()
    # Workers of a server that is gone have nothing to bring to an end.
    end_all(descendants, POLITELY_THEN_BY_FORCE if code is None else BY_FORCE)
    return 0 if code is None else code if code >= 0 else 128 - code


def _in_server() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    die_with_parent()


def _is_closed() -> bool:
    """Wait a moment for the job's end of the pipe to close; tell whether it did."""
    readable, _, _ = select.select([0], [], [], _LOOK_EVERY_S)
    return bool(readable) and os.read(0, 1) == b""


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
