"""The server that answers is the one that was started: ports are leased, and foreign listeners are seen."""

import os
import socket
import sys
import threading
import time

import pytest

from tests.chat_server import running
from tests.faults.test_server_backend import PROGRAM, ask, backend
from vlmake.backends.server import load
from vlmake.endpoints.keys import Key
from vlmake.endpoints.messages import Wording
from vlmake.models.model_spec import ModelSpec, RuntimeOptions
from vlmake.registry.model_entries import ServerEntry
from vlmake.servers.ports import PortLease, lease_port, listener
from vlmake.servers.process import ServerProcess, start
from vlmake.servers.readiness import PortTakenError, wait_until_ready

IDLE = f"{sys.executable} -c 'import time; time.sleep(600)'"
# Listens at a port that others may listen at as well, as some engines do.
SHARING = """
import socket, sys, time
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen()
print("listening", flush=True)
time.sleep(600)
"""
# Its first start waits until somebody else has the port, its second is a server.
ROBBED = """
import os, sys, time
from pathlib import Path
port, folder = sys.argv[1], Path(sys.argv[2])
if not (folder / "drawn").exists():
    (folder / "draft").write_text(port)
    (folder / "draft").rename(folder / "drawn")
    time.sleep(600)
os.execv(sys.executable, [sys.executable, sys.argv[3], '{"port": %s}' % port])
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def at(port: int) -> PortLease:
    return PortLease(port, socket.socket(socket.AF_UNIX))


def ask_at_once(server: ServerProcess) -> None:
    try:
        wait_until_ready(server, Wording("m"), "m", 60, Key("MY_KEY", "sk-canary"))
    finally:
        server.stop()


@pytest.mark.parametrize("command", [IDLE, f"{sys.executable} {PROGRAM} '{{\"port\": {{port}}}}'"])
def test_a_server_of_somebody_else_is_not_asked(tmp_path, command):
    with running() as foreign:
        with pytest.raises(PortTakenError, match=f"at {foreign.url} another program listens"):
            ask_at_once(start(command, {}, tmp_path / "log", {}, port=at(foreign.port)))
        assert (foreign.stats()["calls"], foreign.stats()["keys"]) == ({}, [])


def test_a_port_that_two_programs_listen_at_is_not_ours(tmp_path):
    program = tmp_path / "sharing.py"
    program.write_text(SHARING)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        assert listener(port, os.getpid()) == "nobody"
        server = start(f"{sys.executable} {program} {{port}}", {}, tmp_path / "log", {}, port=at(port))
        try:
            wait_for(lambda: "listening" in server.last_words())
            assert listener(port, server.keeper.pid) == "ours"
            other.listen()
            assert listener(port, server.keeper.pid) == "others"
        finally:
            server.stop()


def test_a_port_that_was_taken_meanwhile_is_given_up_for_another(tmp_path):
    program = tmp_path / "robbed.py"
    program.write_text(ROBBED)
    thief = socket.socket()

    def rob() -> None:
        wait_for((tmp_path / "drawn").exists)
        thief.bind(("127.0.0.1", int((tmp_path / "drawn").read_text())))
        thief.listen()

    robbing = threading.Thread(target=rob)
    robbing.start()
    command = f"{sys.executable} {program} {{port}} {tmp_path} {PROGRAM}"
    values = {"backend": "server", "path": str(tmp_path), "command": command, "gpus": 0, "start_timeout": 60.0}
    entry = ServerEntry.model_validate(values)
    with thief:
        made = load(ModelSpec("Served", entry, tmp_path, "local:x"), RuntimeOptions("cpu"))
        robbing.join()
        try:
            assert ask(made, ["question"])["question"].text in ("Yes", "No")
            assert made.facts()["starts"] == 2
            assert not made.facts()["server"].endswith(f":{(tmp_path / 'drawn').read_text()}")
        finally:
            made.close()


def test_no_two_jobs_have_one_port():
    leases = [lease_port() for _ in range(500)]  # so many draws without a lease would meet
    try:
        assert len({lease.number for lease in leases}) == len(leases)
    finally:
        for lease in leases:
            lease.holder.close()


def test_a_port_is_leased_as_long_as_its_server_lives(tmp_path):
    server = start(IDLE, {}, tmp_path / "log", {})
    server.port.holder.close()  # as when the job is killed
    assert is_leased(server.port.number)
    server.stop()
    assert not is_leased(server.port.number)


def test_a_server_that_is_started_again_keeps_its_port(tmp_path):
    made = backend(tmp_path, dies_at="poison")
    try:
        before = made.facts()["server"]
        ask(made, ["poison"])
        assert (made.facts()["server"], made.facts()["starts"]) == (before, 3)
        assert is_leased(int(before.split(":")[2].split("/")[0]))
    finally:
        made.close()


def is_leased(port: int) -> bool:
    with socket.socket(socket.AF_UNIX) as holder:
        try:
            holder.bind(f"\0vlmake-server-at-{port}")
        except OSError:
            return True
    return False


def wait_for(happened, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
