"""Cases → judgements: what the journal knows already is not asked again, the rest goes to the judge at once."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.errors import VlmakeError, counted
from vlmake.inference.answering import askable
from vlmake.inference.journal import JournalWriter, read_journal
from vlmake.inference.shard import Asking, Question
from vlmake.inference.streaming import answer_streaming
from vlmake.judges.asking import ASKS, Case, Judgement, standing
from vlmake.judges.base import Judging
from vlmake.judges.judge_spec import JudgeSpec
from vlmake.judges.opening import OpenJudge
from vlmake.runs.progress import progress

_SHARE_STEPS = 1 << 32
_FIRST_FEW = 8  # samples that are asked about before it is known that the judge gives verdicts
_SHOWN = 120


@dataclass(frozen=True)
class _Course:
    """Where replies are kept, the judge (opened when it is needed), and who is told of progress."""

    journal: Path
    opened: Callable[[], OpenJudge]
    advance: Callable[[int], None]


def cases_of(open_rows: pd.DataFrame, judging: Judging) -> list[Case]:
    """Return the rows that a judge can tell something about, ready to be asked."""
    prompts = judging.prompts(open_rows)
    rows = open_rows.astype(object).where(open_rows.notna(), None).to_dict("records")
    return [
        Case(str(row["index"]), prompt, {str(name): cell for name, cell in row.items()})
        for row, prompt in zip(rows, prompts, strict=True)
        if prompt is not None
    ]


def decide(
    cases: Sequence[Case],
    twice: Sequence[Case],
    judging: Judging,
    judge: JudgeSpec,
    journal: Path,
    opened: Callable[[], OpenJudge],
    title: str,
) -> tuple[list[Judgement], list[Judgement]]:
    """Return the judgements of all cases, and the second ones of those that are asked about ``twice``.

    Every reply is in the journal the moment it exists. ``opened`` returns the judge, and is called only if something is
    left to ask. Raises VlmakeError where nothing can be asked.
    """
    if not cases:
        return [], []
    asking = judge.asking()
    with progress(title, len(cases) + len(twice), 0) as advance:
        course = _Course(journal, opened, advance)
        found = _ask(cases, judging, asking, course)
        return found, _ask(twice, judging, replace(asking, repeat=1), course)


def _ask(cases: Sequence[Case], judging: Judging, asking: Asking, course: _Course) -> list[Judgement]:
    """Ask until every case has a verdict, is unresolved, or failed in this run.

    Until there is a verdict only a few are asked about. Raises EndpointStoppedError where these end without any.
    """
    standings = _Standings(cases, judging, asking, course.journal)
    course.advance(standings.settled())
    rows = Counter(question.key for question in standings.todo())  # cases with the same prompt are answered at once
    with closing(JournalWriter(course.journal)) as writer:
        while todo := standings.todo():
            if not standings.has_verdict():
                standings.refuse_a_judge_of_nothing()
                todo = todo[:_FIRST_FEW]
            judge = course.opened()
            asked_so = replace(asking, reply_schema=judging.SCHEMA if judge.takes_schemas else None)
            answer_streaming(
                askable(todo),
                judge.backend,
                _NoImages(),
                writer,
                asked_so,
                epoch=0,
                advance=lambda asked: course.advance(sum(rows[question.key] for question in asked)),
            )
            standings.asked(todo)
    return [found for found in standings.judgements() if found is not None]


class _Standings:
    """All cases against the journal as it was last read."""

    def __init__(self, cases: Sequence[Case], judging: Judging, asking: Asking, journal: Path) -> None:
        self._cases, self._judging, self._asking, self._journal = cases, judging, asking, journal
        self._failed: frozenset[str] = frozenset()
        self._answers = read_journal(journal)
        self._look()

    def _look(self) -> None:
        self._now = [standing(case, self._judging, self._asking, self._answers, self._failed) for case in self._cases]

    def todo(self) -> list[Question]:
        """Return the next question about every case that has one."""
        return [one.next for one in self._now if one.next is not None]

    def asked(self, tried: Sequence[Question]) -> None:
        """Read the journal anew after some questions were asked; those without a reply have failed."""
        self._answers = answers = read_journal(self._journal)
        self._failed |= {one.key for one in tried if one.key not in answers or answers[one.key].status == "model_error"}
        self._look()

    def judgements(self) -> list[Judgement | None]:
        """Return what each case comes to as things are."""
        return [one.judgement for one in self._now]

    def has_verdict(self) -> bool:
        """Tell whether the judge gave a verdict on any case."""
        return any(one.judgement is not None and one.judgement.verdict is not None for one in self._now)

    def refuse_a_judge_of_nothing(self) -> None:
        """Raise EndpointStoppedError when so many cases were asked about in vain that the judge is the reason."""
        vain = [one.judgement for one in self._now if one.judgement and one.judgement.status == "unresolved"]
        if len(vain) >= _FIRST_FEW:
            said = " ".join((vain[0].reply or "nothing").split())[:_SHOWN]
            raise EndpointStoppedError(
                f"it gave no verdict on the first {counted(len(vain), 'sample')}, asked {ASKS} times about each;"
                f" the last reply: {said}; name another judge, or mend this one and give it a new `revision`"
            )

    def settled(self) -> int:
        """Return how many cases have nothing left to ask."""
        return sum(one.next is None for one in self._now)


def refuse_errors(judgements: Sequence[Judgement], max_failures: int, where: str) -> None:
    """Raise VlmakeError while more than ``max_failures`` samples are judge errors; all replies stay journaled."""
    failed = [one for one in judgements if one.status == "judge_error"]
    if len(failed) > max_failures:
        raise VlmakeError(
            f"{where}: {len(failed)} of {counted(len(judgements), 'sample')} failed (judge_error), the first at index"
            f" {failed[0].index}: {failed[0].error}; every other verdict is kept: run the same command again to ask"
            f" only these, or accept them with `max_failures: {len(failed)}`"
        )


def is_settled(cases: Sequence[Case], twice: Sequence[Case], judging: Judging, judge: JudgeSpec, journal: Path) -> bool:
    """Tell whether the journal leaves nothing to ask."""
    asking = judge.asking()
    left = [
        _Standings(some, judging, how, journal).todo()
        for some, how in ((cases, asking), (twice, replace(asking, repeat=1)))
    ]
    return not any(left)


def asked_twice(cases: Sequence[Case], share: float) -> list[Case]:
    """Return about that share of the cases, chosen by their prompts alone."""
    return [case for case in cases if _place(case.prompt) < share]


def _place(text: str) -> float:
    """Return a number from 0 to 1 that a text has by its digest."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / _SHARE_STEPS


class _NoImages:
    """What a judge is shown."""

    def bytes(self, image_id: str) -> bytes:
        """Raise: no prompt of a judge names an image."""
        raise KeyError(image_id)
