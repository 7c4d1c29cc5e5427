"""Many jobs, four devices: never two on one, none forgotten, whoever is killed and however.

The jobs are real processes, the locks real; only nvidia-smi is a script, since the devices themselves take no part.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fake_devices import UUIDS, nvidia_smi
from vlmake.devices import gpus
from vlmake.devices.finding import Device
from vlmake.errors import VlmakeError

# count, folder, log, name, what to do: lease, note begin and end in the log, and hold in between
JOB = """
import os, subprocess, sys, time
from pathlib import Path
from vlmake.devices import gpus

count, folder, log, name, act = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
lines = os.open(log, os.O_WRONLY | os.O_APPEND)

def note(event, devices=()):
    os.write(lines, " ".join([event, name, *devices, "\\n"]).encode())

def job():
    with gpus.lease(count, name, folder=folder) as lease:
        note("begin", [device.id for device in lease.devices])
        if act == "hold":
            gpus.apply(lease)
            print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
            sys.stdin.read()
        elif act.startswith("child"):
            handed = {"pass_fds": lease.descriptors} if act == "child by pass_fds" else {"close_fds": False}
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            child = subprocess.Popen(["/bin/sleep", "1000"], **silent, **handed)
            print(child.pid, flush=True)
            sys.stdin.read()
        else:
            time.sleep(float(act.removeprefix("stream:")))
        note("end", [device.id for device in lease.devices])

if act.startswith("stream:"):  # one small job after the other until the large one is through
    for _ in range(150):
        job()
        if "begin large" in Path(log).read_text():
            break
    else:
        sys.exit("the large job starves")
else:
    note("ask")
    job()
"""


@dataclass
class Machine:
    """Four devices, one lock folder, one log of all jobs."""

    folder: Path
    stack: ExitStack
    programs: Path

    @property
    def locks(self) -> Path:
        return self.folder / "vlmake-devices"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(
        self, name: str, count: int, act: str = "hold", declared: str | None = None, cwd: Path | None = None
    ) -> "subprocess.Popen[str]":
        environment = {"PATH": str(self.programs)} | ({"CUDA_VISIBLE_DEVICES": declared} if declared else {})
        process = subprocess.Popen(
            [sys.executable, "-c", JOB, str(count), str(self.locks), str(self.log), name, act],
            env=environment,
            cwd=cwd or self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stack.callback(end, process)
        return process

    def check(self) -> list[str]:
        """Replay the log: no device is begun twice. Returns the names in the order in which they began."""
        busy: dict[str, str] = {}
        order = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            event, name, *devices = line.split()
            for device in devices:
                if event == "begin":
                    assert device not in busy, f"{name} and {busy[device]} met on {device}"
                    busy[device] = name
                else:
                    assert busy.pop(device) == name
            order += [name] if event == "begin" else []
        assert not busy
        return order


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as stack:
        place = Machine(tmp_path, stack, nvidia_smi(tmp_path / "programs"))
        place.log.touch()
        yield place


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def finish(process: "subprocess.Popen[str]") -> str:
    """Let a job end in order; return what it printed to stderr."""
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return errors


def first_line(process: "subprocess.Popen[str]") -> str:
    """Wait for the job to have its devices."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def waiting_line(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def is_free(machine: Machine, uuid: str) -> bool:
    lock = machine.locks / f"cuda-{uuid}.lock"
    if not lock.exists():
        return True
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_sixteen_jobs_on_four_devices_never_meet(machine: Machine) -> None:
    wanted = [1, 4, 2, 1, 2, 1, 4, 1, 1, 2, 4, 1, 2, 1, 1, 2]
    jobs = [
        machine.start(f"job{number}", count, act=str(0.02 + 0.01 * (number % 5))) for number, count in enumerate(wanted)
    ]
    for job in jobs:
        finish(job)
    assert sorted(machine.check()) == sorted(f"job{number}" for number in range(16))
    begun = [line.split() for line in machine.log.read_text(encoding="utf-8").splitlines() if line.startswith("begin")]
    assert {line[1]: len(line) - 2 for line in begun} == {f"job{number}": count for number, count in enumerate(wanted)}
    assert not list(machine.locks.glob("*.ticket"))


def test_a_job_that_wants_all_devices_is_not_overtaken_for_ever(machine: Machine) -> None:
    streams = [machine.start(f"small{number}", 1, act=f"stream:{0.03 + 0.01 * number}") for number in range(4)]
    while machine.log.read_text(encoding="utf-8").count("begin") < 8:
        time.sleep(0.01)
    large = machine.start("large", 4, act="0.01")
    finish(large)
    for stream in streams:
        finish(stream)
    machine.check()


