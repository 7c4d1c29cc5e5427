"""What all tests share: small real benchmarks, and the real programs in a folder and a home of their own."""

import copy
import csv
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
TINY_VLM = REPOSITORY / "resources" / "models" / "TinyVLM"
BENCHMARKS = REPOSITORY / "resources" / "benchmarks"

csv.field_size_limit(1 << 30)


def read_tsv(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines, delimiter="\t"))


def write_tsv(file: Path, rows: list[list[str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines, delimiter="\t", lineterminator="\n").writerows(rows)


@dataclass
class Ran:
    """A finished program: its exit code, what it printed, and the jobs that Snakemake started."""

    code: int
    output: str

    @property
    def jobs(self) -> list[str]:
        """``rule`` or ``rule model/dataset`` of every job that was started."""
        found = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", self.output, re.MULTILINE)
        return sorted(f"{rule} {_wildcards(body)}".strip() for rule, body in found)


def _wildcards(body: str) -> str:
    listed = re.search(r"wildcards: (.*)", body)
    return "/".join(pair.split("=", 1)[1] for pair in listed[1].split(", ")) if listed else ""


@dataclass
class Workplace:
    """A work directory with registry entries of its own, and a product (checkout or copy) that runs there."""

    folder: Path
    home: Path
    product: Path = REPOSITORY
    models: dict[str, dict[str, object]] = field(default_factory=dict)
    datasets: dict[str, dict[str, object]] = field(default_factory=dict)
    config: dict[str, object] = field(default_factory=dict)
    judges: dict[str, dict[str, object]] = field(default_factory=dict)

    def write_registry(self) -> None:
        for section in ("models", "datasets"):
            (self.folder / "config" / section).mkdir(parents=True, exist_ok=True)
            content = yaml.safe_dump({section: getattr(self, section)})
            (self.folder / "config" / section / "here.yaml").write_text(content, encoding="utf-8")
        (self.folder / "config" / "judges.yaml").write_text(yaml.safe_dump({"judges": self.judges}), encoding="utf-8")
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(self.config), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in ("LMUData", "CUDA_VISIBLE_DEVICES")}
        return kept | {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(self.product / "src"),
        }

    def run(self, *words: str, timeout: float = 300, **extra: str) -> Ran:
        self.write_registry()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment() | extra,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        return Ran(done.returncode, done.stdout)

    def snakemake(self, *words: str, **extra: str) -> Ran:
        return self.run("-m", "snakemake", "-s", str(self.product / "Snakefile"), "--cores", "2", *words, **extra)

    def vlmake(self, *words: str, **extra: str) -> Ran:
        return self.run("-c", "from vlmake.cli import main; main()", *words, **extra)

    def predictions(self, model: str, dataset: str) -> list[dict[str, object]]:
        return pq.read_table(self.result(model, f"{dataset}_predictions.parquet")).to_pylist()

    def result(self, model: str, name: str) -> Path:
        return self.folder / "results" / model / name

    def journal_lines(self, model: str, base: str) -> list[str]:
        files = sorted((self.folder / "results" / model / base / "journal").glob("*.jsonl"))
        return [line for file in files for line in file.read_text(encoding="ascii").splitlines()]

    def copy_to(self, folder: Path) -> "Workplace":
        """A second workplace with all the same files, times and Snakemake's memory of them."""
        shutil.copytree(self.folder, folder)
        entries = copy.deepcopy((self.models, self.datasets, self.config, self.judges))
        return Workplace(folder, self.home, self.product, *entries)


def make_benchmark(folder: Path, name: str, rows: int, source: str = "ShapesMME") -> dict[str, object]:
    """Write the first rows of a shipped benchmark as a TSV of its own; return its registry entry."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tsv(folder / f"{name}.tsv", read_tsv(BENCHMARKS / f"{source}.tsv")[: rows + 1])
    path = str(folder / f"{name}.tsv")
    return {"path": path, "rows": rows, "task": "yes_no", "metric": "mme", "max_new_tokens": 4}


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """An empty work directory in which ``Mini``, 24 rows, can be evaluated."""
    place = Workplace(tmp_path / "work dir", tmp_path / "home")
    place.folder.mkdir()
    place.home.mkdir()
    place.datasets["Mini"] = make_benchmark(tmp_path / "tsv", "Mini", 24)
    place.config.update(models=["TinyVLM"], datasets=["Mini"])
    return place
