"""One server process of a job: a command, a port, a log, and whether it still lives."""

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlmake.errors import VlmakeError

_LAST_LINES = 3
_LOG_END = 8192
_STOP_S = 30.0


@dataclass
class ServerProcess:
    """A running server and the keeper that ends it with this process."""

    port: int
    keeper: "subprocess.Popen[bytes]"
    log: Path

    @property
    def root(self) -> str:
        """The URL that the server listens at."""
        return f"http://127.0.0.1:{self.port}"

    def is_alive(self) -> bool:
        """Tell whether the server's main process runs."""
        return self.keeper.poll() is None

    def stop(self) -> None:
        """End the server and all it started; returns when they are gone."""
        if self.keeper.stdin is not None:
            self.keeper.stdin.close()
        try:
            self.keeper.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
            self.keeper.wait()

    def last_words(self) -> str:
        """Return the last lines of the log, as one line."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _LOG_END))
                lines = file.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return ""
        told = [" ".join(line.split()) for line in lines if line.strip()]
        return " | ".join(told[-_LAST_LINES:])[-500:]


def start(
    command: str,
    places: Mapping[str, str],
    log: Path,
    environment: Mapping[str, str],
    descriptors: Sequence[int] = (),
    port: int | None = None,
) -> ServerProcess:
    """Start a server at ``port``, else at a free one.

    Args:
        command: The command line, split as a shell would but run without one. ``{port}`` and the names of ``places``
            are filled in.
        places: What else a command may name.
        log: Where its output goes, behind what is there.
        environment: Variables over this process's own.
        descriptors: Leases of devices, kept as long as the server lives.
        port: Where it listens, if that was decided before.
    """
    port = port or free_port()
    arguments = fill_in(command, {**places, "port": str(port)})
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "vlmake.servers.keeper", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            start_new_session=True,
            pass_fds=tuple(descriptors),
        )
    return ServerProcess(port, keeper, log)


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


def free_port() -> int:
    """Return a port of this machine that nothing listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
