"""kill -9 at any moment, then the same command: nothing is lost, nothing is done twice, the result is the same."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import TINY_VLM, Workplace, make_benchmark

KILLS = 4
ROWS = 400
COMMAND = [sys.executable, "-c", "from vlmake.cli import main; main()", "run", "--model", "Slow", "--data", "Mini"]


@pytest.fixture
def slow(workplace: Workplace, tmp_path: Path) -> Workplace:
    """TinyVLM in small batches: an inference long enough to be hit."""
    workplace.datasets["Mini"] = make_benchmark(tmp_path / "tsv", "Mini", ROWS)
    workplace.models["Slow"] = {"path": str(TINY_VLM), "device": "cpu", "gpus": 0, "dtype": "float32", "batch_size": 2}
    workplace.write_registry()
    return workplace


def start(place: Workplace) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        COMMAND,
        cwd=place.folder,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def kill_tree(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_kills_at_random_moments_change_nothing(slow: Workplace, tmp_path: Path) -> None:
    undisturbed = slow.copy_to(tmp_path / "undisturbed")
    ran = undisturbed.vlmake("run", "--model", "Slow", "--data", "Mini")
    assert ran.code == 0, ran.output

    moments = random.Random(20)
    answered = hits = number = 0
    while hits < KILLS:
        number += 1
        assert number < 3 * KILLS, "the kills miss the inference: it needs more rows or smaller batches"
        process = start(slow)
        if number % 6:  # somewhere among the next answers
            wait_for_answers(slow, min(answered + moments.randint(1, 9), ROWS))
            time.sleep(moments.uniform(0, 0.1))
        else:  # while Snakemake plans or the model is loaded
            time.sleep(moments.uniform(0, 4))
        kill_tree(process)
        lines = len(slow.journal_lines("Slow", "Mini"))
        assert lines >= answered, "a kill lost journaled answers"
        hits += answered < lines < ROWS
        answered = lines

    last = slow.vlmake("run", "--model", "Slow", "--data", "Mini")
    assert last.code == 0, last.output
    check_equal(slow, undisturbed)


def check_equal(place: Workplace, undisturbed: Workplace) -> None:
    for name in ("Mini_predictions.parquet", "Mini_score.csv"):
        assert place.result("Slow", name).read_bytes() == undisturbed.result("Slow", name).read_bytes()
    keys = [json.loads(line)["key"] for line in place.journal_lines("Slow", "Mini") if is_whole(line)]
    wanted = {row["key"] for row in undisturbed.predictions("Slow", "Mini")}
    assert set(keys) == wanted
    assert len(keys) == len(set(keys)), "a journaled answer was asked again"


def is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_killed_snakemake_goes_on_by_the_same_plain_command(slow: Workplace) -> None:
    """Snakemake's own lock files stay behind a kill -9; the next run knows that nobody holds them."""
    target = "results/Slow/Mini_predictions.parquet"
    command = [sys.executable, "-m", "snakemake", "-s", str(slow.product / "Snakefile"), "--cores", "1", "--", target]
    process = subprocess.Popen(
        command, cwd=slow.folder, env=slow.environment(), start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for_answers(slow, 2)
    kill_tree(process)
    assert list((slow.folder / ".snakemake" / "locks").glob("*.lock")), "Snakemake left no lock; the test is void"
    ran = slow.snakemake("--", target)
    assert ran.code == 0, ran.output


def test_second_run_names_the_first(slow: Workplace) -> None:
    process = start(slow)
    wait_for_answers(slow, 2)
    second = slow.vlmake("run", "--model", "Slow", "--data", "Mini")
    kill_tree(process)
    assert second.code != 0
    assert len(second.output.splitlines()) == 1, second.output
    assert "is in use by pid" in second.output
    assert "Traceback" not in second.output
    assert slow.snakemake("-n").code == 0, "a plan needs no hold"


def test_orphan_and_newcomer_never_double_work(slow: Workplace) -> None:
    """Only Snakemake is killed; its inference goes on. The next run waits for it and asks nothing twice."""
    process = start(slow)
    wait_for_answers(slow, 2)
    snakemake = next(pid for pid in children(process.pid) if "snakemake" in command_line(pid))
    os.kill(snakemake, signal.SIGKILL)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    ran = slow.vlmake("run", "--model", "Slow", "--data", "Mini")
    assert ran.code == 0, ran.output
    keys = [json.loads(line)["key"] for line in slow.journal_lines("Slow", "Mini")]
    assert len(keys) == len(set(keys)) == len({row["key"] for row in slow.predictions("Slow", "Mini")})


def test_interrupt_ends_in_order(slow: Workplace) -> None:
    process = start(slow)
    wait_for_answers(slow, 2)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert b"Traceback" not in output, output.decode()
    assert not any(children_alive(slow)), "a child outlived the interrupt"


def test_terminated_vlmake_takes_its_children_along(slow: Workplace) -> None:
    process = start(slow)
    wait_for_answers(slow, 2)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert b"Traceback" not in output, output.decode()
    assert not any(children_alive(slow)), "a child outlived the termination"


def wait_for_answers(place: Workplace, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(place.journal_lines("Slow", "Mini")) < count:
        assert time.monotonic() < deadline, "no answers came"
        time.sleep(0.05)


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


def children_alive(place: Workplace) -> list[str]:
    alive = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = command_line(int(entry.name))
            if "infer.py" in line and entry.joinpath("cwd").readlink() == place.folder:
                alive.append(line)
        except OSError:
            continue
    return alive
