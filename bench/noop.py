"""How long it takes to find that nothing is to be done: one target, and a tree of 10,000 finished jobs.

    python bench/noop.py [--models 100] [--datasets 50] [--work DIR]

The tree has an inference and a scoring job for each model and dataset. Its result files are empty stand-ins that
Snakemake itself marks as done (`--touch`), so that its memory of 10,000 jobs is the real one; nothing is evaluated.
The bare figures, to compare with: `python -c pass`, and `snakemake --version`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import yaml

PRODUCT = Path(__file__).resolve().parents[1]
RESULTS = ("_predictions.parquet", "_timing.parquet", "_judged.parquet", "_score.csv", "_score.json")


def seconds(command: list[str], folder: Path) -> float:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PRODUCT / "src")}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    return time.perf_counter() - started


def write_tree(folder: Path, models: int, datasets: int) -> None:
    tsv = PRODUCT / "resources" / "benchmarks" / "ShapesMME.tsv"
    entry = {"path": str(tsv), "rows": 440, "task": "yes_no", "metric": "mme"}
    checkpoint = {"path": str(PRODUCT / "resources" / "models" / "TinyVLM"), "gpus": 0, "device": "cpu"}
    content = {
        "datasets": {f"Set{number}": entry for number in range(datasets)},
        "models": {f"Model{number}": checkpoint for number in range(models)},
    }
    for section, entries in content.items():
        (folder / "config" / section).mkdir(parents=True)
        (folder / "config" / section / "many.yaml").write_text(yaml.safe_dump({section: entries}))
    configuration = {section: list(entries) for section, entries in content.items()}
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(configuration))
    for dataset in content["datasets"]:
        data = folder / "data" / dataset
        data.mkdir(parents=True)
        for name in ("source.json", "samples.parquet", "images.arrow"):
            (data / name).touch()
    for model in content["models"]:
        (folder / "results" / model).mkdir(parents=True)
        for dataset in content["datasets"]:
            for ending in RESULTS:
                (folder / "results" / model / f"{dataset}{ending}").touch()


@click.command(help=__doc__)
@click.option("--models", default=100, show_default=True, help="Models in the tree.")
@click.option("--datasets", default=50, show_default=True, help="Datasets in the tree.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for the files; else a temporary one.")
def main(models: int, datasets: int, work: Path | None) -> None:
    folder = Path(work or tempfile.mkdtemp(prefix="vlmake-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    write_tree(folder, models, datasets)
    snakemake = [sys.executable, "-m", "snakemake", "-s", str(PRODUCT / "Snakefile"), "--cores", "2", "--quiet", "all"]
    scores = [f"results/Model{m}/Set{d}_score.csv" for m in range(models) for d in range(datasets)]
    targets = folder / "targets.txt"
    targets.write_text("\n".join(scores))
    tree = ["--", *scores]
    marked = seconds([*snakemake, "--touch", *tree], folder)
    rows = [
        ("`python -c pass`", seconds([sys.executable, "-c", "pass"], folder)),
        ("`snakemake --version`", seconds([sys.executable, "-m", "snakemake", "--version"], folder)),
        ("`vlmake --help`", seconds([sys.executable, "-c", "from vlmake.cli import main; main()", "--help"], folder)),
        ("no-op of one target", seconds([*snakemake, "--", scores[0]], folder)),
        (f"no-op of {2 * len(scores)} jobs", seconds([*snakemake, *tree], folder)),
    ]
    print("| | s | ratio to `snakemake --version` |\n|---|---|---|")
    for name, taken in rows:
        print(f"| {name} | {taken:.2f} | {taken / rows[1][1]:.2f} |")
    print(f"\nMarking the tree as done took {marked:.0f} s.")
    if work is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
