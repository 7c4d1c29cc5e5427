"""What scoring costs: MMBench-like circular multiple choice in all three protocols, and MME, on one core.

    python bench/score.py [--rows 10000] [--repeat 3] [--peer DIR]

Questions, options and messy answers are drawn by a fixed seed: each question has its rotated copies, and the answers
have the shapes that models give them (a letter, a box, a sentence, the option's text, Chinese, reasoning, nothing).
Every repetition is a process of its own, so that nothing is remembered from the one before; the median is shown. With
--peer DIR, a folder that holds the package `vlmeval` (the unpacked wheel of ms-vlmeval 0.0.20), its own scorer is timed
on the same rows; it needs xlsxwriter, validators and sty besides.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import click

SOURCE = Path(__file__).resolve().parents[1] / "src"
SEED = 2024
LETTERS = "ABCD"
ROTATION = 1_000_000
MME_ROWS = 2374

ADJECTIVES = ("red", "small", "wooden", "round", "old", "bright", "tall", "soft", "striped", "broken", "plastic", "wet")
NOUNS = (
    *("dog", "cat", "horse", "kite", "table", "river", "engine", "bottle", "window", "ladder", "map", "bridge", "lamp"),
    *("violin", "carpet", "tower", "garden", "basket", "mirror", "train", "spoon", "harbour", "fence", "statue", "猫"),
)
PLACES = ("on the left", "behind the wall", "near the edge", "under the sign", "in the middle", "at the top")
ABILITIES = {
    "coarse_perception": ("image_style", "image_scene", "image_emotion", "image_quality", "image_topic"),
    "finegrained_perception (instance-level)": ("object_localization", "attribute_recognition", "ocr"),
    "finegrained_perception (cross-instance)": ("spatial_relationship", "attribute_comparison", "action_recognition"),
    "logic_reasoning": ("future_prediction", "structuralized_imagetext_understanding"),
    "relation_reasoning": ("physical_relation", "social_relation", "nature_relation"),
    "attribute_reasoning": ("function_reasoning", "identity_reasoning", "physical_property_reasoning"),
}
SHAPES = (  # how often, and the answer: {letter}, {option}, {other} (another option's letter), {place}, {noun}
    *((22, "{letter}"), (18, "{letter}."), (8, "({letter})"), (10, "{letter}. {option}"), (6, "{option}")),
    *((5, "The answer is {letter}."), (3, "The answer is ({letter}) {option}"), (3, "**{letter}**")),
    *((2, "\\boxed{{{letter}}}"), (2, "Option {letter}: {option}"), (2, "答案是{letter}"), (1, "答案：{letter}。")),
    *((3, "The correct answer is **{letter}**. Here is why: the {noun} {place} shows it."), (1, "{option_upper}")),
    *((2, "{letter}\n\nBecause there is a {noun} {place}, and no other {noun} can be seen in the image."), (1, "Z")),
    *((2, "Let me think. First the {noun} {place}, then the other one. Final answer: {letter}"), (1, "{small}")),
    *((2, "<think>There is a {noun} {place}. Is it {other}? No.</think>\nThe answer is {letter}."), (1, '"{letter}"')),
    *((1, "It looks like a {option} to me"), (1, "{letter} or {other}"), (1, "Cannot determine the answer"), (1, "")),
    *((1, "Failed to obtain answer via API."), (1, "nan"), (1, "A photo of a {noun} {place}"), (1, "<{letter}>")),
)
YES_NO = (
    *((30, "{answer}"), (20, "{answer}."), (6, "**{answer}**"), (5, "{answer}, there is a {noun} {place}."), (3, "是")),
    *(
        (4, "The answer is {answer}."),
        (3, "{small}"),
        (2, "I cannot tell."),
        (1, ""),
        (2, "There is a {noun} {place}."),
    ),
)


def draw_choice(rows: int, seed: int = SEED) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return samples and predictions of a circular benchmark: every question with its rotated copies."""
    numbers = random.Random(seed)
    shapes = [shape for count, shape in SHAPES for _ in range(count)]
    samples: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    question = 0
    while len(samples) < rows:
        options = [
            f"{numbers.choice(ADJECTIVES)} {noun}" for noun in numbers.sample(NOUNS, numbers.choice((4, 4, 4, 2)))
        ]
        gold, place = numbers.randrange(len(options)), numbers.choice(PLACES)
        ability = numbers.choice(list(ABILITIES))
        shared = {
            "question": f"Which of these can be seen {place}?",
            "hint": numbers.choice((None, "Look closely.")),
            "category": numbers.choice(ABILITIES[ability]),
            "l2-category": ability,
            "split": numbers.choice(("dev", "dev", "test")),
        }
        for turn in range(len(options)):
            rotated = options[turn:] + options[:turn]
            right = (gold - turn) % len(options)
            given = right if numbers.random() < 0.75 else numbers.randrange(len(options))
            index = str(question + turn * ROTATION)
            cells = dict(zip(LETTERS, rotated + [None] * (4 - len(options)), strict=True))
            samples.append({"index": index, "answer": LETTERS[right], **cells, **shared})
            text = numbers.choice(shapes).format(
                letter=LETTERS[given],
                small=LETTERS[given].lower(),
                option=rotated[given],
                option_upper=rotated[given].upper(),
                other=LETTERS[(given + 1) % len(options)],
                noun=numbers.choice(NOUNS),
                place=place,
            )
            answers.append({"index": index, "prediction": text, "status": "ok" if text else "empty"})
        question += 1
    return samples[:rows], answers[:rows]