def test_kill_9_of_a_holder_frees_its_devices_for_who_waits(machine: Machine) -> None:
    holder = machine.start("holder", 4)
    assert first_line(holder).split(",") == sorted(UUIDS, key=UUIDS.index)
    waiter = machine.start("waiter", 4, act="0")
    line = waiting_line(waiter)
    assert re.match(r"waiter: waiting for 4 of 4 devices; ", line)
    assert f"holder (pid {holder.pid} of " in line
    holder.kill()
    assert finish(waiter) == "", "one line is said while waiting"
    assert machine.log.read_text(encoding="utf-8").splitlines()[-1].startswith("end waiter")


@pytest.mark.parametrize("act", ["child by pass_fds", "child by inheritance"])
@pytest.mark.parametrize("killed", [True, False])
def test_a_living_child_keeps_the_devices_until_it_dies(machine: Machine, act: str, killed: bool) -> None:
    holder = machine.start("holder", 2, act=act)
    child = int(first_line(holder))
    try:
        begun = machine.log.read_text(encoding="utf-8").splitlines()[-1].split()[2:]
        end(holder) if killed else finish(holder)
        assert [uuid for uuid in UUIDS if not is_free(machine, uuid)] == sorted(begun, key=UUIDS.index)
        waiter = machine.start("waiter", 4, act="0")
        assert waiting_line(waiter).count("is used by holder") == 2
    finally:
        os.kill(child, signal.SIGKILL)
    finish(waiter)


def test_a_killed_waiter_leaves_the_queue(machine: Machine) -> None:
    holder = machine.start("holder", 1)
    first_line(holder)
    waiter = machine.start("waiter", 4)
    waiting_line(waiter)
    third = machine.start("third", 1, act="0")
    assert f"pid {waiter.pid} waits before it" in waiting_line(third)
    waiter.kill()
    finish(third)
    finish(holder)
    assert not list(machine.locks.glob("*.ticket")), "the killed job's ticket is cleared away"
    assert machine.check() == ["holder", "third"]


def test_who_waits_for_one_device_keeps_nobody_from_another(machine: Machine) -> None:
    holder = machine.start("holder", 1, declared="0")
    first_line(holder)
    waiter = machine.start("waiter", 1, declared="0", act="0")
    waiting_line(waiter)
    assert finish(machine.start("beside", 1, declared="0,1", act="0")) == ""
    finish(holder)
    finish(waiter)
    assert machine.check() == ["holder", "beside", "waiter"]


