"""A sample becomes messages: a frame around its question, and a place for its images.

Messages are a list of parts, in the order the model gets them: ``{"type": "image", "image": digest}`` or
``{"type": "text", "text": ...}``. Wording and order follow VLMEvalKit, so that predictions stay comparable.

A frame is a text with places in braces: ``{question}``, ``{options}`` (the ``option`` line of each), ``{choices}``
(the block around the options, empty where a sample has none), ``{hint_line}`` ("Hint: " and the hint, a line break
after it), ``{hint}`` (without the word), ``{images}`` (else the images come first), ``{break}`` (a new text part
starts) and ``{letter}``, ``{text}`` in an option's line. The name of a piece is the place of the text that the row's
columns choose. Any other place is the column of that name, and stays as it is written where there is no such column;
``{{name}}`` is written as ``{name}`` in any case.
"""

import ast
import re
import string
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Literal, TypedDict

from vlmake.errors import VlmakeError
from vlmake.registry.tasks import Task

Sample = Mapping[str, Any]
Part = dict[str, str]
ImageOrder = Literal["first", "last", "none", "numbered", "in_order", "only_at_marks"]
TextParts = Literal["as_written", "not_blank", "stripped"]

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

_PLACE = re.compile(r"\{(\{[^{}\n]{1,60}\})\}|\{([^{}\n]{1,60})\}")
_MADE_PLACES = {"images", "break", "choices", "options", "hint_line"}
_IMAGES, _BREAK = "\0", "\1"  # stand for {images} and {break} while a frame is filled; no cell of a TSV holds them
_MARKS = {"numbered": "<image {number}>", "in_order": "<image>", "only_at_marks": "<image>"}
_NUMBERS = {r"\{number\}": 1, r"\{number0\}": 0}  # a mark's number as ``re.escape`` writes it: what it counts from


class Piece(TypedDict):
    """A text that a column chooses: that of the first case whose pattern (``*`` is any text) the cell fits.

    ``otherwise`` is for a cell that fits none, ``absent`` for an empty cell or no such column. A row for which there
    is no text is an error. A cell with several values (``separator`` between them) has one text for each, with ``join``
    between them.
    """

    by: str
    cases: Sequence[tuple[str, str]]
    otherwise: str | None
    absent: str | None
    separator: str | None
    join: str


class Items(TypedDict):
    """Texts that lie in one cell: as a list, or found by a regular expression with one group."""

    column: str
    pattern: str | None


class Inserts(TypedDict):
    """What stands in the question for parts of another cell: ``mark`` with the number of the part."""

    column: str
    separator: str
    mark: str


@dataclass(frozen=True, slots=True)
class Template:
    """How a benchmark asks: everything about its prompts that is no sample's.

    Attributes:
        task: Whose frame holds where ``frame`` is None, and which of a model's own frames.
        frame: The text around the question.
        choices: The block around the options; left out where a sample has none.
        option: One option's line.
        image_order: Where images go if the frame does not say: before or behind the text, nowhere, at ``<image 1>``
            (``numbered``) or one after the other at ``<image>`` (``in_order``); without such marks they come first.
            ``only_at_marks`` is ``in_order`` for which there are no other images, and no marks without one.
        question: What is asked where the benchmark has no column ``question``.
        pieces: Texts that a row's columns choose, by the place in frames where they go.
        options_from: The column that lists the options, where they are not in columns of their own.
        image_mark: What marks an image's place instead; ``{number}`` counts from 1, ``{number0}`` from 0.
        text_parts: What becomes of the texts between images: none is dropped but the empty, or the blank ones too, or
            white space is cut off at their ends.
        replace: Texts that are put in other texts' place, one after the other, in the whole prompt.
        inserts: Parts of another cell that go into the question.
        image_optional: Whether rows without an image are asked, as text alone.
    """

    task: Task
    frame: str | None = None
    choices: str = CHOICES
    option: str = OPTION
    image_order: ImageOrder | Piece = "first"
    question: str | None = None
    pieces: Mapping[str, Piece] = field(default_factory=dict)
    options_from: Items | None = None
    image_mark: str | None = None
    text_parts: TextParts = "as_written"
    replace: Sequence[tuple[str, str]] = ()
    inserts: Inserts | None = None
    image_optional: bool = False

    def columns(self) -> set[str]:
        """Return the columns that a prompt may show or depend on, apart from options in columns of their own."""
        texts = [_own_frame(self), self.choices, *(text for piece in self.pieces.values() for text in _texts_of(piece))]
        named = {name for text in texts for name in places(text)}
        choosing = {piece["by"] for piece in _choosers(self)}
        listing = {cell["column"] for cell in (self.options_from, self.inserts) if cell is not None}
        return ({"question", "hint", *named} - _MADE_PLACES - set(self.pieces)) | choosing | listing


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


