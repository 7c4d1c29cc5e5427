"""What a judge is to do about one model's answers to one benchmark: its files, its cases, and who may work on them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vlmake.judges.asking import Case
from vlmake.judges.base import Judging
from vlmake.judges.deciding import asked_twice, cases_of, is_settled
from vlmake.judges.judge_spec import resolve
from vlmake.judges.registry import load_judging
from vlmake.locks import hold, try_hold
from vlmake.registry.judge_entries import Judge, JudgeServerEntry
from vlmake.scoring.protocols import ScoringSpec, open_rows
from vlmake.scoring.score_inputs import json_object, read_predictions, read_samples


@dataclass(frozen=True)
class JudgeFiles:
    """One model's answers to one benchmark and the files they are judged from; ``spec`` is a JSON object."""

    model: str
    dataset: str
    spec: str
    samples: Path
    predictions: Path
    journal: Path

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.model} {self.dataset}"

    @property
    def inputs(self) -> Sequence[Path]:
        """The files without which nothing can be judged."""
        return (self.samples, self.predictions)


@dataclass(frozen=True)
class Work:
    """What is asked, in which words, and of how many open samples; ``twice`` are the cases for a second verdict."""

    spec: ScoringSpec
    judging: Judging
    cases: Sequence[Case]
    twice: Sequence[Case]
    left_open: int


def read_work(files: JudgeFiles, self_agreement: float) -> Work:
    """Return what a judge is to be asked; VlmakeError for damaged files."""
    spec = ScoringSpec.from_mapping(json_object(files.spec, "--spec"))
    judging = load_judging(spec.judging)
    rows = open_rows(read_samples(files.samples, spec.dataset), read_predictions(files.predictions)[0], spec)
    cases = cases_of(rows, judging)
    return Work(spec, judging, cases, asked_twice(cases, self_agreement), len(rows))


def leaves_nothing(files: JudgeFiles, judge: str, entry: Judge, self_agreement: float) -> bool:
    """Tell whether a judge was asked everything already; without answers, or a name for its model, it was not."""
    if not all(file.is_file() for file in files.inputs) or not (
        isinstance(entry, JudgeServerEntry) or entry.served_model
    ):
        return False
    work = read_work(files, self_agreement)
    return is_settled(work.cases, work.twice, work.judging, resolve(judge, entry), files.journal)


@contextmanager
def hold_cases(files: JudgeFiles, judge: str) -> Iterator[None]:
    """Wait until no other process asks this judge about these answers, and keep them."""
    with hold(_lock(files), f"judge {judge}: {files.name}: another process asks about these; waiting for it"):
        yield


@contextmanager
def try_hold_cases(files: JudgeFiles) -> Iterator[bool]:
    """Keep the answers if no other process asks about them; yields whether they are kept."""
    with try_hold(_lock(files)) as held:
        yield held


def _lock(files: JudgeFiles) -> Path:
    return files.journal / "rows.lock"
