"""One shard of one (model, dataset): what is asked, what is known already, and what the model still has to answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vlmake.backends.base import Output, Row
from vlmake.data.images import ImageError
from vlmake.endpoints.faults import RejectedError
from vlmake.errors import VlmakeError, counted
from vlmake.inference.journal import Prediction, read_journal, stopped_alone, stopped_device
from vlmake.inference.prompts import Part
from vlmake.inference.statuses import Status
from vlmake.store import canonical_json, text_digest


@dataclass(frozen=True, slots=True)
class Question:
    """One sample ready to be asked. ``image_error`` says why it cannot be asked at all.

    ``row`` is where it comes from, for a model that may build its own prompt.
    """

    index: str
    messages: Sequence[Part]
    image_error: str | None
    key: str
    row: Row | None = None


@dataclass(frozen=True)
class Asking:
    """How questions are asked: everything about it is part of each prediction's key.

    ``pixels`` is the model's pixel budget on this benchmark (keys of ``PixelBudget``). ``looked_up_in`` is the
    benchmark's name for a model that looks its answers up by index, so that equal prompts may have unequal answers.
    ``told`` is that name for a model that is told it, and ``with_rows`` says that such a model gets whole rows too.
    ``reply_schema`` is the JSON schema of a judge's reply; it follows from the prompt and is in no key.
    """

    model_digest: str
    max_new_tokens: int
    pixels: Mapping[str, Any] = field(default_factory=dict)
    repeat: int = 0
    looked_up_in: str | None = None
    told: str | None = None
    with_rows: bool = False
    reply_schema: Mapping[str, Any] | None = None

    def generation(self) -> dict[str, Any]:
        """Return the generation settings; greedy, whatever the checkpoint's own configuration says."""
        return {"max_new_tokens": self.max_new_tokens, "do_sample": False}


def prediction_key(asking: Asking, messages: Sequence[Part]) -> str:
    """Return the content key of one prediction: model, prompt, image digests, generation settings, repeat."""
    content = {
        "model": asking.model_digest,
        "messages": list(messages),
        "generation": asking.generation(),
        "pixels": dict(asking.pixels) if image_count(messages) else {},
        "repeat": asking.repeat,
    }
    return text_digest(canonical_json(content))


def image_count(messages: Sequence[Part]) -> int:
    """Return how many images a prompt shows."""
    return sum(part["type"] == "image" for part in messages)


def make_question(
    asking: Asking,
    index: str,
    messages: Sequence[Part],
    image_error: str | None,
    row: Row | None = None,
) -> Question:
    """Return a question with its key; a sample with a broken image gets a key of its own kind.

    What else a model is told, the benchmark's name and the row, is in the key as well.
    """
    key = prediction_key(asking, messages)
    if asking.looked_up_in is not None:
        key = text_digest(f"{key}:{asking.looked_up_in}:{index}")
    if asking.told is not None:
        own = [dict(row.cells), list(row.images)] if row else None
        key = text_digest(canonical_json([key, asking.told, own]))
    return Question(index, messages, image_error, text_digest(f"{key}:{image_error}") if image_error else key, row)


def accepted_predictions(journal: Path, questions: Sequence[Question], epoch: int) -> dict[str, Prediction]:
    """Return, by key, the journal's predictions that count: of this epoch or a later one."""
    found = read_journal(journal, (question.key for question in questions))
    return {key: item for key, item in found.items() if item.epoch >= epoch}


def unasked(question: Question, asking: Asking, epoch: int) -> Prediction:
    """Return the prediction of a question whose image is known to be broken."""
    return _bad_image(question, question.image_error or "", asking, 0.0, epoch)


