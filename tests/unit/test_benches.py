"""The benches of local inference run from end to end at their smallest size, and print tables that can be read."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

Table = list[dict[str, str]]


def run(*words: str) -> str:
    """Run a bench in a process of its own and return what it printed."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    program = str(REPOSITORY / "bench" / words[0])
    done = subprocess.run(
        [sys.executable, program, *words[1:]], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(printed: str) -> Table:
    """Return the lines of the one Markdown table in a bench's output, by the names in its header."""
    lines = [re.split(r" ?\| ?", line)[1:-1] for line in printed.splitlines() if line.startswith("|")]
    header, rule, *rows = lines
    assert set("".join(rule)) == {"-"}
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_models_compares_three_ways_that_give_the_same_texts() -> None:
    lines = table(run("models.py", "--questions", "4", "--repetitions", "1", "--per-image", "2"))
    assert [line["model"].split(",")[0] for line in lines] == ["TinyVLM", "LLaVA", "Qwen2-VL"]
    for line in lines:
        rates = [float(line[column]) for column in ("loop of one, questions/s", "batched", "grouped")]
        ratio = float(line["grouped / loop"].split()[0])
        assert ratio == pytest.approx(rates[2] / rates[0], rel=0.1)


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


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="there is a GPU")
def test_gpu_says_in_one_line_that_it_needs_one() -> None:
    words = [sys.executable, str(REPOSITORY / "bench" / "gpu.py")]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 1
    assert done.stderr.strip() == "bench/gpu.py needs a GPU that torch can use; --host or --tiny run without one"


def test_gpu_needs_no_library_of_the_workflow() -> None:
    program = (
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(REPOSITORY / 'bench')!r})\n"
        "absent = ('pydantic', 'yaml', 'snakemake', 'pandas', 'rich', 'requests', 'pybase64', 'jinja2')\n"
        "import gpu\n"
        "print(sorted(name for name in sys.modules if name.startswith('vlmake.registry') or name in ('pydantic', 'snakemake')))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=300)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_overhead_loads_the_model_once_for_all_shards_and_all_small_benchmarks() -> None:
    lines = table(run("overhead.py", "--rows", "8", "--rows-per-shard", "4", "--small", "2", "--small-rows", "4"))
    loadings = {line["8 questions"]: line["model loadings"] for line in lines}
    assert loadings["the same in shards of 4 rows"] == "1"
    assert loadings["`vlmake run` of these, TSV to report"] == "1"
    assert loadings["`vlmake run`, TSV to report, one shard"] == "1"
