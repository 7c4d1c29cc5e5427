"""What asking a server costs: CPU time a sample, and wall time against what the server's latency allows.

    python bench/endpoint.py [--samples 2374] [--connections 64] [--repeat 5]
    python bench/endpoint.py --faults

A local chat server answers at once, or after 100 ms. The inference stage's own path asks it: rows in, a picture of
about 70 kB in every request, answers in a journal on disk. Beside it runs a bare aiohttp loop over bodies that were
made before; both ways take turns. CPU seconds are those of the asking process alone, the server has its own.

``--faults`` asks a server that misbehaves at three of ten requests (429 with and without Retry-After, 500, 503, reset,
silence, HTML, cut JSON, empty, 10 s slow), and before it one that does not.
"""

import asyncio
import io
import json
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
import click
from PIL import Image

PRODUCT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PRODUCT / "src"), str(PRODUCT)]

from tests.chat_server import running  # noqa: E402
from vlmake.backends.base import Request, Turn  # noqa: E402
from vlmake.backends.endpoint import EndpointBackend, load  # noqa: E402
from vlmake.endpoints.messages import Wording, body_of  # noqa: E402
from vlmake.inference.journal import JournalWriter, all_predictions  # noqa: E402
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


def backend(url: str, connections: int, **keys: float) -> EndpointBackend:
    """Return the endpoint backend for a server."""
    values = {"backend": "endpoint", "api_base": url, "served_model": "m", "nproc": connections, **keys}
    return load(ModelSpec("M", EndpointEntry.model_validate(values), Path(), "endpoint:m@"), RuntimeOptions("cpu"))


@dataclass(frozen=True)
class Spent:
    """CPU and wall seconds, and the samples without an answer."""

    cpu: float
    wall: float
    failed: int = 0


def ours(url: str, asked: list[Question], connections: int, content: bytes, **keys: float) -> Spent:
    """Measure the inference stage's path."""
    made = backend(url, connections, **keys)
    with tempfile.TemporaryDirectory() as folder:
        writer = JournalWriter(Path(folder))
        cpu, wall = time.process_time(), time.perf_counter()
        answer_streaming(asked, made, Pictures(content), writer, Asking("digest", 16), epoch=0, advance=lambda _: None)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        writer.close()
        answers = list(all_predictions(Path(folder)))
    assert len(answers) == len(asked), f"{len(answers)} answers of {len(asked)}"
    return Spent(cpu, wall, sum(answer.status == "model_error" for answer in answers))


def bare(url: str, asked: list[Question], connections: int, content: bytes) -> Spent:
    """Measure a plain loop over bodies that were made before."""
    bodies = [
        body_of(Request([Turn("user", question.messages)], {"p": content}, 16), Wording("m")) for question in asked
    ]

    async def run() -> Spent:
        waiting = iter(bodies)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one_after_another() -> None:
                for body in waiting:
                    async with session.post(f"{url}/v1/chat/completions", data=body) as reply:
                        json.loads(await reply.read())

            cpu, wall = time.process_time(), time.perf_counter()
            await asyncio.gather(*(one_after_another() for _ in range(connections)))
            return Spent(time.process_time() - cpu, time.perf_counter() - wall)

    return asyncio.run(run())


def print_costs(samples: int, connections: int, repeat: int) -> None:
    """Measure what asking costs; print a table of medians."""
    asked, content = questions(samples), picture()
    print(
        f"{samples} samples, a picture of {len(content) / 1000:.0f} kB each, {connections} connections,"
        f" {os.cpu_count()} cores\n"
    )
    print("| server answers after | way | CPU ms a sample | wall s | wall / ideal | wall / bare loop |")
    print("|---|---|--:|--:|--:|--:|")
    for latency in (0.0, 0.1):
        with running(latency=latency) as server:
            turns = [[way(server.url, asked, connections, content) for way in (bare, ours)] for _ in range(repeat)]
        ideal = samples * latency / connections
        for way, name in enumerate(("bare aiohttp loop", "vlmake, journal included")):
            cpu, wall = (median(getattr(turn[way], what) for turn in turns) for what in ("cpu", "wall"))
            to_ideal = shown_ratios([turn[way].wall / ideal for turn in turns]) if ideal else "–"
            to_bare = shown_ratios([turn[way].wall / turn[0].wall for turn in turns]) if way else "–"
            answers_after, cpu_ms = f"{latency * 1000:.0f} ms", cpu / samples * 1000
            print(f"| {answers_after} | {name} | {cpu_ms:.2f} | {wall:.2f} | {to_ideal} | {to_bare} |", flush=True)


def shown_ratios(ratios: list[float]) -> str:
    """Return the median and the range of ratios."""
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def print_faults(samples: int, seeds: int) -> None:
    """Measure what a misbehaving server costs; print a table."""
    asked, content = questions(samples), picture()
    keys = {"timeout": 0.5, "retry_interval": 0.05}
    print(f"{samples} samples, 32 connections, a server that answers after 50 ms, time-out 0.5 s\n")
    print("| seed | calls a sample | most for one | samples without an answer | wall s | wall / without faults |")
    print("|--:|--:|--:|--:|--:|--:|")
    for seed in range(seeds):
        with running(latency=0.05) as server:
            without = ours(server.url, asked, 32, content, **keys)
        with running(latency=0.05, fault_share=0.3, seed=seed) as server:
            spent = ours(server.url, asked, 32, content, **keys)
            calls = server.stats()["calls"].values()
        mean, ratio = sum(calls) / samples, spent.wall / without.wall
        print(f"| {seed} | {mean:.2f} | {max(calls)} | {spent.failed} | {spent.wall:.1f} | {ratio:.2f} |", flush=True)


@click.command()
@click.option("--samples", default=2374, show_default=True, help="Questions asked.")
@click.option("--connections", default=64, show_default=True, help="Requests at once.")
@click.option("--repeat", default=5, show_default=True, help="Repetitions; medians are shown.")
@click.option("--faults", is_flag=True, help="Ask a server that misbehaves, with five seeds.")
def main(samples: int, connections: int, repeat: int, faults: bool) -> None:
    """Measure asking a server; print a table."""
    if faults:
        print_faults(samples, seeds=5)
    else:
        print_costs(samples, connections, repeat)


if __name__ == "__main__":
    main()
