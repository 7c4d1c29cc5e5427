"""What a run will take before it is begun: samples to infer, calls of judges, tokens and money.

Offline and cheap: a finished file is opened for its metadata alone. Numbers that only the run itself can tell are given
as about or at most.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from vlmake import paths
from vlmake.endpoints.spending import Price
from vlmake.errors import VlmakeError
from vlmake.inference.journal import all_predictions, epoch_of, is_settled
from vlmake.judges.judge_spec import resolve
from vlmake.judges.registry import judging_of, load_judging
from vlmake.judges.resolution import Choice
from vlmake.models.model_spec import answer_settings, benchmark_settings
from vlmake.registry.judge_entries import JudgeEndpointEntry
from vlmake.registry.model_entries import EndpointEntry, PriceEntry
from vlmake.runs.planning import Plan
from vlmake.runs.preview_judging import Answers, metadata, typical_prompt_tokens
from vlmake.runs.preview_sizes import NOTHING, UNKNOWN, Bill, Size, times
from vlmake.runs.preview_tokens import Mean, first_rows, journaled_cost, journaled_mean, question_tokens
from vlmake.runs.specs import prompt_spec, roundtrip_spec
from vlmake.scoring.protocols import ScoringSpec

ROWS_READ = 50_000
"""Answers that rules read for a preview, over all targets; what is more is taken to need the judge."""


class Target(NamedTuple):
    """One benchmark that one model is run on; ``judge`` is empty where nobody judges."""

    model: str
    dataset: str
    judge: str = ""


@dataclass(frozen=True)
class Line:
    """What a target takes; bills for what is asked of servers, by the model and by the judge."""

    target: Target
    infer: Size
    inference: Bill | None
    judging: Bill | None

    def bills(self) -> list[Bill]:
        """Return the bills there are."""
        return [bill for bill in (self.inference, self.judging) if bill is not None]


@dataclass(frozen=True)
class Limit:
    """A judge's limit on money, and what it has cost in this work directory so far."""

    judge: str
    most: float
    spent: float


def targets_of(plan: Plan, pairs: Iterable[tuple[str, str]], words: Sequence[str], *, scored: bool) -> list[Target]:
    """Return what a run infers and judges, each once: what its target files name, else its (model, dataset)."""
    files = [name for word in words if (name := paths.parse_target(word))]
    wanted = [Target(*name) for name in files] or [
        Target(model, dataset, plan.judge_of(dataset) if scored else "") for model, dataset in pairs
    ]
    found = dict.fromkeys(part for target in wanted for part in _parts(plan, target))
    judged = {target[:2] for target in found if target.judge}
    return [target for target in found if target.judge or target[:2] not in judged]


def _parts(plan: Plan, target: Target) -> Iterator[Target]:
    for part in plan.parts(target.dataset) or [target.dataset]:
        reads = target.judge and Choice(target.judge).judge_of(plan.registry.dataset(part))
        yield Target(target.model, part, target.judge if reads else "")


def preview(plan: Plan, targets: Sequence[Target], work_dir: Path, *, fresh: bool = False) -> list[Line]:
    """Return what every target takes, in order; with ``fresh`` no earlier answer counts."""
    look = _Look(plan, work_dir, fresh)
    lines: list[Line] = []
    left = ROWS_READ
    inferred: set[tuple[str, str]] = set()
    for target in targets:
        known = target[:2] in inferred
        inferred.add(target[:2])
        finished = look.is_finished(target)
        infer = NOTHING if finished or known else look.to_infer(target)
        judging, rows_read = look.judging(target, finished, left) if target.judge else (None, 0)
        left -= rows_read
        lines.append(Line(target, infer, look.inference(target, infer), judging))
    return lines


def limits(plan: Plan, judges: Iterable[str], work_dir: Path) -> list[Limit]:
    """Return the limits on money of these judges, where there are any.

    Raises VlmakeError for a limit on a judge without a price.
    """
    found = []
    for judge in dict.fromkeys(judges):
        entry = plan.judge_entry(judge, work_dir)
        price = _price(entry.price)
        if not isinstance(entry, JudgeEndpointEntry):
            continue  # what a server of one's own costs is not told by its tokens
        limited = resolve(judge, entry, plan.config.max_judge_cost).entry
        assert isinstance(limited, JudgeEndpointEntry)
        if limited.max_cost is not None and price is not None:
            journals = work_dir.glob(paths.judge_journal("*", "*", judge))
            found.append(Limit(judge, limited.max_cost, journaled_cost(journals, price)))
    return found


