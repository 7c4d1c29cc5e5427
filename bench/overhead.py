"""What the workflow costs over a bare loop of the same backend on an MME-sized benchmark, and on many small ones.

    python bench/overhead.py [--rows 2374] [--small 20] [--small-rows 40] [--work DIR]

A benchmark of 2,374 questions on 1,187 drawn pictures is evaluated by TinyVLM several times, each in processes of its
own: a bare loop that only generates, the inference program alone, and the whole `vlmake run` from TSV to report. Then
20 small benchmarks are evaluated by one `vlmake run`. A model's loadings are counted as processes that left a record of
answers beside their journal.
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
from collections.abc import Sequence
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
from vlmake.backends.base import Request, Turn
from vlmake.data.images import ImageStore
from vlmake.models.model_spec import RuntimeOptions, resolve
from vlmake.inference.prompts import Template, render
from vlmake.registry.loading import load_registry, registry_folders

image_groups, *folders = sys.argv[1:]
entry = load_registry(registry_folders()).model("TinyVLM").model_copy(update={"image_groups": image_groups})
backend = load(resolve("TinyVLM", entry), RuntimeOptions("cpu"))
texts = []
for folder in map(Path, folders):
    store = ImageStore(folder / "images.arrow")
    rows = pq.read_table(folder / "samples.parquet").to_pylist()
    for start in range(0, len(rows), entry.batch_size):
        requests = [
            Request(
                [Turn("user", render(Template("yes_no"), row, row["images"]))],
                {digest: store.bytes(digest) for digest in row["images"]},
                entry.max_new_tokens,
            )
            for row in rows[start : start + entry.batch_size]
        ]
        texts += backend.generate(backend.prepare(requests))
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


def write_benchmark(tsv: Path, rows: int, seed: int) -> None:
    numbers = random.Random(seed)
    lines = ["index\timage\tquestion\tanswer\tcategory\timage_path"]
    for row in range(rows):
        if row % 2 == 0:
            buffer = io.BytesIO()
            Image.frombytes("RGB", (20, 20), numbers.randbytes(1200)).resize((80, 80)).save(buffer, "PNG")
            image = base64.b64encode(buffer.getvalue()).decode()
        question = f"{QUESTIONS[row % 2]} Please answer yes or no."
        lines.append(f"{row}\t{image}\t{question}\t{'Yes' if row % 2 else 'No'}\tcount\tcount/{row // 2}.png")
    tsv.write_text("\n".join(lines) + "\n", encoding="utf-8")


def prepare(folder: Path, names: Sequence[str], rows: int) -> Path:
    """Write benchmarks and a registry of them into a work directory of its own."""
    (folder / "config" / "datasets").mkdir(parents=True)
    entries = {}
    for seed, name in enumerate(names):
        write_benchmark(folder / f"{name}.tsv", rows, seed)
        entries[name] = {"path": str(folder / f"{name}.tsv"), "rows": rows, "task": "yes_no", "metric": "mme"}
    (folder / "config" / "datasets" / "drawn.yaml").write_text(yaml.safe_dump({"datasets": entries}))
    return folder


def loadings(folder: Path) -> int:
    """Return how many processes answered anything in a work directory: each loaded the model once."""
    records = folder.glob("results/TinyVLM/*/journal/*.record.json")
    return len({record.name.rsplit("-", 1)[0] for record in records})


def run_all(folder: Path, names: Sequence[str], *options: str) -> Cost:
    """Evaluate benchmarks from TSV to report."""
    vlmake = [sys.executable, "-c", "from vlmake.cli import main; main()", "run", "--cores", "1"]
    return measure([*vlmake, "--model", "TinyVLM", "--data", *names, *options], folder)


def bare_loop(folder: Path, names: Sequence[str], image_groups: str) -> Cost:
    """Only load the model once and generate, from data that a run in ``folder`` has decoded."""
    decoded = [str(folder / "data" / name) for name in names]
    return measure([sys.executable, "-c", BARE_LOOP, image_groups, *decoded], folder)


def inference_program(folder: Path, name: str) -> Cost:
    """Answer a benchmark by the workflow's own program, with journal and keys."""
    data = folder / "data" / name
    words = [sys.executable, str(PRODUCT / "workflow" / "scripts" / "infer.py"), "--model", "TinyVLM"]
    words += ["--registry", str(PRODUCT / "config"), "--registry", str(folder / "config"), "--dataset", name]
    words += ["--samples", str(data / "samples.parquet"), "--images", str(data / "images.arrow")]
    return measure([*words, "--journal", str(folder / "journal"), "--output", str(folder / "shard.parquet")], folder)


