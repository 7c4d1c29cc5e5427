"""What judging costs beside the judge itself: CPU time a sample, from answers to verdicts, journal included.

    python bench/judge.py [--samples 2374] [--connections 64] [--repeat 3]

A local judge replies at once, or after 100 ms. The judge stage's own path asks it: answers that rules leave open in,
prompts, replies in a journal on disk, verdicts out. Beside it runs a bare aiohttp loop over the same prompts. CPU
seconds are those of the asking process alone, the server has its own.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import aiohttp
import click
import pandas as pd

PRODUCT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PRODUCT / "src"), str(PRODUCT)]

from tests.chat_server import running  # noqa: E402
from vlmake.judges.asking import Case  # noqa: E402
from vlmake.judges.deciding import cases_of, decide  # noqa: E402
from vlmake.judges.judge_spec import resolve  # noqa: E402
from vlmake.judges.opening import JudgeAtHand  # noqa: E402
from vlmake.judges.registry import load_judging  # noqa: E402
from vlmake.registry.judge_entries import JudgeEndpointEntry  # noqa: E402


def answers(count: int) -> pd.DataFrame:
    """Return answers that no rule can read."""
    numbers = range(count)
    return pd.DataFrame(
        {
            "index": [str(number) for number in numbers],
            "question": [f"What is the thing in picture {number}?" for number in numbers],
            **{letter: [f"a {thing} of {number}" for number in numbers] for letter, thing in THINGS.items()},
            "raw": [f"Number {number} could be one or another of these, seen from far away." for number in numbers],
        }
    )


THINGS = {"A": "dog", "B": "cat", "C": "horse", "D": "sheep"}


def ours(url: str, rows: pd.DataFrame, connections: int) -> tuple[float, float]:
    """Return CPU and wall seconds of the judge stage's path."""
    keys = {"api_base": url, "served_model": "judge-1", "nproc": connections}
    judge, judging = (
        resolve("bench", JudgeEndpointEntry.model_validate(keys | {"api_key": None})),
        load_judging("choice"),
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        cpu, wall = time.process_time(), time.perf_counter()
        with JudgeAtHand(judge, None) as opened:
            found, _ = decide(cases_of(rows, judging), [], judging, judge, Path(folder) / "journal", opened, "bench")
        spent = time.process_time() - cpu, time.perf_counter() - wall
        os.chdir(PRODUCT)
    assert len(found) == len(rows)
    assert {one.status for one in found} == {"found"}
    return spent


def bare(url: str, cases: list[Case], connections: int) -> tuple[float, float]:
    """Return CPU and wall seconds of a plain loop over bodies that were made before."""
    bodies = [
        json.dumps({"model": "judge-1", "messages": [{"role": "user", "content": case.prompt}]}).encode()
        for case in cases
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
@click.option("--samples", default=2374, show_default=True, help="Answers to judge.")
@click.option("--connections", default=64, show_default=True, help="Requests at once.")
@click.option("--repeat", default=3, show_default=True, help="Repetitions; medians are shown.")
def main(samples: int, connections: int, repeat: int) -> None:
    """Measure judging; print a table."""
    rows = answers(samples)
    cases = cases_of(rows, load_judging("choice"))
    size = sum(len(case.prompt) for case in cases) / len(cases)
    print(f"{samples} answers, prompts of {size / 1000:.1f} kB, {connections} connections, {os.cpu_count()} cores\n")
    print("| judge replies after | way | CPU ms a sample | wall s | wall / bare loop |")
    print("|---|---|--:|--:|--:|")
    for latency in (0.0, 0.1):
        with running(judges=True, latency=latency) as server:
            turns = [(bare(server.url, cases, connections), ours(server.url, rows, connections)) for _ in range(repeat)]
        base = median(turn[0][1] for turn in turns)
        for way, name in enumerate(("bare aiohttp loop", "vlmake, prompts and journal included")):
            cpu, wall = (median(turn[way][what] for turn in turns) for what in (0, 1))
            row = f"{latency * 1000:.0f} ms | {name} | {cpu / samples * 1000:.2f} | {wall:.2f} | {wall / base:.2f}"
            print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
