"""A sample becomes messages: one function per task family.

Messages are a list of parts, in the order the model gets them: ``{"type": "image", "image": digest}`` or
``{"type": "text", "text": ...}``. Wording and order follow VLMEvalKit, so that predictions stay comparable.
"""

import re
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vlmake.errors import VlmakeError

Task = Literal["yes_no", "multiple_choice", "vqa"]
Sample = Mapping[str, Any]
Part = dict[str, str]

OPTION_LETTERS = string.ascii_uppercase


def options_of(sample: Sample) -> dict[str, str]:
    """Return the sample's options by letter: the columns A to Z that are there and not empty."""
    return {letter: sample[letter] for letter in OPTION_LETTERS if sample.get(letter) is not None}


@dataclass(frozen=True, slots=True)
class Frames:
    """A model's own frames around a question; None keeps the benchmark's.

    ``choice`` frames multiple choice and names ``{question}``, ``{options}`` (a line break before each) and ``{hint}``
    or ``{hint_line}``, which begins with "Hint: " (a line break after it, nothing where a sample has no hint).
    ``choice_chinese`` takes its place where the sample holds Chinese.
    """

    question: str | None = None
    choice: str | None = None
    choice_chinese: str | None = None


def multiple_choice_text(question: str, options: Mapping[str, str], hint: str | None = None) -> str:
    """Return VLMEvalKit's multiple-choice prompt (``ImageMCQDataset.build_prompt``), trailing blank included."""
    hint_line = f"Hint: {hint}\n" if hint is not None else ""
    asked = f"{hint_line}Question: {question}\n"
    if not options:
        return asked
    option_lines = "".join(f"{letter}. {text}\n" for letter, text in options.items())
    return f"{asked}Options:\n{option_lines}Please select the correct answer from the options above. \n"


def framed_choice_text(question: str, options: Mapping[str, str], hint: str | None, frames: Frames) -> str:
    """Return a multiple-choice prompt in a model's own frame."""
    parts = {
        "{hint}": f"{hint}\n" if hint is not None else "",
        "{hint_line}": f"Hint: {hint}\n" if hint is not None else "",
        "{question}": question,
        "{options}": "".join(f"\n{letter}. {text}" for letter, text in options.items()),
    }
    chinese = any("\u4e00" <= letter <= "\u9fff" for text in parts.values() for letter in text)
    frame = (frames.choice_chinese if chinese else None) or frames.choice or ""
    return _PLACE.sub(lambda match: parts[match[0]], frame)


_PLACE = re.compile(r"\{(?:hint|hint_line|question|options)\}")
_NO_FRAMES = Frames()


def question_text(task: Task, sample: Sample, template: str, frames: Frames = _NO_FRAMES) -> str:
    """Return the text part of a prompt.

    ``template`` is the benchmark's own frame around the question (``"{question}"`` where it has none), ``frames`` the
    model's; without one the multiple-choice layout is the same for every benchmark of that family.
    """
    question = sample["question"] or ""
    if task == "multiple_choice":
        if frames.choice is not None:
            return framed_choice_text(question, options_of(sample), sample.get("hint"), frames)
        return multiple_choice_text(question, options_of(sample), sample.get("hint"))
    return (frames.question or template).replace("{question}", question)


def check_columns(columns: Collection[str]) -> None:
    """Raise VlmakeError when a benchmark lacks the column that every prompt needs."""
    if "question" not in columns:
        raise VlmakeError(f"the benchmark has no column 'question'; its columns are {', '.join(columns)}")


def render(task: Task, sample: Sample, images: Sequence[str], template: str, frames: Frames = _NO_FRAMES) -> list[Part]:
    """Return the messages of one sample: its images (digests) first, then the text."""
    parts: list[Part] = [{"type": "image", "image": digest} for digest in images]
    return [*parts, {"type": "text", "text": question_text(task, sample, template, frames)}]
