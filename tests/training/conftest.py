import csv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Row = dict[str, str]


@pytest.fixture(scope="session")
def benchmark_folder() -> Path:
    return ROOT / "resources" / "benchmarks"


@pytest.fixture(scope="session")
def model_folder() -> Path:
    return ROOT / "resources" / "models" / "TinyVLM"


@pytest.fixture(scope="session")
def shipped(benchmark_folder: Path) -> Callable[[str], list[Row]]:
    """The rows of a shipped benchmark, all cells as text."""

    def read(name: str) -> list[Row]:
        with (benchmark_folder / f"{name}.tsv").open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream, delimiter="\t"))

    return read
