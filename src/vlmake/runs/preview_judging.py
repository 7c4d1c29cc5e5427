"""What a judge will be asked about one model's answers: exactly where the answers are there, else at most."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from vlmake import paths
from vlmake.inference.journal import Prediction, all_predictions, read_journal
from vlmake.inference.shard import Asking
from vlmake.judges.asking import Case, standing
from vlmake.judges.base import Judging
from vlmake.judges.deciding import asked_twice, cases_of
from vlmake.judges.judge_spec import resolve
from vlmake.judges.registry import load_judging
from vlmake.models.model_spec import answer_settings, declared_identity
from vlmake.registry.judge_entries import Judge, JudgeEndpointEntry
from vlmake.runs.preview_sizes import Size
from vlmake.runs.preview_tokens import text_tokens
from vlmake.scoring.protocols import ScoringSpec, open_rows
from vlmake.scoring.score_inputs import read_predictions, read_samples

_A_RESPONSE = "The picture shows what was asked about, as far as it can be seen from here. " * 3
_MADE_UP_ROW = {
    **dict.fromkeys("ABCD", "some words"),
    "index": "1",
    "question": "What is shown in the picture, and how many of them are there?",
    "answer": "some words",
    "question_type": "free_form",
    "answer_type": "text",
    "caption": "A picture of something. " * 8,
    "gpt4_ans": _A_RESPONSE,
}


@dataclass(frozen=True)
class Asked:
    """Requests to a judge and the tokens of their prompts, None where the prompts are not known."""

    calls: Size
    prompt_tokens: Size | None


@dataclass(frozen=True)
class Answers:
    """One model's finished answers to one benchmark, and the judge that is to read them."""

    model: str
    judge: str
    entry: Judge
    spec: ScoringSpec
    work_dir: Path
    samples: Path

    @property
    def file(self) -> Path:
        """The predictions."""
        return self.work_dir / paths.predictions(self.model, self.spec.dataset)

    @cached_property
    def judging(self) -> Judging:
        """How the judge is asked."""
        return load_judging(self.spec.judging)

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the judge's verdicts say about themselves; nothing where there are none."""
        return metadata(self.work_dir / paths.judgements(self.model, self.spec.dataset, self.judge))

    def are_judged(self, self_agreement: float, max_failures: int) -> bool:
        """Tell whether this judge is known to have nothing left to say of these predictions.

        Of second verdicts a file does not tell which share was asked for: with any, the journal has to be read.
        """
        judged = self.work_dir / paths.judgements(self.model, self.spec.dataset, self.judge)
        if self_agreement or not judged.is_file() or judged.stat().st_mtime_ns < self.file.stat().st_mtime_ns:
            return False
        answered = self.about.get("fallback") is None and self.about.get("judge_error", 0) <= max_failures
        return answered and self._is_asked_alike() and self._is_by_this_judge()

    def _is_asked_alike(self) -> bool:
        """Tell whether the verdicts were asked for in today's words and settings."""
        settings = json.loads(json.dumps(answer_settings(self.entry)))
        return bool(self.about.get("wording") == self.judging.VERSION and self.about.get("settings") == settings)

    def _is_by_this_judge(self) -> bool:
        """Tell whether the verdicts are by the model that the entry names, as far as an entry tells that."""
        identity = str(self.about.get("identity", ""))
        if not isinstance(self.entry, JudgeEndpointEntry):
            return bool(identity)  # its files tell
        if self.entry.served_model:
            return identity == declared_identity(self.entry)
        return identity.endswith(f"@{self.entry.revision}")

    def rows(self) -> int:
        """Return how many answers there are."""
        return int(pq.read_metadata(self.file).num_rows)

    def asked(self, self_agreement: float) -> Asked:
        """Return what is left to ask, by the answers themselves; VlmakeError for files that cannot be read."""
        rows = open_rows(read_samples(self.samples, self.spec.dataset), read_predictions(self.file)[0], self.spec)
        cases = cases_of(rows, self.judging)
        return self._left(cases, asked_twice(cases, self_agreement))

    def _left(self, cases: Sequence[Case], twice: Sequence[Case]) -> Asked:
        journal = self.work_dir / paths.judge_journal(
            self.model, paths.parse_dataset(self.spec.dataset).base, self.judge
        )
        if not isinstance(self.entry, JudgeEndpointEntry) or not self.entry.served_model:
            changed = self.about.get("identity") and not (self._is_asked_alike() and self._is_by_this_judge())
            return _left_by_index(cases, twice, [] if changed else all_predictions(journal))
        asking = resolve(self.judge, self.entry).asking()
        texts = self._questions(cases, asking, journal) | self._questions(twice, replace(asking, repeat=1), journal)
        return Asked(Size(len(texts)), Size(sum(map(text_tokens, texts.values())), "about"))

    def _questions(self, cases: Sequence[Case], asking: Asking, journal: Path) -> dict[str, str]:
        """Return the next question about every case that has one, by key: equal ones are asked once."""
        answers = read_journal(journal)
        found = [standing(case, self.judging, asking, answers, frozenset()).next for case in cases]
        return {one.key: one.messages[0]["text"] for one in found if one is not None}


def _left_by_index(cases: Sequence[Case], twice: Sequence[Case], replies: Iterable[Prediction]) -> Asked:
    """Return what is left to ask of a judge whose keys only its server, or its files, can tell."""
    known = {(item.index, item.repeat) for item in replies if item.status != "model_error"}
    todo = [case for case in cases if (case.index, 0) not in known]
    todo += [case for case in twice if (case.index, 1) not in known]
    return Asked(Size(len(todo), "about"), Size(sum(text_tokens(case.prompt) for case in todo), "about"))


def typical_prompt_tokens(judging: Judging, rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return what the prompts of a kind of judging take on average, for decoded rows, else for a made-up one.

    None where it has nothing to ask about these.
    """
    for shown in (rows, [_MADE_UP_ROW]):
        frame = pd.DataFrame([dict(row) for row in shown]).astype(object)
        if not frame.empty:
            counts = [text_tokens(prompt) for prompt in judging.prompts(frame.assign(raw=_A_RESPONSE)) if prompt]
            if counts:
                return sum(counts) / len(counts)
    return None


def metadata(file: Path) -> dict[str, Any]:
    """Return what a Parquet file says about itself; nothing for a file that does not, or is damaged."""
    try:
        about = json.loads((pq.read_schema(file).metadata or {})[b"vlmake"])
    except (OSError, ValueError, KeyError):
        return {}
    return about if isinstance(about, dict) else {}
