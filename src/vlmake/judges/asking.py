"""One sample before a judge, from the first question to a verdict: a function of the replies in the journal alone.

A reply that is no verdict is asked again, with a reminder behind the prompt. Every request is a prediction of the
judge's with a key of its own, so a run that was killed goes on where it was, and another judge has other keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from vlmake.inference.journal import Prediction
from vlmake.inference.shard import Asking, Question, make_question
from vlmake.judges.base import Judging

ASKS = 5
"""Most requests about one sample that bring a reply which is no verdict."""

JudgementStatus = Literal["found", "unresolved", "judge_error"]


@dataclass(frozen=True, slots=True)
class Case:
    """One sample before the judge; ``row`` is what ``judging.prompts`` saw of it."""

    index: str
    prompt: str
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a case.

    ``status`` is found (there is a verdict), unresolved (the replies were none) or judge_error (the last request
    failed). ``prompt`` and ``reply`` are the last ones; tokens and seconds are those of all requests together.
    """

    index: str
    key: str
    verdict: str | None
    status: JudgementStatus
    rule: str
    prompt: str
    reply: str | None
    asks: int
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    error: str | None


class Standing(NamedTuple):
    """How a case stands: the next question about it, if one is left to ask, and what it comes to as things are."""

    next: Question | None
    judgement: Judgement | None


def question(case: Case, again: int, judging: Judging, asking: Asking) -> Question:
    """Return what is asked about a case after ``again`` replies that were no verdict."""
    text = "\n\n".join([case.prompt, *[judging.reminder(case.row)] * again])
    return make_question(asking, case.index, [{"type": "text", "text": text}], None)


def standing(
    case: Case, judging: Judging, asking: Asking, answers: Mapping[str, Prediction], failed: frozenset[str]
) -> Standing:
    """Return how a case stands.

    Args:
        case: The sample.
        judging: How it is asked, and who reads the replies.
        asking: The judge and its settings.
        answers: The journal's predictions by key.
        failed: Keys that failed in this run: they are not asked again.
    """
    replies: list[Prediction] = []
    for again in range(ASKS):
        asked = question(case, again, judging, asking)
        answer = answers.get(asked.key)
        if answer is None:
            return Standing(None if asked.key in failed else asked, None)
        replies.append(answer)
        if answer.status == "model_error":
            judgement = _judgement(asked, replies, None, "judge_error", "judge_error")
            return Standing(None if asked.key in failed else asked, judgement)
        if answer.status == "refused":
            return Standing(None, _judgement(asked, replies, None, "unresolved", "judge_refused"))
        if answer.status == "ok" and answer.prediction is not None:
            verdict = judging.read(answer.prediction, case.row)
            if verdict is not None:
                return Standing(None, _judgement(asked, replies, verdict, "found", "judge"))
    return Standing(None, _judgement(asked, replies, None, "unresolved", "judge_unreadable"))


def _judgement(
    question: Question, replies: Sequence[Prediction], verdict: str | None, status: JudgementStatus, rule: str
) -> Judgement:
    last = replies[-1]
    return Judgement(
        index=question.index,
        key=question.key,
        verdict=verdict,
        status=status,
        rule=rule,
        prompt=question.messages[0]["text"],
        reply=last.prediction,
        asks=len(replies),
        prompt_tokens=_total([_with(reply.prompt_tokens, reply.earlier_prompt_tokens) for reply in replies]),
        completion_tokens=_total(
            [_with(reply.completion_tokens, reply.earlier_completion_tokens) for reply in replies]
        ),
        seconds=sum(reply.seconds for reply in replies),
        error=last.error,
    )


def _with(tokens: int | None, earlier: int) -> int | None:
    """Return a reply's tokens with those of the empty ones before it."""
    return tokens if not earlier else (tokens or 0) + earlier


def _total(counts: Sequence[int | None]) -> int | None:
    """Return the sum of the known counts; None where none is known."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