def places(text: str) -> list[str]:
    """Return the names of the places in a frame."""
    return [name for _, name in _PLACE.findall(text) if name]


def options_of(sample: Sample) -> dict[str, str]:
    """Return the sample's options by letter: the columns A to Z that are there and not empty."""
    return {letter: sample[letter] for letter in OPTION_LETTERS if sample.get(letter) is not None}


def check_columns(columns: Collection[str], template: Template) -> None:
    """Raise VlmakeError when a benchmark lacks a column that its prompts need."""
    needed = {piece["by"] for piece in _choosers(template) if piece["absent"] is None}
    if template.options_from is not None:
        needed.add(template.options_from["column"])
    if template.question is None and "question" in places(_own_frame(template)):
        needed.add("question")
    for name in sorted(needed - set(columns)):
        raise VlmakeError(f"the benchmark has no column '{name}'; its columns are {', '.join(columns)}")


def render(template: Template, sample: Sample, images: Sequence[str], frames: Frames = _NO_FRAMES) -> list[Part]:
    """Return the messages of one sample; ``images`` are the digests of its images, in order.

    Raises:
        VlmakeError: A cell fits no case of a piece, or does not list the options.
    """
    text = _text(template, sample, frames)
    order = template.image_order
    if not isinstance(order, str):
        order = _chosen(order, sample)  # type: ignore[assignment]  # entries allow nothing else
    if order == "none":
        return _texts(text.replace(_IMAGES, ""))
    if _IMAGES in text:
        before, _, behind = text.partition(_IMAGES)
        return [*_texts(before, template.text_parts), *map(_image, images), *_texts(behind, template.text_parts)]
    if order in _MARKS:
        mark = _mark(template.image_mark or _MARKS[order])
        parts = list(_interleaved(text, images, mark, order == "only_at_marks", template.text_parts))
        if order == "only_at_marks" or any(part["type"] == "image" for part in parts):
            return parts
    last = (frames.image_order or order) == "last"
    return [*_texts(text), *map(_image, images)] if last else [*map(_image, images), *_texts(text)]


def question_text(template: Template, sample: Sample, frames: Frames = _NO_FRAMES) -> str:
    """Return the whole text of a prompt, marks of images as they are written; VlmakeError as ``render`` says."""
    return _text(template, sample, frames).replace(_IMAGES, "").replace(_BREAK, "")


def _text(template: Template, sample: Sample, frames: Frames) -> str:
    frame, choices, option = _own_frame(template), template.choices, template.option
    options = _options(template, sample)
    if template.task == "multiple_choice" and frames.choice is not None:
        frame, choices, option = frames.choice, "{options}", "\n{letter}. {text}"
        if frames.choice_chinese is not None and _holds_chinese(sample, options.values()):
            frame = frames.choice_chinese
    elif template.task != "multiple_choice" and frames.question is not None:
        frame = frames.question
    frame, choices = (_with_pieces(text, template.pieces, sample) for text in (frame, choices))
    lines = "".join(_fill(option, {"letter": letter, "text": text}) for letter, text in options.items())
    question = sample.get("question", template.question)
    hint = sample.get("hint")
    values = {
        **{name: value for name, value in sample.items() if value is None or isinstance(value, str)},
        "question": question if template.inserts is None else _with_inserts(question or "", template.inserts, sample),
        "hint": f"{hint}\n" if hint is not None else "",
        "hint_line": f"Hint: {hint}\n" if hint is not None else "",
        "options": lines,
        "choices": _fill(choices, {**sample, "options": lines}) if options else "",
        "images": _IMAGES,
        "break": _BREAK,
    }
    text = _fill(frame, values)
    for old, new in template.replace:
        text = text.replace(old, new)
    return text + frames.suffix


def _own_frame(template: Template) -> str:
    return FRAMES[template.task] if template.frame is None else template.frame


def _choosers(template: Template) -> list[Piece]:
    order = template.image_order
    return [*template.pieces.values(), *([] if isinstance(order, str) else [order])]


def _texts_of(piece: Piece) -> list[str]:
    texts = [*(text for _, text in piece["cases"]), piece["otherwise"], piece["absent"]]
    return [text for text in texts if text is not None]


def _with_pieces(frame: str, pieces: Mapping[str, Piece], sample: Sample) -> str:
    """Return the frame with the pieces' texts at their places; the other places stay."""

    def text(place: re.Match[str]) -> str:
        name = place[2]
        return _with_pieces(_chosen(pieces[name], sample), pieces, sample) if name in pieces else place[0]

    return _PLACE.sub(text, frame) if pieces else frame


