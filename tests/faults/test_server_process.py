"""A server that a job starts is gone when the job is gone, with everything that the server started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from vlmake.errors import VlmakeError
from vlmake.servers.process import fill_in, start

# A server with a worker in a session of its own, as engines have them; both say who they are.
SERVER = """
import os, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open(sys.argv[1], "w").write(f"{os.getpid()} {worker.pid}")
time.sleep(float(sys.argv[2]))
"""
JOB = """
import signal, sys, time
from pathlib import Path
from vlmake.servers.process import start
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
start(sys.argv[1], {}, Path(sys.argv[2]), {})
time.sleep(600)
"""


def command(tmp_path: Path, seconds: float) -> str:
    program = tmp_path / "server.py"
    program.write_text(SERVER)
    return f"{sys.executable} {program} {tmp_path / 'who'} {seconds}"


def processes(tmp_path: Path) -> list[int]:
    """Wait until the server and its worker run; return their process ids."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        told = (tmp_path / "who").read_text().split() if (tmp_path / "who").exists() else []
        if len(told) == 2:
            return [int(pid) for pid in told]
        time.sleep(0.05)
    raise AssertionError("the server did not start")


def all_gone(pids: list[int], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_job_leaves_no_server(tmp_path, number):
    job = subprocess.Popen([sys.executable, "-c", JOB, command(tmp_path, 600), str(tmp_path / "log")])
    pids = processes(tmp_path)
    os.kill(job.pid, number)
    job.wait()
    assert all_gone(pids)


def test_stopping_ends_the_server_and_its_workers(tmp_path):
    server = start(command(tmp_path, 600), {}, tmp_path / "log", {})
    pids = processes(tmp_path)
    assert server.is_alive()
    server.stop()
    assert all_gone(pids, 1)


def test_a_server_that_ends_takes_its_workers_along(tmp_path):
    server = start(command(tmp_path, 0.1), {}, tmp_path / "log", {})
    pids = processes(tmp_path)
    assert all_gone(pids)
    server.keeper.wait(30)
    assert not server.is_alive()


def test_workers_of_a_server_that_is_gone_are_not_waited_for(tmp_path):
    worker = (
        "import signal, time; from pathlib import Path;"
        f"signal.signal(signal.SIGTERM, lambda *_: Path({str(tmp_path / 'asked')!r}).touch());"
        "print('ready', flush=True); time.sleep(600)"
    )
    program = tmp_path / "server.py"
    program.write_text(
        "import subprocess, sys\n"
        f"worker = subprocess.Popen([sys.executable, '-c', {worker!r}], stdout=subprocess.PIPE)\n"
        "worker.stdout.readline()\n"
        f"open({str(tmp_path / 'who')!r}, 'w').write(f'{{worker.pid}}')\n"
        "sys.exit(3)\n"
    )
    server = start(f"{sys.executable} {program}", {}, tmp_path / "log", {})
    assert server.keeper.wait(30) == 3
    assert server.ending() == "exit status 3"
    assert all_gone([int((tmp_path / "who").read_text())])
    assert not (tmp_path / "asked").exists(), "it was killed, not asked to end"
    server.stop()


def test_a_server_that_was_killed_says_by_what(tmp_path):
    server = start(command(tmp_path, 600), {}, tmp_path / "log", {})
    os.kill(processes(tmp_path)[0], signal.SIGKILL)
    server.keeper.wait(30)
    assert server.ending() == "SIGKILL"
    server.stop()


def test_a_command_is_found_beside_the_interpreter_first(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # the job's environment is not activated
    server = start("python -c 'import sys; print(sys.executable)'", {}, tmp_path / "log", {})
    assert server.keeper.wait(30) == 0
    assert Path(server.last_words()) == Path(sys.executable).with_name("python")
    server.stop()


def test_the_words_of_an_earlier_server_are_not_quoted(tmp_path):
    (tmp_path / "log").write_text("CUDA out of memory\n")
    server = start("python -c 'raise SystemExit(3)'", {}, tmp_path / "log", {})
    assert server.keeper.wait(30) == 3
    assert server.last_words() == ""
    assert start("python -c 'print(7)'", {}, tmp_path / "log", {}).keeper.wait(30) == 0
    assert (tmp_path / "log").read_text() == "CUDA out of memory\n7\n"
    server.stop()


def test_a_command_that_is_not_there_says_so(tmp_path):
    server = start("no-such-engine serve --port {port}", {}, tmp_path / "log", {})
    assert server.keeper.wait(30) == 127
    assert "no-such-engine" in server.last_words()


def test_places_are_filled_in_without_a_shell():
    filled = fill_in("vllm serve '{path}' --port {port} -- '$(rm x)'", {"path": "/a b/c", "port": "80"})
    assert filled == ["vllm", "serve", "/a b/c", "--port", "80", "--", "$(rm x)"]
    with pytest.raises(VlmakeError, match="cannot be split"):
        fill_in("vllm 'serve", {})
