"""Speed and memory of reading and decoding a TSV with embedded images, against pandas on the same file.

    python bench/decode.py [--megabytes 700] [--without-pandas] [--work DIR]

Every step runs in a process of its own; CPU seconds and peak memory are what the kernel counted for that process,
interpreter start and imports included. The file is read once before, so that all find it in the page cache.
"""

import base64
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import click
from PIL import Image

BLOB_BYTES = 137_000
SOURCE = Path(__file__).parents[1] / "src"

BASELINE = "vlmake: the interpreter with all imports"
PEER = "pandas.read_csv"

STEPS = {
    BASELINE: """
import vlmake.data.decode
rows = -1
""",
    "vlmake: reader alone": """
from vlmake.data.tsv import TsvReader
with TsvReader(tsv, as_bytes={"image"}) as table:
    rows = sum(1 for _ in table)
""",
    "vlmake: reader, base64, header check, SHA-256": """
import hashlib
from pybase64 import b64decode
from vlmake.data.images import inspect_image
from vlmake.data.tsv import TsvReader
rows = 0
with TsvReader(tsv, as_bytes={"image"}) as table:
    place = table.header.index("image")
    for row in table:
        data = b64decode(row.cells[place], validate=True)
        inspect_image(data)
        hashlib.sha256(data).hexdigest()
        rows += 1
""",
    "vlmake: full decode, written": """
from vlmake.data.decode import decode
rows = decode(tsv, {"sha256": sha256}, tsv.parent, tsv.parent / "samples.parquet", tsv.parent / "images.arrow").rows
""",
    PEER: """
import pandas
rows = len(pandas.read_csv(tsv, sep="\\t"))
""",
}


class Cost(NamedTuple):
    """What one process took."""

    cpu: float
    wall: float
    megabytes: float
    rows: int  # -1 where nothing is read


def generate(tsv: Path, rows: int) -> str:
    """Write a TSV of ``rows`` different JPEG images row by row; return its SHA-256."""
    numbers = random.Random(0)
    image = Image.frombytes("RGB", (640, 480), numbers.randbytes(640 * 480 * 3))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=35)
    jpeg = buffer.getvalue()[:BLOB_BYTES].ljust(BLOB_BYTES, b"\0")
    running = hashlib.sha256()
    with tsv.open("wb") as file:

        def put(line: bytes) -> None:
            running.update(line)
            file.write(line)

        put(b"index\timage\tquestion\tA\tB\tanswer\tcategory\n")
        for row in range(rows):
            # Behind the header of the JPEG, so that every image is another one and looks like one.
            varied = jpeg[:-64] + numbers.randbytes(64)
            put(b"%d\t%s\tWhat is in picture %d?\ta cat\ta dog\tA\tnoise\n" % (row, base64.b64encode(varied), row))
    return running.hexdigest()


def measure(code: str, tsv: Path, sha256: str) -> Cost:
    """Run one step in a child process; return what it took."""
    start = f"import sys; from pathlib import Path; tsv, sha256 = Path(sys.argv[1]), sys.argv[2]\n{code}\nprint(rows)"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    begin = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-c", start, str(tsv), sha256], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)  # this child alone; RUSAGE_CHILDREN would keep the largest of all
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"a step ended with exit code {child.returncode}")
    wall = time.monotonic() - begin
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, int(output))


@click.command()
@click.option("--megabytes", default=700, help="Size of the TSV.")
@click.option("--without-pandas", is_flag=True, help="Leave out the peer, which holds the whole file in memory.")
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), help="Folder for the files; removed after.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(megabytes: int, without_pandas: bool, work: Path | None, as_json: bool) -> None:
    """Measure reading and decoding against pandas."""
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        tsv = Path(folder) / "bench.tsv"
        rows = max(1, megabytes * 1_000_000 // (BLOB_BYTES * 4 // 3 + 60))
        sha256 = generate(tsv, rows)
        steps = {name: code for name, code in STEPS.items() if name != PEER or not without_pandas}
        costs = {name: measure(code, tsv, sha256) for name, code in steps.items()}
        size = tsv.stat().st_size
    if {cost.rows for cost in costs.values()} != {rows, -1}:
        raise SystemExit(f"the steps do not agree on the number of rows: {costs}")
    if as_json:
        click.echo(json.dumps({name: cost._asdict() for name, cost in costs.items()}))
        return
    click.echo(f"{rows} rows, {size / 1e6:.0f} MB\n")
    click.echo("| step | CPU s | wall s | peak MB | above the imports, MB | CPU / pandas | memory / pandas |")
    click.echo("| --- | --- | --- | --- | --- | --- | --- |")
    for name, cost in costs.items():
        above = f"{cost.megabytes - costs[BASELINE].megabytes:.0f}"
        peer = costs.get(PEER)
        ratios = f"{cost.cpu / peer.cpu:.2f} | {cost.megabytes / peer.megabytes:.3f}" if peer else "- | -"
        click.echo(f"| {name} | {cost.cpu:.2f} | {cost.wall:.2f} | {cost.megabytes:.0f} | {above} | {ratios} |")


if __name__ == "__main__":
    main()