def _chosen(piece: Piece, sample: Sample) -> str:
    """Return the text for a row, or raise VlmakeError where there is none."""
    cell = sample.get(piece["by"])
    if cell is None and piece["absent"] is not None:
        return piece["absent"]
    values = [cell] if cell is None or piece["separator"] is None else cell.split(piece["separator"])
    texts = [_text_for(piece, value) for value in values]
    if None in texts:
        found = "empty" if cell is None else repr(cell[:80])
        known = ", ".join(pattern for pattern, _ in piece["cases"])
        raise VlmakeError(
            f"row {sample.get('index')}: its '{piece['by']}' is {found}, and the prompt is known for {known} only"
        )
    return piece["join"].join(text for text in texts if text is not None)


def _text_for(piece: Piece, value: str | None) -> str | None:
    """Return the text of the first case that a value fits, else the one for any other."""
    fitting = (text for pattern, text in piece["cases"] if value is not None and fnmatchcase(value, pattern))
    return next(fitting, piece["otherwise"])


def _options(template: Template, sample: Sample) -> dict[str, str]:
    """Return the options by letter, from their columns or from the one that lists them."""
    if template.options_from is None:
        return options_of(sample)
    column, pattern = template.options_from["column"], template.options_from["pattern"]
    cell = sample.get(column)
    if cell is None:
        return {}
    items = _items(cell) if pattern is None else re.findall(pattern, cell)
    if items is None:
        raise VlmakeError(f"row {sample.get('index')}: its '{column}' lists no options: {cell[:80]!r}")
    return dict(zip(OPTION_LETTERS, items, strict=False))


def _items(cell: str) -> list[str] | None:
    """Return the items of a list as Python or JSON writes it, as text."""
    try:
        items = ast.literal_eval(cell.strip())  # literals only: nothing is run
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return [str(item) for item in items] if isinstance(items, list | tuple) else None


def _with_inserts(question: str, inserts: Inserts, sample: Sample) -> str:
    """Return the question with the other cell's parts at their marks; a mark without a part stays."""
    cell = sample.get(inserts["column"])
    if cell is None:
        return question
    parts = cell.split(inserts["separator"])
    pattern, first = _mark(inserts["mark"])

    def part(mark: re.Match[str]) -> str:
        number = int(mark[1]) - (first or 0)
        return parts[number] if 0 <= number < len(parts) else mark[0]

    return pattern.sub(part, question)


def _fill(frame: str, values: Mapping[str, Any]) -> str:
    """Return the frame with its places filled, in one pass: braces in what is filled in are text."""

    def value(place: re.Match[str]) -> str:
        if place[1]:
            return place[1]
        found = values.get(place[2], place[0])
        return "" if found is None else str(found)

    return _PLACE.sub(value, frame)


def _holds_chinese(sample: Sample, options: Collection[str]) -> bool:
    texts = [sample.get("question"), sample.get("hint"), *options]
    return any("\u4e00" <= letter <= "\u9fff" for text in texts if text for letter in text)


@lru_cache
def _mark(mark: str) -> tuple[re.Pattern[str], int | None]:
    """Return what finds a mark, and what its number (group 1) counts from, if it has one."""
    pattern = re.escape(mark)
    for place, first in _NUMBERS.items():
        if place in pattern:
            return re.compile(pattern.replace(place, r"(\d+)")), first
    return re.compile(pattern), None


def _interleaved(
    text: str, images: Sequence[str], mark: tuple[re.Pattern[str], int | None], drops_marks: bool, kept: TextParts
) -> Iterator[Part]:
    """Yield the text cut at its marks, each image at its own; a mark without an image stays text, or is dropped."""
    pattern, first = mark
    last = 0
    for count, found in enumerate(pattern.finditer(text)):
        number = count if first is None else int(found[1]) - first
        there = 0 <= number < len(images)
        if there or drops_marks:
            yield from _texts(text[last : found.start()], kept)
            yield from [_image(images[number])] if there else []
            last = found.end()
    yield from _texts(text[last:], kept)


def _texts(text: str, kept: TextParts = "as_written") -> list[Part]:
    """Return the text as parts, one between any two breaks; or nothing for no text."""
    texts = text.split(_BREAK)
    if kept == "stripped":
        texts = [part.strip() for part in texts]
    return [{"type": "text", "text": part} for part in texts if (part.strip() if kept == "not_blank" else part)]


def _image(digest: str) -> Part:
    return {"type": "image", "image": digest}