class Line(NamedTuple):
    """A line of the table: what was run, what it cost, the bare loop to compare with, and loadings of the model."""

    name: str
    cost: Cost
    bare: Cost
    loadings: int


def large_part(folder: Path, rows: int, rows_per_shard: int) -> list[Line]:
    """Measure everything on one large benchmark."""
    whole, shards = (prepare(folder / name, ["Sized"], rows) for name in ("whole", "shards"))
    in_shards = run_all(shards, ["Sized"], "--config", f"rows_per_shard={rows_per_shard}")
    in_one = run_all(whole, ["Sized"], "--config", f"rows_per_shard={rows}")
    bare, plain = (bare_loop(whole, ["Sized"], image_groups) for image_groups in ("auto", "off"))
    inference = inference_program(whole, "Sized")
    again = run_all(whole, ["Sized"], "--config", f"rows_per_shard={rows}")
    return [
        Line(f"{rows} questions: bare loop of the backend", bare, bare, 1),
        Line("the same without sharing images", plain, bare, 1),
        Line("inference program", inference, bare, 1),
        Line("`vlmake run`, TSV to report, one shard", in_one, bare, loadings(whole)),
        Line(f"the same in shards of {rows_per_shard} rows", in_shards, bare, loadings(shards)),
        Line("`vlmake run` again: no-op", again, bare, 0),
    ]


def small_part(folder: Path, count: int, rows: int) -> list[Line]:
    """Measure one run over many small benchmarks against a loop over all of them that loads the model once."""
    names = [f"Small{number:02d}" for number in range(count)]
    many = prepare(folder / "many", names, rows)
    run = run_all(many, names)
    bare = bare_loop(many, names, "auto")
    return [
        Line(f"{count} benchmarks of {rows} questions: bare loop of the backend", bare, bare, 1),
        Line("`vlmake run`, TSV to report", run, bare, loadings(many)),
    ]


@click.command(help=__doc__)
@click.option("--rows", default=2374, show_default=True, help="Questions of the large benchmark, two a picture.")
@click.option("--rows-per-shard", default=500, show_default=True, help="Questions of a shard, where it is in shards.")
@click.option("--small", default=20, show_default=True, help="Number of small benchmarks.")
@click.option("--small-rows", default=40, show_default=True, help="Questions of each of them.")
@click.option("--part", type=click.Choice(["all", "large", "small"]), default="all", help="Only these benchmarks.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for the files; else a temporary one.")
def main(rows: int, rows_per_shard: int, small: int, small_rows: int, part: str, work: Path | None) -> None:
    folder = Path(work or tempfile.mkdtemp(prefix="vlmake-bench-"))
    lines = large_part(folder, rows, rows_per_shard) if part != "small" else []
    lines += small_part(folder, small, small_rows) if part != "large" else []
    print("| | wall s | CPU s | CPU, ratio to the bare loop | model loadings |\n|---|---|---|---|---|")
    for line in lines:
        ratio = line.cost.cpu / line.bare.cpu
        print(f"| {line.name} | {line.cost.wall:.1f} | {line.cost.cpu:.1f} | {ratio:.2f} | {line.loadings} |")
    if work is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
