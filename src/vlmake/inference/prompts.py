"""A sample becomes messages: a frame around its question, and a place for its images.

Messages are a list of parts, in the order the model gets them: ``{"type": "image", "image": digest}`` or
``{"type": "text", "text": ...}``. Wording and order follow VLMEvalKit, so that predictions stay comparable.

A frame is a text with places in braces: ``{question}``, ``{options}`` (the ``option`` line of each), ``{choices}``
(the block around the options, empty where a sample has none), ``{hint_line}`` ("Hint: " and the hint, a line break
after it), ``{hint}`` (without the word), ``{images}`` (else the images come first) and ``{letter}``, ``{text}`` in an
option's line. Any other place is the column of that name, and stays as it is written where there is no such column.
"""

import re
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vlmake.errors import VlmakeError
from vlmake.registry.tasks import Task

Sample = Mapping[str, Any]
Part = dict[str, str]
ImageOrder = Literal["first", "last", "numbered", "in_order"]

OPTION_LETTERS = string.ascii_uppercase

FRAMES: Mapping[Task, str] = {
    "yes_no": "{question}",
    "multiple_choice": "{hint_line}Question: {question}\n{choices}",
    "vqa": "{question}",
    "caption": "{question}",
}
"""Each task's frame where a benchmark names none."""

CHOICES = "Options:\n{options}Please select the correct answer from the options above. \n"
OPTION = "{letter}. {text}\n"

_PLACE = re.compile(r"\{([^{}\n]{1,60})\}")
_NUMBERED_IMAGE = re.compile(r"<image (\d)>")
_NEXT_IMAGE = re.compile(r"<image>")
_IMAGES = "\0"  # stands for {images} while a frame is filled; no cell of a TSV holds it


@dataclass(frozen=True, slots=True)
class Template:
    """How a benchmark asks: everything about its prompts that is no sample's.

    Attributes:
        task: Whose frame holds where ``frame`` is None, and which of a model's own frames.
        frame: The text around the question.
        choices: The block around the options; left out where a sample has none.
        option: One option's line.
        image_order: Where images go if the frame does not say: before or behind the text, at ``<image 1>``
            (``numbered``) or one after the other at ``<image>`` (``in_order``). Without such marks they come first.
        question: What is asked where the benchmark has no column ``question``.
    """

    task: Task
    frame: str | None = None
    choices: str = CHOICES
    option: str = OPTION
    image_order: ImageOrder = "first"
    question: str | None = None

    def columns(self) -> set[str]:
        """Return the columns that a prompt may show, apart from the options."""
        named = _PLACE.findall(self.frame or FRAMES[self.task]) + _PLACE.findall(self.choices)
        return {"question", "hint", *named} - {"images", "choices", "options", "hint_line"}


@dataclass(frozen=True, slots=True)
class Frames:
    """A model's own way to ask; None keeps the benchmark's.

    ``choice`` frames multiple choice, its ``{options}`` with a line break before each; ``choice_chinese`` takes its
    place where the sample holds Chinese. ``suffix`` is put behind whatever was made. ``image_order`` moves images that
    stand before or behind the text, never those inside it.
    """

    question: str | None = None
    choice: str | None = None
    choice_chinese: str | None = None
    suffix: str = ""
    image_order: Literal["first", "last"] | None = None


_NO_FRAMES = Frames()


def options_of(sample: Sample) -> dict[str, str]:
    """Return the sample's options by letter: the columns A to Z that are there and not empty."""
    return {letter: sample[letter] for letter in OPTION_LETTERS if sample.get(letter) is not None}


def check_columns(columns: Collection[str], template: Template) -> None:
    """Raise VlmakeError when a benchmark lacks the column that its prompts need."""
    if "question" not in columns and template.question is None and "{question}" in _own_frame(template):
        raise VlmakeError(f"the benchmark has no column 'question'; its columns are {', '.join(columns)}")


def render(template: Template, sample: Sample, images: Sequence[str], frames: Frames = _NO_FRAMES) -> list[Part]:
    """Return the messages of one sample; ``images`` are the digests of its images, in order."""
    text = _text(template, sample, frames)
    if _IMAGES in text:
        before, _, behind = text.partition(_IMAGES)
        return [*_texts(before), *map(_image, images), *_texts(behind)]
    if template.image_order in ("numbered", "in_order"):
        parts = _interleaved(text, images, template.image_order)
        if any(part["type"] == "image" for part in parts):
            return parts
    order = frames.image_order or template.image_order
    return [*_texts(text), *map(_image, images)] if order == "last" else [*map(_image, images), *_texts(text)]


def question_text(template: Template, sample: Sample, frames: Frames = _NO_FRAMES) -> str:
    """Return the whole text of a prompt, marks of images as they are written."""
    return _text(template, sample, frames).replace(_IMAGES, "")


def _text(template: Template, sample: Sample, frames: Frames) -> str:
    frame, choices, option = _own_frame(template), template.choices, template.option
    if template.task == "multiple_choice" and frames.choice is not None:
        frame, choices, option = frames.choice, "{options}", "\n{letter}. {text}"
        if frames.choice_chinese is not None and _holds_chinese(sample):
            frame = frames.choice_chinese
    elif template.task != "multiple_choice" and frames.question is not None:
        frame = frames.question
    options = options_of(sample)
    lines = "".join(_fill(option, {"letter": letter, "text": text}) for letter, text in options.items())
    hint = sample.get("hint")
    values = {
        **{name: value for name, value in sample.items() if value is None or isinstance(value, str)},
        "question": sample.get("question", template.question),
        "hint": f"{hint}\n" if hint is not None else "",
        "hint_line": f"Hint: {hint}\n" if hint is not None else "",
        "options": lines,
        "choices": _fill(choices, {**sample, "options": lines}) if options else "",
        "images": _IMAGES,
    }
    return _fill(frame, values) + frames.suffix


def _own_frame(template: Template) -> str:
    return FRAMES[template.task] if template.frame is None else template.frame


def _fill(frame: str, values: Mapping[str, Any]) -> str:
    """Return the frame with its places filled, in one pass: braces in what is filled in are text."""

    def value(place: re.Match[str]) -> str:
        found = values.get(place[1], place[0])
        return "" if found is None else str(found)

    return _PLACE.sub(value, frame)


def _holds_chinese(sample: Sample) -> bool:
    texts = [sample.get("question"), sample.get("hint"), *options_of(sample).values()]
    return any("\u4e00" <= letter <= "\u9fff" for text in texts if text for letter in text)


def _interleaved(text: str, images: Sequence[str], order: ImageOrder) -> list[Part]:
    """Return the text cut at its marks, each image at its own; a mark without an image stays text."""
    parts: list[Part] = []
    last = 0
    pattern = _NUMBERED_IMAGE if order == "numbered" else _NEXT_IMAGE
    for count, mark in enumerate(pattern.finditer(text)):
        number = int(mark[1]) - 1 if order == "numbered" else count
        if 0 <= number < len(images):
            parts += [*_texts(text[last : mark.start()]), _image(images[number])]
            last = mark.end()
    return [*parts, *_texts(text[last:])]


def _texts(text: str) -> list[Part]:
    """Return the text as a part, or nothing for no text."""
    return [{"type": "text", "text": text}] if text else []


def _image(digest: str) -> Part:
    return {"type": "image", "image": digest}
