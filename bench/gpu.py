"""The inference stage alone on a GPU: models of real size and layout with random weights, an MME-shaped set.

    python bench/gpu.py [--layout InternVL2-2B] [--batch-size 64] [--workers 4]
    python bench/gpu.py --host     # no GPU needed: only the host's half, of the same sets
    python bench/gpu.py --tiny     # no GPU needed: the same code with miniature models on the CPU

2,374 questions on 1,187 JPEGs of 1024 x 768, two an image, as MME has them. Random weights do not stop, so every answer
is cut at four tokens (MME's own are two: the word and the end). `grouped` answers all of them, through the product's
batches and its host threads; `batched` (no sharing) a part, and a plain loop of one a few, both extrapolated (~).
Warm-up, which holds the self-check of sharing, comes before the clock. Seconds by phase come from a second pass over a
part, synchronised at every tower; the rest is merging, copies and the last layer, and the loop's own work on the host.
Operations are counted as they are executed, padding included: 2 x parameters of the layers x tokens, and
4 x layers x width x queries x keys. The matrix rate is that of one large product in the same process.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"

import click
import torch
import transformers as tf
from cases import CASES, TINY_CASES, Case
from layouts import (
    LAYOUTS,
    SYSTEM,
    KeptAnswers,
    Pictures,
    ask,
    backend,
    loop_of_one,
    make_processor,
    markdown,
    not_shared,
    photographs,
    random_model,
)
from measuring import Machine, find_machine, watched

from vlmake.backends.base import Capabilities, Request, Turn
from vlmake.backends.preparing import Preparer
from vlmake.inference.answering import Pace, answer
from vlmake.inference.shard import Asking, Question

NEW_TOKENS = 4
ASKING = Asking("bench", NEW_TOKENS)
HOST_QUESTIONS = 256  # enough for milliseconds an image
MME_QUESTIONS = 2374
WAYS = ("loop", "batched", "grouped")
HEADER = (
    "model", "way", "batch", "questions/s", f"s for {MME_QUESTIONS}", "target", "encode s", "prefill s", "decode s",
    "rest s", "host s, all threads", "waiting for the host s", "TFLOP/s", "of the matrix rate", "peak GiB",
)  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """A model that is to be measured, and what it is asked."""

    name: str
    case: Case
    model: Any
    processor: Any
    pictures: Pictures
    machine: Machine

    def questions(self, count: int, seed: int = 0) -> list[Question]:
        """Return questions on the first pictures, two on each."""
        return ask(list(self.pictures.held)[: -(-count // 2)], 2, ASKING, seed)[:count]


class Run(NamedTuple):
    """One pass over questions: wall seconds, of these in the device's half, and the host threads' own."""

    wall: float
    device: float
    host: float
    batch: int


def by_backend(bench: Bench, image_groups: str, pace: Pace) -> Callable[[Sequence[Question]], Run]:
    """Return a way to answer with the product's backend, batches and host threads."""
    made = backend(bench.model, bench.processor, image_groups, SYSTEM)

    def run(questions: Sequence[Question]) -> Run:
        kept, earlier = KeptAnswers(), made.facts()["seconds"]
        bench.machine.wait()
        started = time.perf_counter()
        course = answer(questions, made, bench.pictures, kept, ASKING, pace, epoch=0, advance=lambda _: None)
        bench.machine.wait()
        wall = time.perf_counter() - started
        kept.texts(questions)
        if refused := not_shared(made):
            print(f"{bench.name}: images are not shared as wanted: {refused}", flush=True)
        spent = {phase: seconds - earlier[phase] for phase, seconds in made.facts()["seconds"].items()}
        return Run(wall, spent["device"], spent["host"], course.batch_size)

    return run


def by_loop(bench: Bench) -> Callable[[Sequence[Question]], Run]:
    """Return the plain loop of one; all its seconds are the device's half, which waits for everything else."""

    def run(questions: Sequence[Question]) -> Run:
        bench.machine.wait()
        started = time.perf_counter()
        loop_of_one(bench.model, bench.processor, SYSTEM, questions, bench.pictures, NEW_TOKENS)
        bench.machine.wait()
        wall = time.perf_counter() - started
        return Run(wall, wall, 0.0, 1)

    return run


def measure(bench: Bench, way: str, pace: Pace, count: int, asked: int) -> list[str]:
    """Return the table's line of one way to answer ``asked`` of ``count`` questions."""
    run = by_loop(bench) if way == "loop" else by_backend(bench, {"batched": "off", "grouped": "auto"}[way], pace)
    few = 1 if way == "loop" else pace.batch_size
    run(bench.questions(min(count, 2 * few), seed=1))
    bench.machine.peak_memory(reset=True)
    timed = run(bench.questions(asked))
    memory = bench.machine.peak_memory()
    part = bench.questions(min(asked, 4 * few), seed=2)
    with watched(bench.model, LAYOUTS[bench.case.layout], bench.case.size, bench.machine) as phases:
        again = run(part)
    scale, once = MME_QUESTIONS / asked, MME_QUESTIONS / len(part)
    rate = phases.operations / len(part) * asked / timed.wall
    whole = timed.wall * scale
    guess = "~" if asked < MME_QUESTIONS else ""
    target = bench.case.target
    rest = again.device - sum(phases.seconds.values())
    return [
        bench.name,
        way,
        str(timed.batch),
        f"{asked / timed.wall:.1f}",
        f"{guess}{whole:.1f}",
        "none" if target is None else f"{target:.0f}: {'met' if whole <= target else 'not met'}",
        *(f"{seconds * once:.1f}" for seconds in (*phases.seconds.values(), rest)),
        f"{timed.host * scale:.1f}",
        f"{max(0.0, timed.wall - timed.device) * scale:.1f}",
        f"{rate / 1e12:.3g}",
        f"{100 * rate / bench.machine.matrix_rate:.0f} %",
        f"{memory:.1f}",
    ]