class _Look:
    """A work directory as a plan sees it; what many targets share is looked at once."""

    def __init__(self, plan: Plan, work_dir: Path, fresh: bool) -> None:
        self._plan, self._work_dir, self._fresh = plan, work_dir, fresh
        self._decoded_rows = cache(self._count_decoded_rows)
        self._first_rows = cache(lambda base: first_rows(self._samples(base)))
        self._settings = cache(lambda model: _as_json(answer_settings(plan.registry.models[model])))
        self._mean = cache(lambda pattern: journaled_mean(sorted(work_dir.glob(pattern))))
        self._typical = cache(self._typical_prompt)

    def _samples(self, base: str) -> Path:
        return self._work_dir / paths.samples(base, self._plan.config.data_dir)

    def _count_decoded_rows(self, base: str) -> int | None:
        try:
            return int(pq.read_metadata(self._samples(base)).num_rows)
        except (OSError, ValueError):
            return None

    def rows(self, dataset: str) -> Size:
        """Return how many rows a dataset has: as decoded, else as its entry says."""
        name = paths.parse_dataset(dataset)
        rows = self._decoded_rows(name.base)
        if rows is None:
            rows = self._plan.registry.datasets[name.base].rows
        if rows is None:
            return UNKNOWN if name.limit is None else Size(name.limit, "at most")
        return Size(min(rows, name.limit or rows))

    def is_finished(self, target: Target) -> bool:
        """Tell whether the target's predictions are there, as the plan would have them made today."""
        file = self._work_dir / paths.predictions(target.model, target.dataset)
        if self._fresh or not file.is_file():
            return False
        name, plan = paths.parse_dataset(target.dataset), self._plan
        samples = self._samples(name.base)
        if samples.is_file() and samples.stat().st_mtime_ns > file.stat().st_mtime_ns:
            return False
        if not is_settled(self._journal(target), target.dataset):
            return False
        entry, model = plan.registry.datasets[name.base], plan.registry.models[target.model]
        here = benchmark_settings(model, name.base, entry)
        about = metadata(file)
        made_with, wanted = about.get("settings") or {}, self._settings(target.model)
        return (
            about.get("prompt") == _as_json(prompt_spec(entry, here) | roundtrip_spec(plan.config.image_roundtrip))
            and about.get("generation", {}).get("max_new_tokens") == here.max_new_tokens
            and all(made_with.get(key) == value for key, value in wanted.items() if key != "dtype")
        )

    def to_infer(self, target: Target) -> Size:
        """Return how many samples a model is still to be asked about.

        Which earlier answers count is told by their keys, which take every prompt; here their indices are counted. If
        there is a predictions file that is no longer right, none may count.
        """
        rows = self.rows(target.dataset)
        answered = set() if self._fresh else self._answered(target)
        if not answered or rows.and_unknown:
            return rows
        left = Size(max(0, rows.number - len(answered)), "about")
        stale = (self._work_dir / paths.predictions(target.model, target.dataset)).is_file()
        return Size(rows.number, "at most") if stale else left

    def _answered(self, target: Target) -> set[str]:
        """Return the indices of the rows to which the model's journal has an answer."""
        journal, name = self._journal(target), paths.parse_dataset(target.dataset)
        epoch = epoch_of(journal, target.dataset)
        found = {
            item.index
            for item in all_predictions(journal)
            if item.epoch >= epoch and item.repeat == 0 and item.status != "model_error"
        }
        samples = self._samples(name.base)
        if found and name.limit is not None and self._decoded_rows(name.base) is not None:
            found &= set(pq.read_table(samples, columns=["index"]).slice(0, name.limit).column(0).to_pylist())
        return found

    def _journal(self, target: Target) -> Path:
        return self._work_dir / paths.journal(target.model, paths.parse_dataset(target.dataset).base)

    def inference(self, target: Target, infer: Size) -> Bill | None:
        """Return what a model behind an endpoint is asked; None for a model that runs here."""
        model = self._plan.registry.models[target.model]
        if not isinstance(model, EndpointEntry):
            return None
        base = paths.parse_dataset(target.dataset).base
        entry = self._plan.registry.datasets[base]
        here = benchmark_settings(model, base, entry)
        mean = self._mean(paths.journal(target.model, base))
        prompt = mean.prompt if mean else question_tokens(self._first_rows(base), entry, here.frames)
        if prompt is None and (elsewhere := self._mean(paths.journal(target.model, "*"))):
            prompt = elsewhere.prompt
        return _bill(target.model, infer, times(infer, _about(prompt)), mean, here.max_new_tokens, _price(model.price))

    def judging(self, target: Target, finished: bool, left: int) -> tuple[Bill, int]:
        """Return what a judge is asked, and how many answers were read to tell it, at most ``left``."""
        plan, share = self._plan, self._plan.config.self_agreement
        base = paths.parse_dataset(target.dataset).base
        entry, judge = plan.registry.datasets[base], plan.judge_entry(target.judge, self._work_dir)
        judging = judging_of(entry.metric or "") or ""
        spec = ScoringSpec(target.dataset, entry.task, entry.metric or "", plan.config.protocol, target.judge, judging)
        answers = Answers(target.model, target.judge, judge, spec, self._work_dir, self._samples(base))
        rows, prompts, rows_read = self.rows(target.dataset), None, 0
        calls = Size(math.ceil(rows.number * (1 + share)), "at most", rows.and_unknown)
        if finished and answers.are_judged(share, plan.config.max_failures):
            calls = NOTHING
        elif finished and left > 0 and answers.samples.is_file() and (count := answers.rows()) <= left:
            try:
                asked = answers.asked(share)
                calls, prompts, rows_read = asked.calls, asked.prompt_tokens, count
            except (VlmakeError, OSError):  # the run itself will say what is wrong with them
                pass
        mean = self._mean(paths.judge_journal("*", base, target.judge))
        mean = mean or self._mean(paths.judge_journal("*", "*", target.judge))
        if prompts is None:
            prompts = times(calls, _about(mean.prompt if mean else self._typical(judging, base)))
        return _bill(target.judge, calls, prompts, mean, judge.max_new_tokens, _price(judge.price)), rows_read

    def _typical_prompt(self, judging: str, base: str) -> float | None:
        return typical_prompt_tokens(load_judging(judging), self._first_rows(base))


def _bill(payee: str, calls: Size, prompts: Size, mean: Mean | None, longest: int, price: Price | None) -> Bill:
    each = Size(mean.completion, "about") if mean else Size(longest, "at most")
    return Bill(payee, calls, prompts, times(calls, each), price)


def _about(number: float | None) -> Size:
    return UNKNOWN if number is None else Size(number, "about")


def _price(price: PriceEntry | None) -> Price | None:
    return None if price is None else Price(price.input, price.output)


def _as_json(value: Any) -> Any:
    """Return a value as it comes back from a file."""
    return json.loads(json.dumps(value))
