"""The shipped SLURM profile on a real SLURM: two nodes on this host, with fake GPUs, brought up for the test.

What a job was given is read from the environment of the inference program while it runs; what it had asked for is read
from the controller afterwards. See slurm_cluster.sh for the cluster.
"""

import importlib.util
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

REPOSITORY = Path(__file__).parents[2]
CLUSTER = Path(__file__).with_name("slurm_cluster.sh")
CANNOT = 3  # the script's exit status where no cluster can run, with the reason as its last line
QUICK = ["--slurm-init-seconds-before-status-checks", "2"]  # instead of 40; for a test only
TARGET = "results/{}/ShapesMME@40_predictions.parquet"

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="session", autouse=True)
def cluster() -> Iterator[None]:
    """A running cluster; one that ran before is left running."""
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("THE SLURM PROFILE IS NOT TESTED: snakemake-executor-plugin-slurm is missing (the slurm extra)")
    was_up = subprocess.run([CLUSTER, "status"], capture_output=True, check=False).returncode == 0
    brought_up = subprocess.run([CLUSTER, "up"], capture_output=True, text=True, check=False)
    if brought_up.returncode == CANNOT:
        pytest.skip(f"THE SLURM PROFILE IS NOT TESTED: {brought_up.stderr.splitlines()[-1]}")
    assert brought_up.returncode == 0, brought_up.stderr
    yield
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


def run(command: list[str | Path], folder: Path) -> None:
    """Run a program, which has to succeed; Snakemake ends in order on SIGINT only."""
    limited = ["timeout", "-s", "INT", "-k", "20", "150", *map(str, command)]
    done = subprocess.run(limited, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + job_logs(folder)


def job_logs(folder: Path) -> str:
    logs = sorted(folder.glob(".snakemake/slurm_logs/**/*.log"))
    return "".join(f"\n--- {log}\n{log.read_text(encoding='utf-8')}" for log in logs)


def vlmake(folder: Path, *words: str) -> None:
    run([Path(sys.executable).with_name("vlmake"), "run", "--verbose", *words], folder)


def asked(job: str) -> dict[str, str]:
    """Return what the controller remembers of a job."""
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"(\w+)=(\S*)", shown))


def test_a_score_made_on_the_cluster_is_the_local_one(tmp_path: Path) -> None:
    target = TARGET.format("TinyVLM")
    local, remote = tmp_path / "local", tmp_path / "on the cluster"
    local.mkdir()
    remote.mkdir()
    with Watch(remote) as watch:
        vlmake(remote, "--profile", "slurm", *QUICK, target)
    (given,) = watch.jobs
    job = asked(given.job)
    assert job["JobState"] == "COMPLETED"
    assert job["JobName"].startswith("vlmake_")
    assert job["Requeue"] == "0"
    assert "gpu" not in job["TRES"], "a model without GPUs asked for one"

    vlmake(local, "--cores", "2", target)
    assert (remote / target).read_bytes() == (local / target).read_bytes()


def test_every_job_has_a_gpu_of_its_own(tmp_path: Path) -> None:
    registry, work = tmp_path / "registry", tmp_path / "work"
    (registry / "models").mkdir(parents=True)
    work.mkdir()
    entry = {"path": str(REPOSITORY / "resources" / "models" / "TinyVLM"), "dtype": "float32", "device": "cpu"}
    models = {"OneGPU": {**entry, "gpus": 1, "max_new_tokens": 16}}
    (registry / "models" / "one_gpu.yaml").write_text(json.dumps({"models": models}), encoding="utf-8")

    with Watch(work) as watch:  # Snakemake itself, from the checkout: 40 rows are four jobs and a merge
        options = ["--profile", "profiles/slurm", *QUICK, "--directory", work]
        settings = ["--config", f"registry={json.dumps([str(registry)])}", "rows_per_shard=10"]
        run([sys.executable, "-m", "snakemake", *options, *settings, "--", TARGET.format("OneGPU")], REPOSITORY)
    assert pq.read_table(work / TARGET.format("OneGPU")).num_rows == 40
    assert len(watch.jobs) == 4
    for given in watch.jobs:
        assert asked(given.job)["TresPerJob"] == "gres:gpu:1"
        assert given.devices in {"0", "1", "2", "3"}
    assert max(map(len, watch.together)) > 1, "the jobs ran one after another"
    for together in watch.together:
        assert len({(given.node, given.devices) for given in together}) == len(together), "two jobs share a GPU"
