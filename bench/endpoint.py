"""What asking a server costs: CPU time a sample, and wall time against what the server's latency allows.

    python bench/endpoint.py [--samples 2374] [--connections 64] [--repeat 3]

A local chat server answers at once, or after 100 ms. The inference stage's own path asks it: rows in, a picture of
about 70 kB in every request, answers in a journal on disk. Beside it runs a bare aiohttp loop over bodies that were
made before. CPU seconds are those of the asking process alone, the server has its own.
"""

import asyncio
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import aiohttp
import click
from PIL import Image

PRODUCT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PRODUCT / "src"))

from vlmake.backends.base import Request, Turn  # noqa: E402
from vlmake.backends.endpoint import EndpointBackend, load  # noqa: E402
from vlmake.endpoints.messages import Wording, body_of  # noqa: E402
from vlmake.inference.journal import JournalWriter  # noqa: E402
from vlmake.inference.shard import Asking, Question, make_question  # noqa: E402
from vlmake.inference.streaming import answer_streaming  # noqa: E402
from vlmake.models.model_spec import ModelSpec, RuntimeOptions  # noqa: E402
from vlmake.registry.model_entries import EndpointEntry  # noqa: E402


def picture() -> bytes:
    """Return a JPEG of about 70 kB."""
    noise = random.Random(0).randbytes(200 * 150 * 3)
    image = Image.frombytes("RGB", (200, 150), noise).resize((640, 480))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()


class Pictures:
    """One picture under any name."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def bytes(self, image_id: str) -> bytes:
        """Return the picture."""
        return self._content


@contextlib.contextmanager
def server(latency: float) -> Iterator[str]:
    """Run a chat server; yield its URL."""
    settings = json.dumps({"latency": latency})
    command = [sys.executable, "-m", "tests.chat_server", settings]
    process = subprocess.Popen(command, cwd=PRODUCT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def questions(count: int) -> list[Question]:
    """Return questions, each about a picture."""
    asking = Asking("digest", 16)
    return [
        make_question(
            asking,
            str(number),
            [{"type": "image", "image": "p"}, {"type": "text", "text": f"Is there a dog in picture {number}?"}],
            None,
        )
        for number in range(count)
    ]


def backend(url: str, connections: int) -> EndpointBackend:
    """Return the endpoint backend for a server."""
    values = {"backend": "endpoint", "api_base": url, "served_model": "m", "nproc": connections}
    return load(ModelSpec("M", EndpointEntry.model_validate(values), Path(), "endpoint:m@"), RuntimeOptions("cpu"))


def ours(url: str, asked: list[Question], connections: int, content: bytes) -> tuple[float, float]:
    """Return CPU and wall seconds of the inference stage's path."""
    made = backend(url, connections)
    with tempfile.TemporaryDirectory() as folder:
        writer = JournalWriter(Path(folder))
        cpu, wall = time.process_time(), time.perf_counter()
        answer_streaming(asked, made, Pictures(content), writer, Asking("digest", 16), epoch=0, advance=lambda _: None)
        spent = time.process_time() - cpu, time.perf_counter() - wall
        writer.close()
        lines = sum(len(file.read_bytes().splitlines()) for file in Path(folder).glob("*.jsonl"))
    assert lines == len(asked), f"{lines} answers of {len(asked)}"
    return spent


def bare(url: str, asked: list[Question], connections: int, content: bytes) -> tuple[float, float]:
    """Return CPU and wall seconds of a plain loop over bodies that were made before."""
    bodies = [
        body_of(Request([Turn("user", question.messages)], {"p": content}, 16), Wording("m")) for question in asked
    ]

    async def run() -> tuple[float, float]:
        waiting = iter(bodies)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one_after_another() -> None:
                for body in waiting:
                    async with session.post(f"{url}/v1/chat/completions", data=body) as reply:
                        json.loads(await reply.read())

            cpu, wall = time.process_time(), time.perf_counter()
            await asyncio.gather(*(one_after_another() for _ in range(connections)))
            return time.process_time() - cpu, time.perf_counter() - wall

    return asyncio.run(run())


@click.command()
@click.option("--samples", default=2374, show_default=True, help="Questions asked.")
@click.option("--connections", default=64, show_default=True, help="Requests at once.")
@click.option("--repeat", default=3, show_default=True, help="Repetitions; medians are shown.")
def main(samples: int, connections: int, repeat: int) -> None:
    """Measure asking a server; print a table."""
    asked, content = questions(samples), picture()
    print(
        f"{samples} samples, a picture of {len(content) / 1000:.0f} kB each, {connections} connections,"
        f" {os.cpu_count()} cores\n"
    )
    print("| server answers after | way | CPU ms a sample | wall s | wall / ideal |")
    print("|---|---|---|---|---|")
    for latency in (0.0, 0.1):
        with server(latency) as url:
            for name, way in (("bare aiohttp loop", bare), ("vlmake, journal included", ours)):
                spent = [way(url, asked, connections, content) for _ in range(repeat)]
                cpu, wall = (median(values) for values in zip(*spent, strict=True))
                ideal = samples * latency / connections
                ratio = f"{wall / ideal:.2f}" if ideal else "–"
                print(
                    f"| {latency * 1000:.0f} ms | {name} | {cpu / samples * 1000:.2f} | {wall:.2f} | {ratio} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