def measure_host(name: str, case: Case, processor: Any, pictures: Pictures, batch: int) -> list[list[str]]:
    """Return the host's half alone: lines of the table by number of threads."""
    images = list(pictures.held)
    questions = ask(images, 2, ASKING)
    requests = [
        Request([Turn("user", question.messages)], {shown: pictures.bytes(shown)}, NEW_TOKENS)
        for question in questions
        for shown in [question.messages[0]["image"]]
    ]
    batches = [requests[start : start + batch] for start in range(0, len(requests), batch)]
    lines = []
    for threads in sorted({1, 2, 4, len(os.sched_getaffinity(0))}):
        preparer = Preparer(
            processor, SYSTEM, Capabilities(None, system=True, history=True), torch.float32, pinned=False
        )
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(partial(_sizes, preparer), [requests[:1]] * threads))
            started, used = time.perf_counter(), time.process_time()
            sizes = list(pool.map(partial(_sizes, preparer), batches))
            wall, cpu = time.perf_counter() - started, time.process_time() - used
        held = sum(held for held, _, _ in sizes) / len(images) / 2**20
        tokens = sum(tokens for _, tokens, _ in sizes) / sum(parts for _, _, parts in sizes)
        whole = MME_QUESTIONS / 2 / len(images)
        lines.append(
            [name, threads, f"{1000 * cpu / len(images):.0f}", f"{wall * whole:.0f}", f"{cpu * whole:.0f}",
             f"{tokens:.0f}", f"{held:.1f}", "none" if case.target is None else f"{case.target:.0f}"]
        )  # fmt: skip
    return lines


def _sizes(preparer: Preparer, batch: Sequence[Request]) -> tuple[int, int, int]:
    """Prepare a batch; return bytes of pixels, tokens of the first prompts, and parts: all tensors would not fit."""
    prepared = preparer.prepare(batch, modes=["prefix"])
    held = sum(part.inputs["pixel_values"].nbytes for part in prepared)
    return held, sum(part.prompt_tokens[0] for part in prepared), len(prepared)


@click.command(help=__doc__)
@click.option("--layout", "names", multiple=True, type=click.Choice(list(CASES)), help="Only these models.")
@click.option("--way", "ways", multiple=True, type=click.Choice(WAYS), default=WAYS, help="Only these ways.")
@click.option("--batch-size", "batches", multiple=True, default=(64,), show_default=True, help="Repeatable.")
@click.option("--workers", default=4, show_default=True, help="Host threads that prepare batches ahead.")
@click.option("--questions", default=MME_QUESTIONS, show_default=True, help="Questions of the grouped runs.")
@click.option("--part", default=512, show_default=True, help="Questions of the batched runs.")
@click.option("--few", default=32, show_default=True, help="Questions of the plain loop.")
@click.option("--host", is_flag=True, help="Only decode, tile and tokenise; without a GPU.")
@click.option("--tiny", is_flag=True, help="Miniature models on the CPU: tells whether this program works.")
def main(
    names: tuple[str, ...],
    ways: tuple[str, ...],
    batches: tuple[int, ...],
    workers: int,
    questions: int,
    part: int,
    few: int,
    host: bool,
    tiny: bool,
) -> None:
    cases = TINY_CASES if tiny else CASES
    machine = None if host else find_machine(tiny=tiny)
    tf.logging.set_verbosity_error()
    if tiny:
        questions, part, few, batches = min(questions, 12), min(part, 8), min(few, 3), (4,)
    if host:
        questions = min(questions, HOST_QUESTIONS)
    size = (64, 48) if tiny else (1024, 768)
    pictures = photographs(max(1, -(-questions // 2)), *size, workers=max(1, workers))
    lines: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="vlmake-bench-") as folder:
        for name in names or cases:
            layout = LAYOUTS[cases[name].layout]
            processor = make_processor(layout, cases[name].size, Path(folder) / name)
            if machine is None:
                lines += measure_host(name, cases[name], processor, pictures, batches[0])
                continue
            started = time.perf_counter()
            model = random_model(layout, cases[name].size, machine.device, machine.dtype, gain=1.0)
            bench = Bench(name, cases[name], model, processor, pictures, machine)
            weights = sum(weight.numel() for weight in model.parameters()) / 1e9
            print(f"{name}: {weights:.2f} billion weights drawn in {time.perf_counter() - started:.1f} s", flush=True)
            for way in ways:
                asked = {"loop": few, "batched": part, "grouped": questions}[way]
                for batch in batches[:1] if way == "loop" else batches:
                    lines.append(measure(bench, way, Pace(batch, workers), questions, min(asked, questions)))
                    print(" | ".join(lines[-1]), flush=True)
            del bench, model
            if machine.device == "cuda":
                torch.cuda.empty_cache()
    _report(machine, lines)


def _report(machine: Machine | None, lines: Sequence[Sequence[str]]) -> None:
    if machine is None:
        header = ("model", "threads", "CPU ms an image", f"s for {MME_QUESTIONS // 2} images", "CPU s", "prompt tokens",
                  "MiB an image", "target s")  # fmt: skip
        print(f"\n{markdown(header, lines)}")
        return
    print(f"\n{machine.name}, matrix rate {machine.matrix_rate / 1e12:.3g} TFLOP/s, torch {torch.__version__},", end="")
    print(f" transformers {tf.__version__}\n\n{markdown(HEADER, lines)}")


if __name__ == "__main__":
    main()
