"""A user's dataset class is asked in a process of its own: its answer, or its fault in one line."""

import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import IO, Any, NoReturn

import psutil

from vlmake.dataset_classes.faults import one_line
from vlmake.dataset_classes.source import ClassName, class_name, module_file
from vlmake.digests import cache_home
from vlmake.errors import VlmakeError
from vlmake.paths import parse_dataset
from vlmake.registry.dataset_entries import DatasetEntry

WORK = "work"
"""The folder in ``scratch`` that is the class's own; what the processes tell each other lies beside it."""

MOST_LOGGED = 4 << 20
END_LOGGED = 1 << 16
"""Bytes of what a class prints that are kept, of the start and of the end; what is between is dropped."""


@dataclass(frozen=True)
class ClassCall:
    """A class, the benchmark it serves, and where things lie.

    Attributes:
        called: The class.
        dataset: The benchmark's name, without a limit.
        tsv: Its TSV.
        lmu_data: The folder of published TSVs, which the class's process sees as ``$LMUData``.
        log: Where the class's output goes.
        limit: How many rows count; None for all.
    """

    called: ClassName
    dataset: str
    tsv: Path
    lmu_data: Path
    log: Path
    limit: int | None = None


def class_call(entry: DatasetEntry, dataset: str, tsv: Path, lmu_data: Path, log: Path) -> ClassCall:
    """Return the call of an entry's class; ``dataset`` may carry a row limit."""
    name = parse_dataset(dataset)
    called = class_name(entry.dataset or "", entry.python_path)
    return ClassCall(called, name.base, tsv, lmu_data, log, name.limit)


def log_outside_work(dataset: str) -> Path:
    """Return where a class's output goes that runs for a command without a work directory."""
    return cache_home() / "classes" / f"{parse_dataset(dataset).base}.log"


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Yield a folder that is gone afterwards, on the same disk as the file ``beside``.

    Those that killed processes of this host left there are removed.
    """
    place = beside.parent.absolute()
    place.mkdir(parents=True, exist_ok=True)
    mark = f".class-{socket.gethostname()}-"
    for leftover in place.glob(f"{glob.escape(mark)}*"):
        pid = leftover.name.removeprefix(mark).partition(".")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(leftover, ignore_errors=True)
    with TemporaryDirectory(prefix=f"{mark}{os.getpid()}.", dir=place, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def ask_class(call: ClassCall, operation: str, scratch: Path, **more: Any) -> dict[str, Any]:
    """Return what the class's process answers; files go to and come from ``scratch``.

    Args:
        call: The class and its benchmark.
        operation: One of ``child.OPERATIONS``.
        scratch: A folder without a folder ``WORK``, which becomes the process's working directory.
        more: What the operation needs besides.

    Raises:
        VlmakeError: The class raised, answered nothing or ended the process.
    """
    module_file(call.called)
    request = {
        "operation": operation,
        "module": call.called.module,
        "name": call.called.name,
        "folder": str(call.called.folder.absolute()),
        "dataset": call.dataset,
        "tsv": str(call.tsv.absolute()),
        "limit": call.limit,
        "parent": os.getpid(),
        **more,
    }
    (scratch / WORK).mkdir()
    (scratch / "request.json").write_text(json.dumps(request), encoding="utf-8")
    code = _run(scratch, call)
    try:
        answer = json.loads((scratch / "answer.json").read_bytes())
    except FileNotFoundError:
        raise class_fault(call, f"{operation}: its process ended without an answer ({_ending(code)})") from None
    except (OSError, ValueError) as error:
        raise class_fault(call, f"{operation}: the answer of its process cannot be read ({error})") from None
    if "fault" in answer:
        raise class_fault(call, answer["fault"])
    return dict(answer)


def class_fault(call: ClassCall, what: str) -> VlmakeError:
    """Return the error that says what a class did wrong, and where its output is."""
    return VlmakeError(f"dataset '{call.dataset}': {call.called}: {one_line(what)}; its output is in {call.log}")


def _ending(code: int) -> str:
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"exit code {code}"


def _run(scratch: Path, call: ClassCall) -> int:
    """Run the class's process to its end, and end whatever it left behind; return its exit code.

    There is no time limit: a class may ask a slow judge. Ctrl-C and SIGTERM of this process end that one as well.
    """
    call.log.parent.mkdir(parents=True, exist_ok=True)
    environment: Mapping[str, str] = os.environ | {
        "LMUData": str(call.lmu_data.absolute()),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with _exit_on_termination(), call.log.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "vlmake.dataset_classes.child", str(scratch)],
            cwd=scratch / WORK,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert child.stdout is not None
        reader = threading.Thread(target=_keep_ends, args=(child.stdout, log), daemon=True)
        reader.start()
        try:
            return child.wait()
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            reader.join(5)  # it ends with the last process that holds the pipe


@contextmanager
def _exit_on_termination() -> Iterator[None]:
    """Let a signal that would end this process at once unwind it instead, so that it ends and removes what it began."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    in_charge = threading.current_thread() is threading.main_thread()  # other threads cannot have handlers
    taken = [one for one in (signal.SIGTERM, signal.SIGHUP) if in_charge and signal.getsignal(one) is signal.SIG_DFL]
    for one in taken:
        signal.signal(one, leave)
    try:
        yield
    finally:
        for one in taken:
            signal.signal(one, signal.SIG_DFL)


def _keep_ends(output: IO[bytes], log: IO[bytes]) -> None:
    """Read an output to its end, whatever happens, and keep its start and its end, where a traceback is."""
    room, dropped, end = MOST_LOGGED, 0, b""
    while chunk := os.read(output.fileno(), 1 << 16):
        start, rest = chunk[:room], chunk[room:]
        room -= len(start)
        dropped += len(rest)
        end = (end + rest)[-END_LOGGED:]
        _write(log, start)
    if dropped > len(end):
        _write(log, f"\n[{dropped - len(end):,} bytes of output are not kept]\n".encode())
    _write(log, end)


def _write(log: IO[bytes], data: bytes) -> None:
    with suppress(OSError, ValueError):  # a full disk, or a log that is closed already, must not stop the reading
        log.write(data)
        log.flush()
