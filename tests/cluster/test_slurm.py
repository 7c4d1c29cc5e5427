"""The shipped SLURM profile on a real SLURM: two nodes on this host, with fake GPUs, brought up for the test.

What a job was given is read from the environment of the inference program while it runs; what it had asked for is read
from the controller afterwards. See slurm_cluster.sh for the cluster.
"""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

REPOSITORY = Path(__file__).parents[2]
CLUSTER = Path(__file__).with_name("slurm_cluster.sh")
CANNOT = 3  # the script's exit status where no cluster can run, with the reason as its last line
QUICK = ["--slurm-init-seconds-before-status-checks", "8"]  # instead of 40, for a test; looks after 8, 18, 28 ... more
RESULT = "results/{}/ShapesMME@40"

Command = list[str | Path]

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="session", autouse=True)
def cluster() -> Iterator[None]:
    """A running cluster; one that ran before is left running."""
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("THE SLURM PROFILE IS NOT TESTED: snakemake-executor-plugin-slurm is missing (the slurm extra)")
    was_up = subprocess.run([CLUSTER, "status"], capture_output=True, check=False).returncode == 0
    try:
        brought_up = subprocess.run([CLUSTER, "up"], capture_output=True, text=True, check=False)
        if brought_up.returncode == CANNOT:
            pytest.skip(f"THE SLURM PROFILE IS NOT TESTED: {brought_up.stderr.splitlines()[-1]}")
        assert brought_up.returncode == 0, brought_up.stderr
        yield
    finally:
        if not was_up:
            subprocess.run([CLUSTER, "down"], check=True)


@dataclass(frozen=True)
class Given:
    """What SLURM gave to a job."""

    job: str
    node: str
    devices: str | None


@dataclass
class Watch:
    """Looks, until the block ends, which inference programs run in a folder."""

    folder: Path
    together: set[frozenset[Given]] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._look_until_over)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def jobs(self) -> set[Given]:
        return set().union(*self.together)

    def _look_until_over(self) -> None:
        while not self._over.wait(0.1):
            self.together.add(frozenset(filter(None, map(self._given, Path("/proc").glob("[0-9]*")))))

    def _given(self, process: Path) -> Given | None:
        try:
            if b"infer.py" not in (process / "cmdline").read_bytes() or (process / "cwd").readlink() != self.folder:
                return None
            words = (process / "environ").read_bytes().decode().split("\0")
        except OSError:  # it has ended meanwhile
            return None
        environment = dict(word.split("=", 1) for word in words if "=" in word)
        if "SLURMD_NODENAME" not in environment:
            return None
        return Given(
            environment["SLURM_JOB_ID"], environment["SLURMD_NODENAME"], environment.get("CUDA_VISIBLE_DEVICES")
        )


def run(command: Command, current: Path, work: Path) -> None:
    """Run a program, which has to succeed; Snakemake ends in order on SIGINT only."""
    limited = ["timeout", "-s", "INT", "-k", "20", "150", *command]
    done = subprocess.run(limited, cwd=current, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + job_logs(work)


def job_logs(work: Path) -> str:
    logs = sorted(work.glob(".snakemake/slurm_logs/**/*.log"))
    return "".join(f"\n--- {log}\n{log.read_text(encoding='utf-8')}" for log in logs)


def vlmake(*words: str) -> Command:
    return [Path(sys.executable).with_name("vlmake"), "run", "--verbose", *words]


def one_gpu_registry(folder: Path) -> Path:
    """Return a registry folder whose only model asks for a GPU and then works on the CPU."""
    (folder / "models").mkdir(parents=True)
    weights = str(REPOSITORY / "resources" / "models" / "TinyVLM")
    entry = {"path": weights, "dtype": "float32", "device": "cpu", "gpus": 1, "max_new_tokens": 16}
    (folder / "models" / "one_gpu.yaml").write_text(json.dumps({"models": {"OneGPU": entry}}), encoding="utf-8")
    return folder


def asked(job: str) -> dict[str, str]:
    """Return what the controller remembers of a job."""
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"(\w+)=(\S*)", shown))


def kill_when_a_job_runs(command: Command, current: Path, watch: Watch) -> None:
    """Start a run and kill all of it that is on this side of SLURM as soon as one of its jobs is at work."""
    process = subprocess.Popen(command, cwd=current, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while not watch.jobs and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert watch.jobs, "no job ran within 90 seconds"


def test_a_run_that_was_killed_goes_on_to_the_local_result(tmp_path: Path) -> None:
    local, remote = tmp_path / "local", tmp_path / "on the cluster"
    local.mkdir()
    remote.mkdir()
    target = RESULT.format("TinyVLM") + "_score.csv"
    command = vlmake("--profile", "slurm", *QUICK, target)
    with ThreadPoolExecutor() as beside, Watch(remote) as watch:
        reference = beside.submit(run, vlmake("--cores", "2", target), local, local)
        kill_when_a_job_runs(command, remote, watch)
        run(command, remote, remote)  # while the first run's job lives on, which nothing can tell it
        reference.result()
    for given in watch.jobs:
        job = asked(given.job)
        assert job["JobState"] == "COMPLETED"
        assert job["JobName"].startswith("vlmake_")
        assert job["Requeue"] == "0"
        assert "gpu" not in job["TRES"], "a model without GPUs asked for one"

    for kind in ("_predictions.parquet", "_score.csv"):
        file = RESULT.format("TinyVLM") + kind
        assert (remote / file).read_bytes() == (local / file).read_bytes()
    journal = remote / "results" / "TinyVLM" / "ShapesMME" / "journal"
    answers = [json.loads(line) for file in journal.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    assert len(answers) == len({answer["key"] for answer in answers}) == 40, "work was done twice"


def test_every_job_has_a_gpu_of_its_own(tmp_path: Path) -> None:
    registry, work = one_gpu_registry(tmp_path / "registry"), tmp_path / "work"
    target = RESULT.format("OneGPU") + "_predictions.parquet"
    with Watch(work) as watch:  # Snakemake itself, from the checkout: 40 rows are two jobs and a merge
        options = ["--profile", "profiles/slurm", *QUICK, "--directory", work]
        settings = ["--config", f"registry={json.dumps([str(registry)])}", "rows_per_shard=20"]
        run([sys.executable, "-m", "snakemake", *options, *settings, "--", target], REPOSITORY, work)
    assert pq.read_table(work / target).num_rows == 40
    assert len(watch.jobs) == 2
    for given in watch.jobs:
        assert asked(given.job)["TresPerJob"] == "gres:gpu:1"
        assert given.devices in {"0", "1", "2", "3"}
    assert max(map(len, watch.together)) > 1, "the jobs ran one after another"
    for together in watch.together:
        assert len({(given.node, given.devices) for given in together}) == len(together), "two jobs share a GPU"
