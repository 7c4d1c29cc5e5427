"""The benches run from end to end at their smallest size, and print tables that can be read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

Table = list[dict[str, str]]


def start(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run a Python program of the benches in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY / "bench", capture_output=True, text=True, env=environment, timeout=300
    )


def run(*words: str) -> str:
    """Return what a bench printed."""
    done = start(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(printed: str) -> Table:
    """Return the lines of the one Markdown table in a bench's output, by the names in its header."""
    lines = [re.split(r" ?\| ?", line)[1:-1] for line in printed.splitlines() if line.startswith("|")]
    header, rule, *rows = lines
    assert set("".join(rule)) <= {"-", ":"}
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.mark.slow
def test_models_compares_three_ways_that_give_the_same_texts() -> None:
    chosen = ("--model", "TinyVLM", "--model", "Qwen2-VL")
    lines = table(run("models.py", *chosen, "--questions", "2", "--repetitions", "1", "--per-image", "2"))
    assert [line["model"].split(",")[0] for line in lines] == ["TinyVLM", "Qwen2-VL"]
    for line in lines:
        rates = [float(line[column]) for column in ("loop of one, questions/s", "batched", "grouped")]
        ratio = float(line["grouped / loop"].split()[0])
        assert ratio == pytest.approx(rates[2] / rates[0], rel=0.1)


@pytest.mark.slow
def test_gpu_runs_every_layout_and_way_with_miniature_models() -> None:
    printed = run("gpu.py", "--tiny", "--workers", "2")
    assert "not shared" not in printed
    lines = table(printed)
    ways = [("loop", "1"), ("batched", "4"), ("grouped", "4")]
    models = ["LLaVA-1.5-7B", "Qwen2-VL-2B", "InternVL2-2B"]
    assert [(line["model"], line["way"], line["batch"]) for line in lines] == [
        (model, *way) for model in models for way in ways
    ]
    for line in lines:
        assert min(float(line[f"{phase} s"]) for phase in ("encode", "prefill", "decode")) > 0
        assert float(line["TFLOP/s"]) > 0


def test_gpu_measures_the_host_half_alone() -> None:
    lines = table(run("gpu.py", "--host", "--tiny", "--questions", "4", "--layout", "InternVL2-2B"))
    assert {line["model"] for line in lines} == {"InternVL2-2B"}
    assert [line["threads"] for line in lines][:3] == ["1", "2", "4"]


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU")
def test_gpu_says_in_one_line_that_it_needs_one() -> None:
    done = start("gpu.py")
    assert done.returncode == 1
    assert done.stderr.strip() == "bench/gpu.py needs a GPU that torch can use; --host or --tiny run without one"


def test_gpu_needs_no_library_of_the_workflow() -> None:
    absent = ("pydantic", "snakemake", "pandas", "rich", "pybase64", "openpyxl")
    forbid = f"import sys; sys.modules.update(dict.fromkeys({absent}))"  # None there makes an import fail
    done = start("-c", f"{forbid}; sys.path.insert(0, '.'); sys.argv[1:] = ['--help']; import gpu; gpu.main()")
    assert done.returncode == 0, done.stderr
    assert "--tiny" in done.stdout


def test_endpoint_asks_every_sample_both_ways() -> None:
    lines = table(run("endpoint.py", "--samples", "40", "--connections", "8", "--repeat", "1"))
    assert [line["server answers after"] for line in lines] == ["0 ms", "0 ms", "100 ms", "100 ms"]
    assert all(float(line["wall / ideal"].split()[0]) >= 1 for line in lines[2:])


def test_score_measures_every_size_and_stage_and_the_stages_add_up() -> None:
    printed = run("score.py", "--rows", "200", "--more-rows", "400", "--repeat", "1")
    costs, stages = (table(part) for part in printed.split("by stage:"))
    assert [(line["benchmark"], line["rows"]) for line in costs] == [
        ("MMBench", "200"),
        ("MMBench", "400"),
        ("MME", "200"),
    ]
    assert {"view: spreadsheet", "extraction, strict", "metric: tables"} <= {line["stage"] for line in stages}
    assert sum(int(line["share"].rstrip("%")) for line in stages) == pytest.approx(100, abs=len(stages) / 2)


@pytest.mark.slow
def test_overhead_counts_one_loading_of_the_model_for_several_small_benchmarks() -> None:
    lines = table(run("overhead.py", "--part", "small", "--small", "2", "--small-rows", "4"))
    assert [line["model loadings"] for line in lines] == ["1", "1"]
    assert float(lines[1]["CPU, ratio to the bare loop"]) > 1