def prediction(
    question: Question, result: Output | Exception, asking: Asking, seconds: float, epoch: int
) -> Prediction:
    """Return what the journal keeps of an answer, or of the exception that came in its place."""
    if isinstance(result, ImageError):
        return _bad_image(question, str(result), asking, seconds, epoch)
    blank = _blank(question, asking, seconds, epoch)
    if isinstance(result, RejectedError):
        blank = replace(
            blank,
            earlier_prompt_tokens=result.prompt_tokens,
            earlier_completion_tokens=result.completion_tokens,
        )
    if isinstance(result, Exception):
        return replace(blank, error=" ".join(_well_formed(f"{type(result).__name__}: {result}").split())[:500])
    return replace(
        blank,
        prediction=_well_formed(result.text),
        status=_status(result),
        thinking=_well_formed(result.thinking) if result.thinking is not None else None,
        finish_reason=_well_formed(result.finish_reason) if result.finish_reason is not None else None,
        prompt_tokens=result.prompt_tokens,
        completion_tokens=result.completion_tokens,
        earlier_prompt_tokens=result.earlier_prompt_tokens,
        earlier_completion_tokens=result.earlier_completion_tokens,
    )


def _well_formed(text: str) -> str:
    """Return a text that can be written: half a surrogate pair, which JSON lets pass, becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _status(result: Output) -> Status:
    if result.refused:
        return "refused"
    if result.finish_reason == "length":
        return "truncated"
    return "ok" if result.text.strip() else "empty"


def _bad_image(question: Question, reason: str, asking: Asking, seconds: float, epoch: int) -> Prediction:
    return replace(_blank(question, asking, seconds, epoch), status="bad_image", error=reason)


def _blank(question: Question, asking: Asking, seconds: float, epoch: int) -> Prediction:
    """Return a prediction without an answer, which is a model error until something better is known."""
    return Prediction(
        key=question.key,
        index=question.index,
        repeat=asking.repeat,
        prediction=None,
        thinking=None,
        status="model_error",
        finish_reason=None,
        prompt_tokens=None,
        completion_tokens=None,
        error=None,
        seconds=seconds,
        epoch=epoch,
    )


def unanswered(questions: Sequence[Question], answers: Mapping[str, Prediction]) -> list[Question]:
    """Return the questions that have no answer yet, or only a model error."""
    return [
        question
        for question in questions
        if question.key not in answers or answers[question.key].status == "model_error"
    ]


def suspects(questions: Sequence[Question], answers: Mapping[str, Prediction]) -> list[Question]:
    """Return the questions that a device stopped working at, those that were alone last.

    They are asked one by one after all others, so that one that takes the device down again costs nothing else.
    """
    found = [item for item in questions if item.key in answers and stopped_device(answers[item.key])]
    return sorted(found, key=lambda item: stopped_alone(answers[item.key]))


def refuse_failures(
    questions: Sequence[Question],
    answers: Mapping[str, Prediction],
    max_failures: int,
    where: str,
    *,
    imported: bool = False,
) -> None:
    """Raise VlmakeError while more than ``max_failures`` samples are model errors; their answers stay journaled.

    ``imported`` says that a file gave the answers: to ask it again would give the same.
    """
    failed = [question for question in questions if answers[question.key].status == "model_error"]
    if len(failed) > max_failures:
        whole = "import a file that has them with `vlmake import ... --replace`"
        advice = whole if imported else "run the same command again to ask only these"
        raise VlmakeError(
            f"{where}: {len(failed)} of {counted(len(questions), 'sample')} failed (model_error), the first at index"
            f" {failed[0].index}: {answers[failed[0].key].error}; every other answer is kept: {advice}, or accept them"
            f" with `max_failures: {len(failed)}`"
        )


def prediction_rows(questions: Sequence[Question], answers: Mapping[str, Prediction]) -> list[dict[str, Any]]:
    """Return one row per question, in order. Identical questions share an answer but keep their own index."""
    columns = ("repeat", "key", "prediction", "thinking", "status", "finish_reason")
    counts = ("prompt_tokens", "completion_tokens", "error", "seconds")
    return [
        {"index": question.index} | {name: getattr(answers[question.key], name) for name in (*columns, *counts)}
        for question in questions
    ]