def draw_mme(rows: int, seed: int = SEED) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return samples and predictions of yes-or-no questions, two an image, in the subtasks of MME."""
    from vlmake.metrics.mme import SUMS

    numbers = random.Random(seed)
    shapes = [shape for count, shape in YES_NO for _ in range(count)]
    subtasks = [subtask for members in SUMS.values() for subtask in members]
    samples: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for row in range(rows):
        noun, gold = numbers.choice(NOUNS), ("Yes", "No")[row % 2]
        samples.append(
            {
                "index": str(row),
                "question": f"Is there a {noun} in the image? Please answer yes or no.",
                "answer": gold,
                "category": subtasks[row * len(subtasks) // rows],
                "image_path": f"{row // 2}.jpg",
            }
        )
        given = gold if numbers.random() < 0.8 else ("No" if gold == "Yes" else "Yes")
        place = numbers.choice(PLACES)
        text = numbers.choice(shapes).format(answer=given, small=given.lower(), noun=noun, place=place)
        answers.append({"index": str(row), "prediction": text, "status": "ok" if text else "empty"})
    return samples, answers


BENCHMARKS: Mapping[str, tuple[str, str, Callable[[int], tuple[list[Any], list[Any]]]]] = {
    "MMBench": ("multiple_choice", "choice_circular", draw_choice),
    "MME": ("yes_no", "mme", draw_mme),
}


class Stages:
    """CPU seconds of named stages, each counted without the stages inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside = [0.0]

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` with its own time added to stage ``name``."""

        def call(*arguments: Any, **named: Any) -> Any:
            start = time.process_time()
            self._inside.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                whole = time.process_time() - start
                self.seconds[name] = self.seconds.get(name, 0.0) + whole - self._inside.pop()
                self._inside[-1] += whole

        return call


def measure_here(benchmark: str, rows: int, profile: bool) -> dict[str, Any]:
    """Score drawn rows in this process; return seconds, peak memory, and the seconds by stage if wanted.

    The stages' clocks are hung on the functions that ``score`` calls, so a run with a profile is the real one.
    """
    start = time.process_time()
    import pandas as pd

    from vlmake.extract.registry import load_extractor
    from vlmake.metrics.registry import load_metric
    from vlmake.scoring import protocols

    task, metric, draw = BENCHMARKS[benchmark]
    extractor, counted = load_extractor(metric), load_metric(metric)
    import_seconds = time.process_time() - start
    spec = protocols.ScoringSpec(benchmark, task, metric)  # type: ignore[arg-type]
    samples, predictions = (pd.DataFrame(records, dtype=object) for records in draw(rows))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stages = Stages()
    if profile:
        _hang_clocks(stages, protocols, extractor, counted)
    begin, wall = time.process_time(), time.perf_counter()
    result = protocols.score(samples, predictions, spec)
    seconds, wall = time.process_time() - begin, time.perf_counter() - wall
    return {
        "rows": len(samples),
        "import": import_seconds,
        "seconds": seconds,
        "wall": wall,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "added": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before,
        "stages": stages.seconds,
        "overall": {name: numbers["overall"]["value"] for name, numbers in result.detail["protocols"].items()},
    }


def _hang_clocks(stages: Stages, protocols: Any, extractor: Any, metric: Any) -> None:
    from types import SimpleNamespace

    def extract(frame: Any, protocol: str) -> Any:
        return stages.timed(f"extraction, {protocol}", extractor.extract)(frame, protocol)

    clocked = SimpleNamespace(extract=extract, gold=stages.timed("gold", extractor.gold))
    counted = type(metric)(
        hits=stages.timed("metric: hits", metric.hits),
        table=stages.timed("metric: tables", metric.table),
        group_hits=stages.timed("metric: hits", metric.group_hits) if metric.group_hits else None,
    )
    protocols.load_extractor = lambda name: clocked
    protocols.load_metric = lambda name: counted
    for function, stage in (
        ("align", "join of samples and predictions"),
        ("read_as_tsv", "view: TSV"),
        ("through_spreadsheet", "view: spreadsheet"),
        ("score", "frames, intervals, bounds, judged rows"),
    ):
        setattr(protocols, function, stages.timed(stage, getattr(protocols, function)))


PEER = r"""
import sys, types, time, json, warnings
from pathlib import Path
folder, work, rows = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
warnings.simplefilter("ignore")
for name in ("vlmeval", "vlmeval.dataset", "vlmeval.dataset.utils", "vlmeval.utils", "vlmeval.smp"):
    # The packages' own __init__ import every benchmark and model class; the scorer's modules need only these.
    package = types.ModuleType(name)
    package.__path__ = [str(folder.joinpath(*name.split(".")))]
    sys.modules[name] = package
import importlib
smp, utils = sys.modules["vlmeval.smp"], sys.modules["vlmeval.utils"]
for module in ("log", "misc", "file", "vlm"):
    found = importlib.import_module(f"vlmeval.smp.{module}")
    vars(smp).update({key: value for key, value in vars(found).items() if not key.startswith("__")})
for module in ("matching_util", "mp_util"):
    found = importlib.import_module(f"vlmeval.utils.{module}")
    vars(utils).update({key: value for key, value in vars(found).items() if not key.startswith("__")})
from vlmeval.dataset.utils.multiple_choice import mcq_circular_eval, report_acc
import pandas as pd
sys.path[:0] = [sys.argv[4]]
from score import draw_choice
samples, answers = (pd.DataFrame(records) for records in draw_choice(rows))
meta = samples.assign(index=samples["index"].astype(int))
eval_file = str(work / "peer.xlsx")
smp.dump(meta.assign(prediction=answers["prediction"]), eval_file)
begin, wall = time.process_time(), time.perf_counter()
# ImageMCQDataset.evaluate_heuristic of the same package, for a circular benchmark and exact matching
data = smp.load(eval_file)
data["index"] = [int(x) for x in data["index"]]
smp.dump(data, eval_file)
data = smp.load(eval_file).sort_values(by="index")
data["prediction"] = [str(x) for x in data["prediction"]]
data = mcq_circular_eval(None, data, meta, 1, str(work / "peer_result.pkl"), "MMBench_DEV_EN")
smp.dump(data, str(work / "peer_result.xlsx"))
table = report_acc(smp.load(str(work / "peer_result.xlsx")))
smp.dump(table, str(work / "peer_acc.csv"))
print(json.dumps({"seconds": time.process_time() - begin, "wall": time.perf_counter() - wall,
                  "overall": float(data["hit"].mean())}))
"""


def child(words: list[str]) -> dict[str, Any]:
    """Run a program in a process of its own, on one thread; return the object that its last line is."""
    path = os.pathsep.join([str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure(benchmark: str, rows: int, repeat: int, profile: bool = False) -> dict[str, Any]:
    """Return the medians over ``repeat`` processes."""
    words = [__file__, "--once", benchmark, "--rows", str(rows), *(["--profile"] if profile else [])]
    runs = [child(words) for _ in range(repeat)]
    middle = {key: median(run[key] for run in runs) for key in ("import", "seconds", "wall", "megabytes", "added")}
    stages = {name: median(run["stages"][name] for run in runs) for name in runs[0]["stages"]}
    return middle | {"rows": runs[0]["rows"], "stages": stages, "overall": runs[0]["overall"]}


def measure_peer(folder: Path, rows: int) -> dict[str, Any]:
    """Return what the peer's own scorer of circular multiple choice takes for the same rows."""
    with tempfile.TemporaryDirectory() as work:
        return child(["-c", PEER, str(folder), work, str(rows), str(Path(__file__).parent)])


@click.command(help=__doc__)
@click.option("--rows", default=10_000, show_default=True, help="Rows of the multiple-choice benchmark.")
@click.option("--more-rows", multiple=True, type=int, help="Further sizes, for memory and linearity.")
@click.option("--repeat", default=3, show_default=True, help="Processes per figure.")
@click.option("--peer", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder with `vlmeval`.")
@click.option("--once", type=click.Choice(list(BENCHMARKS)), hidden=True)
@click.option("--profile", is_flag=True, hidden=True)
def main(
    rows: int, more_rows: tuple[int, ...], repeat: int, peer: Path | None, once: str | None, profile: bool
) -> None:
    """Measure scoring; print two tables."""
    if once:
        click.echo(json.dumps(measure_here(once, rows, profile)))
        return
    wanted = [("MMBench", size) for size in (rows, *more_rows)] + [("MME", min(rows, MME_ROWS))]
    costs = [(name, measure(name, size, repeat)) for name, size in wanted]
    theirs = measure_peer(peer, rows) if peer else None
    click.echo("| benchmark | rows | CPU s | µs a row | wall s | peak MB | of it by scoring, MB | imports, CPU s |")
    click.echo("|---|---|---|---|---|---|---|---|")
    for name, cost in costs:
        each = 1e6 * cost["seconds"] / cost["rows"]
        click.echo(
            f"| {name} | {cost['rows']} | {cost['seconds']:.2f} | {each:.0f} | {cost['wall']:.2f}"
            f" | {cost['megabytes']:.0f} | {cost['added']:.0f} | {cost['import']:.2f} |"
        )
    if theirs:
        click.echo(
            f"\nThe peer, {rows} rows, one protocol: {theirs['seconds']:.2f} CPU s, {theirs['wall']:.2f} wall s;"
            f" ratio {theirs['seconds'] / costs[0][1]['seconds']:.1f}"
            f" (its score {theirs['overall']:.6f}, here {costs[0][1]['overall']['vlmevalkit-ms']:.6f})"
        )
    profiled = measure("MMBench", rows, repeat, profile=True)
    click.echo(f"\nMMBench, {rows} rows, by stage:\n\n| stage | CPU s | share |\n|---|---|---|")
    for stage, seconds in profiled["stages"].items():
        click.echo(f"| {stage} | {seconds:.3f} | {seconds / profiled['seconds']:.0%} |")


if __name__ == "__main__":
    main()
