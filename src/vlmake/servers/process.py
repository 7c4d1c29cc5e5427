"""One server process of a job: a command, a port, a log, and whether it still lives."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlmake.errors import VlmakeError
from vlmake.servers.ports import PortLease, lease_port

_LAST_LINES = 3
_LOG_END = 8192
_STOP_S = 30.0
_SIGNALLED = 128  # the keeper's exit status for a server that ended by signal N is this and N, as a shell's


@dataclass
class ServerProcess:
    """A running server and the keeper that ends it with this process."""

    port: PortLease
    keeper: "subprocess.Popen[bytes]"
    log: Path
    log_start: int = 0
    """Where in the log its own words begin."""

    @property
    def root(self) -> str:
        """The URL that the server listens at."""
        return f"http://127.0.0.1:{self.port.number}"

    def is_alive(self) -> bool:
        """Tell whether the server's main process runs."""
        return self.keeper.poll() is None

    def ending(self) -> str:
        """Return how the server's main process ended, in a few words."""
        code = self.keeper.poll()
        if code is None:
            return "it runs"
        number = -code if code < 0 else code - _SIGNALLED
        return signal.Signals(number).name if number in list(signal.Signals) else f"exit status {code}"

    def stop(self, *, keep_port: bool = False) -> None:
        """End the server and all it started; returns when they are gone. Its port is another job's to take then."""
        if self.keeper.stdin is not None:
            self.keeper.stdin.close()
        try:
            self.keeper.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
            self.keeper.wait()
        if not keep_port:
            self.port.holder.close()

    def last_words(self, lines: int = _LAST_LINES) -> str:
        """Return the last lines that the server wrote into the log, as one line."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(self.log_start, self.log.stat().st_size - _LOG_END))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        told = [" ".join(line.split()) for line in text.split("\n") if line.strip()]
        return " | ".join(told[-lines:])[-500:]


def start(
    command: str,
    places: Mapping[str, str],
    log: Path,
    environment: Mapping[str, str],
    descriptors: Sequence[int] = (),
    port: PortLease | None = None,
) -> ServerProcess:
    """Start a server at ``port``, else at a free one. Its command is found beside this interpreter, else on the path.

    Args:
        command: The command line, split as a shell would but run without one. ``{port}`` and the names of ``places``
            are filled in.
        places: What else a command may name.
        log: Where its output goes, behind what is there.
        environment: Variables over this process's own.
        descriptors: Leases of devices, kept as long as the server lives.
        port: Where it listens, if that was decided before.
    """
    port = port or lease_port()
    arguments = fill_in(command, {**places, "port": str(port.number)})
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        log_start = output.tell()
        keeper = subprocess.Popen(
            [sys.executable, "-m", "vlmake.servers.keeper", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**os.environ, "PATH": path, **environment},
            start_new_session=True,
            pass_fds=(port.holder.fileno(), *descriptors),
        )
    return ServerProcess(port, keeper, log, log_start)


def fill_in(command: str, places: Mapping[str, str]) -> list[str]:
    """Return a command's arguments with its places filled in; VlmakeError for a command that cannot be split."""
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise VlmakeError(f"command '{command}' cannot be split into arguments ({error})") from None
    if not arguments:
        raise VlmakeError("command is empty: write the server's command line, with {port} for its port")
    for name, value in places.items():
        arguments = [argument.replace(f"{{{name}}}", value) for argument in arguments]
    return arguments
