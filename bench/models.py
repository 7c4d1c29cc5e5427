"""Questions per second on the CPU: a plain loop of one, batches, and batches that share what an image's questions have.

    python bench/models.py [--questions 36] [--repetitions 3]

The plain loop is what other harnesses' adapters do: processor and `model.generate` for each question. All three ways
run in this process, with one torch thread, the same weights and the same questions, in turn (a, b, c, a, b, c ...);
the rates are medians, per CPU second, and every ratio is taken within one repetition. All must give the same texts.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"

import click
import torch
import transformers as tf
from layouts import (
    LAYOUTS,
    SYSTEM,
    Entry,
    KeptAnswers,
    Pictures,
    Size,
    Tower,
    ask,
    backend,
    loop_of_one,
    make_processor,
    markdown,
    not_shared,
    photographs,
    random_model,
)

from vlmake.backends.processor import load_processor
from vlmake.inference.answering import Pace, answer
from vlmake.inference.shard import Asking, Question

PRODUCT = Path(__file__).resolve().parents[1]
PER_IMAGE = (1, 2, 6, 18)
BATCH = 16
NEW_TOKENS = 4
ASKING = Asking("bench", NEW_TOKENS)
SIZES = {
    "LLaVA": Size(Tower(192, 8, 6, 768), Tower(256, 6, 8, 704), 4, 512, side=224, patch=14),
    "Qwen2-VL": Size(
        Tower(192, 8, 6, 768), Tower(256, 6, 8, 704), 4, 512, side=448, patch=14,
        pixels={"min_pixels": 448**2, "max_pixels": 448**2},
    ),
}  # fmt: skip


class Asked(NamedTuple):
    """Questions, and the pictures they are on."""

    questions: Sequence[Question]
    pictures: Pictures


class Loaded(NamedTuple):
    """A model to be asked, and what to call it."""

    name: str
    model: Any
    processor: Any
    system: str | None


def load_all(folder: Path) -> dict[str, Callable[[], Loaded]]:
    """Return how each model is loaded, by the name it is asked for with."""
    families = {name: (lambda name=name: _random(name, folder / name)) for name in SIZES}
    return {"TinyVLM": _tiny_vlm, **families}


def _tiny_vlm() -> Loaded:
    folder = PRODUCT / "resources" / "models" / "TinyVLM"
    model = tf.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    return Loaded(_described("TinyVLM", model), model, load_processor(folder, Entry("auto")), None)


def _random(name: str, folder: Path) -> Loaded:
    model = random_model(LAYOUTS[name], SIZES[name], "cpu", torch.float32, gain=2.0)
    return Loaded(_described(name, model), model, make_processor(LAYOUTS[name], SIZES[name], folder), SYSTEM)


def _described(name: str, model: Any) -> str:
    return f"{name}, {sum(weight.numel() for weight in model.parameters()) / 1e6:.1f} M"


def by_backend(loaded: Loaded, image_groups: str, asked: Asked) -> Callable[[], list[str]]:
    """Return a way to answer with the product's backend and the product's batches."""
    made = backend(loaded.model, loaded.processor, image_groups, loaded.system)

    def run() -> list[str]:
        kept = KeptAnswers()
        answer(asked.questions, made, asked.pictures, kept, ASKING, Pace(BATCH), epoch=0, advance=lambda _: None)
        if refused := not_shared(made):
            raise SystemExit(f"{loaded.name} does not share images: {refused}")
        return kept.texts(asked.questions)

    return run


def compare(loaded: Loaded, per_image: int, count: int, repetitions: int) -> list[str]:
    """Return the table's line of one model and number of questions an image."""
    pictures = photographs(max(1, count // per_image), 640, 480)
    asked = Asked(ask(pictures.held, per_image, ASKING), pictures)
    ways = {
        "loop": partial(loop_of_one, loaded.model, loaded.processor, loaded.system, *asked, NEW_TOKENS),
        "batched": by_backend(loaded, "off", asked),
        "grouped": by_backend(loaded, "auto", asked),
    }
    expected = ways["loop"]()
    for name in ("batched", "grouped"):  # a first time, unmeasured: it warms up, and sharing is checked there
        _refuse_other(name, ways[name](), expected)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, run in ways.items():
            started = time.process_time()
            texts = run()
            seconds[name].append(time.process_time() - started)
            _refuse_other(name, texts, expected)
    rates = [f"{len(expected) / statistics.median(taken):.1f}" for taken in seconds.values()]
    ratios = [_ratio(seconds["loop"], seconds[name]) for name in ("batched", "grouped")]
    return [loaded.name, str(per_image), *rates, *ratios, f"{len(set(expected))} of {len(expected)}"]


def _refuse_other(name: str, texts: Sequence[str], expected: Sequence[str]) -> None:
    wrong = sum(text != wanted for text, wanted in zip(texts, expected, strict=True))
    if wrong:
        raise SystemExit(f"{name}: {wrong} of {len(expected)} answers are not those of the plain loop")


def _ratio(loop: Sequence[float], other: Sequence[float]) -> str:
    ratios = sorted(one / two for one, two in zip(loop, other, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


@click.command(help=__doc__)
@click.option("--questions", default=36, show_default=True, help="Questions of each cell.")
@click.option("--repetitions", default=3, show_default=True, help="Measured runs of each way.")
@click.option("--model", "names", multiple=True, type=click.Choice(["TinyVLM", *SIZES]), help="Only these models.")
@click.option("--per-image", multiple=True, type=int, default=PER_IMAGE, show_default=True, help="Questions an image.")
def main(questions: int, repetitions: int, names: tuple[str, ...], per_image: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    tf.logging.set_verbosity_error()
    header = [
        "model", "questions an image", "loop of one, questions/s", "batched", "grouped", "batched / loop",
        "grouped / loop", "different answers",
    ]  # fmt: skip
    rows = []
    with tempfile.TemporaryDirectory(prefix="vlmake-bench-") as folder:
        ways = load_all(Path(folder))
        for name in names or ways:
            loaded = ways[name]()
            rows += [compare(loaded, number, questions, repetitions) for number in per_image]
    print(markdown(header, rows))
    print(f"\nAll three ways gave the same texts in float32; batches of {BATCH}, ratios with their range in brackets.")


if __name__ == "__main__":
    main()