def test_two_checkouts_mean_the_same_device_by_index_and_by_uuid(machine: Machine, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    first = machine.start("first", 1, declared="1", cwd=one)
    assert first_line(first) == UUIDS[1]
    second = machine.start("second", 1, declared=UUIDS[1], cwd=other)
    assert "is used by first" in waiting_line(second)
    third = machine.start("third", 1, declared="GPU-a1b2", cwd=one)
    assert f"pid {second.pid} waits before it" in waiting_line(third)
    for job in (first, second, third):
        finish(job)
    assert machine.check() == ["first", "second", "third"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process on the four devices; returns a lock folder that is not there yet."""
    monkeypatch.setenv("PATH", str(nvidia_smi(tmp_path / "programs")))
    for variable in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "vlmake-devices"


def test_a_lease_names_its_devices_and_restricts_children_to_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,2")
    with gpus.lease(2, "job", folder=here) as lease:
        assert lease.environment == {"CUDA_VISIBLE_DEVICES": f"{UUIDS[3]},{UUIDS[2]}"}
        assert gpus.describe(lease) == f"devices: {UUIDS[3]} {UUIDS[2]} (CUDA_VISIBLE_DEVICES)"


def test_partitions_are_leased_one_by_one_and_whole_gpus_together(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA shows a process one partition at most."""
    lines = "  MIG 1g.10gb     Device  0: (UUID: MIG-aa)\n  MIG 1g.10gb     Device  1: (UUID: MIG-bb)"
    monkeypatch.setenv("PATH", str(nvidia_smi(tmp_path / "with partitions", "Enabled", lines)))
    with gpus.lease(3, "large", folder=here) as lease:
        assert [device.id for device in lease.devices] == [UUIDS[0], UUIDS[2], UUIDS[3]]
        with gpus.lease(1, "small", folder=here) as small, gpus.lease(1, "small", folder=here) as other:
            assert {*small.devices, *other.devices} == {Device("cuda", "MIG-aa"), Device("cuda", "MIG-bb")}
    with pytest.raises(VlmakeError, match="wants 4 devices, but this process sees 3 whole"), gpus.lease(4, "x"):
        pass


def test_a_process_without_devices_or_wish_gets_the_cpu(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with gpus.lease(0, "job", folder=here) as lease:
        assert lease == gpus.Lease((), {})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with gpus.lease(2, "job", folder=here) as lease:
        assert (lease, gpus.describe(lease)) == (gpus.Lease((), {}), "devices: none, on the CPU")
    assert not here.exists()


def test_more_devices_than_there_are_is_one_error(here: Path) -> None:
    with pytest.raises(VlmakeError, match=r"^Big MME: wants 5 devices, but this process sees 4 "):
        gpus.lease(5, "Big MME", folder=here).__enter__()


def test_under_slurm_the_given_devices_are_taken_without_locks(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    with gpus.lease(2, "job", folder=here) as lease, gpus.lease(2, "again", folder=here):
        assert lease == gpus.Lease((Device("cuda", UUIDS[1]), Device("cuda", UUIDS[2])), {})
        assert gpus.describe(lease) == f"devices: {UUIDS[1]} {UUIDS[2]} (as SLURM gave them)"
    with pytest.raises(VlmakeError, match=r"wants 3 device.* SLURM gave this job 2"):
        gpus.lease(3, "job", folder=here).__enter__()
    assert not here.exists()


def test_several_jobs_of_one_slurm_allocation_do_not_meet_on_a_device(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    with gpus.lease(1, "first", folder=here) as first, gpus.lease(1, "second", folder=here) as second:
        assert {device.id for lease in (first, second) for device in lease.devices} == {UUIDS[1], UUIDS[2]}


@pytest.mark.parametrize("trap", ["folder link", "dangling folder", "folder file", "link", "second name", "pipe"])
def test_what_is_no_plain_folder_or_lock_file_is_refused(here: Path, tmp_path: Path, trap: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me", encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    if trap == "folder link":
        here.symlink_to(tmp_path / "elsewhere")
    elif trap == "dangling folder":
        here.symlink_to(tmp_path / "nowhere")
    elif trap == "folder file":
        here.touch()
    else:
        here.mkdir()
        lock = here / f"cuda-{UUIDS[1]}.lock"
        {"link": lock.symlink_to, "second name": lock.hardlink_to, "pipe": lambda _: os.mkfifo(lock)}[trap](precious)
    with pytest.raises(VlmakeError, match=re.escape(str(here))) as refusal:
        gpus.lease(4, "job", folder=here).__enter__()
    assert "\n" not in str(refusal.value)
    assert precious.read_text(encoding="utf-8") == "keep me"
    assert not list((tmp_path / "elsewhere").iterdir())
    assert not (tmp_path / "nowhere").exists()


def test_the_folder_and_its_files_are_open_to_all_whatever_the_mask(here: Path) -> None:
    mask = os.umask(0o077)
    try:
        with gpus.lease(2, "job", folder=here):
            pass
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(mask)
    assert here.stat().st_mode & 0o7777 == 0o1777
    assert [file.stat().st_mode & 0o7777 for file in here.iterdir()] == [0o666, 0o666]


def test_no_file_that_may_exist_is_opened_for_creation(here: Path) -> None:
    """Linux refuses O_CREAT on another user's file in a sticky folder (fs.protected_regular)."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom vlmake.devices import gpus\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, arguments: event == 'open' and opened.append(arguments))\n"
        "for _ in range(2):\n    with gpus.lease(4, 'job', folder=Path(sys.argv[1])): pass\n"
        "flags = [flags for name, _, flags in opened if str(name).endswith('.lock')]\n"
        "creating = [flag for flag in flags if flag & os.O_CREAT]\n"
        "print(len(flags), len(creating), all(flag & os.O_EXCL for flag in creating))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(here)], capture_output=True, text=True)
    assert done.stdout.split() == ["16", "4", "True"], done.stdout + done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_two_users_share_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path(tempfile.mkdtemp(prefix="vlmake-", dir="/tmp"))
    try:
        place.chmod(0o755)
        monkeypatch.setenv("PATH", str(nvidia_smi(place / "programs")))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        locks = place / "vlmake-devices"
        with gpus.lease(3, "root's", folder=locks):
            assert as_nobody(locks, 1) == "1"
        assert as_nobody(locks, 4) == "4", "files that root made"
        with gpus.lease(4, "root's", folder=locks) as lease:
            assert len(lease.devices) == 4, "files that somebody else wrote to"
        locks.chmod(0o755)
        (locks / f"cuda-{UUIDS[0]}.lock").unlink()
        assert as_nobody(locks, 4).startswith(f"devices cannot be leased by {locks}/cuda-{UUIDS[0]}.lock: Permission")
    finally:
        shutil.rmtree(place)


def as_nobody(locks: Path, count: int) -> str:
    """Lease as another user, in a copy of this process; return the number of devices or the error."""
    readable, writable = os.pipe()
    if (process := os.fork()) == 0:
        os.setuid(65534)
        try:
            with gpus.lease(count, "nobody's", folder=locks) as lease:
                answer = str(len(lease.devices))
        except BaseException as error:  # this copy must end here, whatever happens
            answer = str(error)
        os.write(writable, answer.encode())
        os._exit(0)
    os.close(writable)
    os.waitpid(process, 0)
    with os.fdopen(readable) as said:
        return said.read()
