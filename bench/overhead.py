"""What the workflow costs over a bare loop of the same backend on an MME-sized benchmark.

    python bench/overhead.py [--rows 2374] [--work DIR]

A benchmark of 2,374 questions on 1,187 drawn pictures is evaluated by TinyVLM several times, each in processes of
its own: a bare loop that only generates, the inference program alone, and the whole `vlmake run` from TSV to report.
"""

import base64
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click
import yaml
from PIL import Image

PRODUCT = Path(__file__).resolve().parents[1]
QUESTIONS = ("Is there a red circle in the image?", "Are there two objects in the image?")

BARE_LOOP = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
from vlmake.backends import load
from vlmake.backends.base import Request
from vlmake.images import ImageStore
from vlmake.model_spec import RuntimeOptions, resolve
from vlmake.prompts import render
from vlmake.registry import load_registry, registry_folders

entry = load_registry(registry_folders()).model("TinyVLM")
backend = load(resolve("TinyVLM", entry), RuntimeOptions("cpu"))
store = ImageStore(Path(sys.argv[2]))
rows = pq.read_table(sys.argv[1]).to_pylist()
texts = []
for start in range(0, len(rows), entry.batch_size):
    batch = rows[start : start + entry.batch_size]
    texts += backend.generate(
        [
            Request(render("yes_no", row, row["images"], "{question}"), {d: store.bytes(d) for d in row["images"]}, 16)
            for row in batch
        ]
    )
print(len(texts))
"""


class Cost(NamedTuple):
    """Wall and CPU seconds of a command with all its children."""

    wall: float
    cpu: float


def measure(command: list[str], folder: Path) -> Cost:
    before, started = os.times(), time.perf_counter()
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PRODUCT / "src")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.perf_counter() - started, cpu)


def write_benchmark(tsv: Path, rows: int) -> None:
    numbers = random.Random(0)
    lines = ["index\timage\tquestion\tanswer\tcategory\timage_path"]
    for row in range(rows):
        if row % 2 == 0:
            buffer = io.BytesIO()
            Image.frombytes("RGB", (20, 20), numbers.randbytes(1200)).resize((80, 80)).save(buffer, "PNG")
            image = base64.b64encode(buffer.getvalue()).decode()
        question = f"{QUESTIONS[row % 2]} Please answer yes or no."
        lines.append(f"{row}\t{image}\t{question}\t{'Yes' if row % 2 else 'No'}\tcount\tcount/{row // 2}.png")
    tsv.write_text("\n".join(lines) + "\n", encoding="utf-8")


def prepare(folder: Path, rows: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_benchmark(folder / "Sized.tsv", rows)
    entry = {"path": str(folder / "Sized.tsv"), "rows": rows, "task": "yes_no", "metric": "mme"}
    (folder / "config" / "datasets").mkdir(parents=True)
    (folder / "config" / "datasets" / "sized.yaml").write_text(yaml.safe_dump({"datasets": {"Sized": entry}}))


@click.command(help=__doc__)
@click.option("--rows", default=2374, show_default=True, help="Questions, two a picture.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for the files; else a temporary one.")
def main(rows: int, work: Path | None) -> None:
    folder = Path(work or tempfile.mkdtemp(prefix="vlmake-bench-"))
    prepare(folder, rows)
    vlmake = [sys.executable, "-c", "from vlmake.cli import main; main()", "run", "--cores", "1"]
    run = [*vlmake, "--model", "TinyVLM", "--data", "Sized"]
    prepare(folder / "shards", rows)
    shards = measure(run, folder / "shards")
    one_shard = [*run, "--config", f"rows_per_shard={rows}"]
    whole = measure(one_shard, folder)
    decoded = [str(folder / "data" / "Sized" / name) for name in ("samples.parquet", "images.arrow")]
    bare = measure([sys.executable, "-c", BARE_LOOP, *decoded], folder)
    infer = [sys.executable, str(PRODUCT / "workflow" / "scripts" / "infer.py")]
    registries = [str(PRODUCT / "config"), str(folder / "config")]
    inference = measure(
        [
            *infer, *(word for name in registries for word in ("--registry", name)),
            "--model", "TinyVLM", "--dataset", "Sized", "--samples", decoded[0], "--images", decoded[1],
            "--journal", str(folder / "journal"), "--output", str(folder / "shard.parquet"),
        ],
        folder,
    )  # fmt: skip
    again = measure(one_shard, folder)
    print(f"| {rows} questions | wall s | CPU s | CPU, ratio to the bare loop |\n|---|---|---|---|")
    costs = {
        "bare loop of the backend": bare,
        "inference program": inference,
        "`vlmake run`, TSV to report, one shard": whole,
        "the same in shards of 500 rows: the model is loaded for each": shards,
        "`vlmake run` again: no-op": again,
    }
    for name, cost in costs.items():
        print(f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.cpu / bare.cpu:.2f} |")
    if work is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
