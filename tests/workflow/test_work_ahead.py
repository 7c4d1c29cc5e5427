"""A job that has its model loaded answers what else the run has planned for it: few loads, busy devices, nothing lost.

The devices are declared, not there: TinyVLM runs on the CPU and still leases one for each job.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY_VLM, Workplace, make_benchmark, read_tsv, write_tsv
from vlmake.inference.shard_work import ShardFiles, try_hold_rows
from vlmake.inference.work_ahead import RunPlan, read_plan, work_ahead

COMMAND = [sys.executable, "-c", "from vlmake.cli import main; main()", "run", "--mode", "infer", "--cores", "6"]


def declared_devices(count: int) -> str:
    return ",".join(f"GPU-{uuid.uuid4()}" for _ in range(count))


def with_benchmarks(place: Workplace, folder: Path, sizes: list[int], batch_size: int = 16) -> list[str]:
    """Register benchmarks of these sizes, in shards of 40 rows, and a model that leases one device."""
    place.datasets = {
        f"Set{number:02d}": make_benchmark(folder, f"Set{number:02d}", rows) for number, rows in enumerate(sizes)
    }
    model = {"path": str(TINY_VLM), "device": "cpu", "gpus": 1, "dtype": "float32", "batch_size": batch_size}
    place.models = {"Leasing": model}
    place.config = {"models": ["Leasing"], "datasets": list(place.datasets), "rows_per_shard": 40}
    place.write_registry()
    return list(place.datasets)


def records(place: Workplace) -> list[dict[str, Any]]:
    files = (place.folder / "results" / "Leasing").glob("*/journal/*.record.json")
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def ahead_starts(made: list[dict[str, Any]]) -> list[float]:
    """Return when shards were begun that nobody had claimed long before: a job claims its own, then loads its model.

    A shard worked on ahead is claimed and read just before its start, hence the second that the caller grants.
    """
    by_process: dict[int, list[float]] = defaultdict(list)
    for record in made:
        by_process[record["process"]].append(record["started"])
    return [start for starts in by_process.values() for start in sorted(starts)[1:]]


def infer(place: Workplace, devices: str) -> str:
    ran = place.run(*COMMAND[1:], CUDA_VISIBLE_DEVICES=devices)
    assert ran.code == 0, ran.output
    return ran.output


@pytest.mark.slow
def test_twenty_small_benchmarks_load_the_model_at_most_three_times(workplace: Workplace, tmp_path: Path) -> None:
    names = with_benchmarks(workplace, tmp_path / "tsv", [6] * 20)
    infer(workplace, declared_devices(1))
    loads = {record["process"] for record in records(workplace)}
    assert 1 <= len(loads) <= 3
    shared = sum(record["backend"]["samples"]["prefix"] for record in records(workplace))
    assert shared >= 100, "questions on one image share it"
    assert all(len(workplace.predictions("Leasing", name)) == 6 for name in names)


@pytest.mark.slow
def test_a_failed_sample_is_asked_once_a_run_whoever_meets_it(workplace: Workplace, tmp_path: Path) -> None:
    names = with_benchmarks(workplace, tmp_path / "tsv", [6] * 2)
    for name in names:
        file = tmp_path / "tsv" / f"{name}.tsv"
        rows = read_tsv(file)
        rows[3][rows[0].index("question")] = "What does <image> mean?"
        write_tsv(file, rows)
    workplace.config["max_failures"] = 1
    infer(workplace, declared_devices(1))
    assert len({record["process"] for record in records(workplace)}) <= 3
    for name in names:
        lines = [json.loads(line) for line in workplace.journal_lines("Leasing", name)]
        assert Counter(line["status"] for line in lines) == {"ok": 5, "model_error": 1}

    workplace.config["max_failures"] = 0
    ran = workplace.run(*COMMAND[1:], "--keep-going", CUDA_VISIBLE_DEVICES=declared_devices(1))
    assert ran.code != 0
    assert "1 of 6 samples failed" in ran.output
    asked_again = [json.loads(line) for name in names for line in workplace.journal_lines("Leasing", name)]
    assert Counter(line["status"] for line in asked_again) == {"ok": 10, "model_error": 4}


@pytest.mark.slow
def test_four_devices_are_busy_until_no_shard_is_left(workplace: Workplace, tmp_path: Path) -> None:
    sizes = [160, 7, 90, 4, 66, 12]
    names = with_benchmarks(workplace, tmp_path / "tsv", sizes, batch_size=4)
    data = [f"data/{name}/samples.parquet" for name in names]
    assert workplace.snakemake("--", *data).code == 0
    devices = declared_devices(4)
    infer(workplace, devices)

    busy: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for record in records(workplace):
        (device,) = record["devices"]
        busy[device].append((record["started"], record["ended"]))
    assert set(busy) == set(devices.split(",")), "every device worked"
    for spans in busy.values():
        assert all(one[1] <= other[0] for one, other in pairwise(sorted(spans))), "one job at a time"
    last_start = max(ahead_starts(records(workplace)))
    for device, spans in busy.items():
        assert max(end for _, end in spans) >= last_start - 1, f"{device} stopped while shards were still to be had"
    assert len({record["process"] for record in records(workplace)}) <= 3 * 4

    for name in names:
        asked = Counter(json.loads(line)["key"] for line in workplace.journal_lines("Leasing", name))
        assert set(asked.values()) == {1}, "nothing is asked twice"
    assert [len(workplace.predictions("Leasing", name)) for name in names] == sizes


def test_kill_while_working_ahead_loses_nothing(workplace: Workplace, tmp_path: Path) -> None:
    names = with_benchmarks(workplace, tmp_path / "tsv", [30, 40, 50], batch_size=2)
    undisturbed = workplace.copy_to(tmp_path / "undisturbed")
    infer(undisturbed, declared_devices(1))

    devices = declared_devices(1)
    process = subprocess.Popen(
        COMMAND,
        cwd=workplace.folder,
        env=workplace.environment() | {"CUDA_VISIBLE_DEVICES": devices},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    while sum(bool(workplace.journal_lines("Leasing", name)) for name in names) < 2:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    known = sum(len(workplace.journal_lines("Leasing", name)) for name in names)
    assert 0 < known < 120

    infer(workplace, devices)
    for name in names:
        same = f"results/Leasing/{name}_predictions.parquet"
        assert (workplace.folder / same).read_bytes() == (undisturbed.folder / same).read_bytes()
        keys = Counter(json.loads(line)["key"] for line in workplace.journal_lines("Leasing", name))
        assert set(keys.values()) == {1}


@pytest.mark.slow
def test_a_shard_that_cannot_be_read_is_left_to_its_own_job(workplace: Workplace, tmp_path: Path) -> None:
    names = with_benchmarks(workplace, tmp_path / "tsv", [6, 6, 6])
    data = [f"data/{name}/samples.parquet" for name in names]
    assert workplace.snakemake("--", *data).code == 0
    (workplace.folder / data[1]).write_bytes(b"no table")
    ran = workplace.run(*COMMAND[1:], "--keep-going", CUDA_VISIBLE_DEVICES=declared_devices(1))
    assert ran.code != 0
    assert "samples.parquet is damaged" in ran.output
    assert len(workplace.predictions("Leasing", names[0])) == len(workplace.predictions("Leasing", names[2])) == 6


def test_an_orphan_finishes_its_own_shard_and_no_other(tmp_path: Path) -> None:
    """A job whose run was killed must not keep a device for all that the run had planned."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    other = tmp_path / "samples.parquet"
    other.touch()
    files = ShardFiles("Set00", 0, 1, other, other, tmp_path / "journal")
    asked: list[ShardFiles] = []
    assert work_ahead(RunPlan([files], ended.pid), files, try_hold_rows, asked.append) == []
    assert asked == []
    done = work_ahead(RunPlan([files], os.getpid()), replace(files, shard=1), try_hold_rows, asked.append)
    assert done == [files.name]
    assert asked == [files]


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"process": 1}', '{"process": 1, "pieces": {"Leasing": [{"dataset": "x"}]}}']
)
def test_a_damaged_plan_costs_only_time(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content, encoding="utf-8")
    for name in ("plan.json", "none.json"):
        plan = read_plan(tmp_path / name, "Leasing", ShardFiles)
        assert list(plan.pieces) == []
        assert not plan.is_running()
