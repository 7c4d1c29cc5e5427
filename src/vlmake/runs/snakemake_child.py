"""Snakemake as a child of the command: ended in order, and its failures told in few lines."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Sequence

import psutil

from vlmake.orphans import die_with_parent

_SHOWN = 5


def run_snakemake(command_line: Sequence[str]) -> int:
    """Run Snakemake as a child that ends with this process: in order when it is terminated, at once when killed."""
    child = subprocess.Popen(command_line, preexec_fn=die_with_parent)
    signal.signal(signal.SIGTERM, lambda *_: _interrupt(child.pid))
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the terminal sent it to the child as well; let it tidy up
            continue


def _interrupt(pid: int) -> None:
    """Send Ctrl-C to a process and all below it: Snakemake alone would wait for its jobs to end by themselves."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)


def explain_failure(command_line: Sequence[str], missing: Sequence[str]) -> None:
    """After a failure say what a quiet Snakemake kept to itself, which targets are ``missing``, and how to go on.

    What a job has to say it has said itself; a plan that Snakemake refuses is planned again, aloud.
    """
    if "--quiet" in command_line:
        place = list(command_line).index("--quiet")
        plan = [*command_line[:place], "--dry-run", "--quiet", "rules", "progress", *command_line[place + 2 :]]
        planned = subprocess.run(plan, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if planned.returncode:
            print(planned.stdout.strip(), file=sys.stderr)
            return
    for file in missing[:_SHOWN]:
        print(f"vlmake: not made: {file}", file=sys.stderr)
    if len(missing) > _SHOWN:
        print(f"vlmake: and {len(missing) - _SHOWN} more", file=sys.stderr)
    print("vlmake: stopped; all that was done is kept, and the same command goes on from there", file=sys.stderr)
