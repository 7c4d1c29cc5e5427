"""Which column of a foreign table becomes which of a benchmark's, and how its options and answers are written.

The names that are looked for are those of the common layouts: VLMEvalKit's TSVs, the lmms-lab collection on the
Hugging Face hub (``question_id``, ``gt_answer``, ``choice_a``, ``image_1`` …) and plain tables.
"""

import json
import math
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from vlmake.data.literals import list_items
from vlmake.errors import VlmakeError, did_you_mean
from vlmake.new_dataset.tables import Row, Table
from vlmake.registry.tasks import Task

NAMES: Mapping[str, tuple[str, ...]] = {
    "index": ("index", "id", "question_id", "questionId", "data_id", "qid"),
    "image": ("image", "images", "img", "image_file", "image_path", "decoded_image"),
    "question": ("question", "query", "prompt", "instruction"),
    "options": ("options", "choices"),
    "answer": ("answer", "gt_answer", "label", "answers", "correct_answer", "target"),
    "hint": ("hint",),
    "category": ("category",),
    "l2-category": ("l2-category", "L2-category", "l2_category"),
}
"""The columns of a benchmark, and how other tables call them, the likeliest first."""

_LETTERS = string.ascii_uppercase
_OPTION = re.compile(r"(?:choice|option)[_ ]?([A-Za-z])")
_NUMBERED = re.compile(r"image[_ ]?([0-9]{1,2})")
_PLAIN_YES_NO = {"yes": "Yes", "no": "No"}
_ZERO_ONE = {"1": "Yes", "0": "No", "true": "Yes", "false": "No"}

_NUMBER = re.compile(r"([0-9]{1,3})(?:\.0)?")  # pandas writes whole numbers beside a hole as 1.0

FirstOption = Literal[0, 1]
"""What number the first option has."""

Answers = Literal["text", "letter", "option text", "number from 0", "number from 1", "yes or no"]
_NUMBERED_FROM: Mapping[FirstOption, Answers] = {0: "number from 0", 1: "number from 1"}


class CellError(ValueError):
    """A cell that cannot be read; its text says why, as an error line ends."""


@dataclass(frozen=True)
class Layout:
    """Where each column of the benchmark comes from.

    Attributes:
        index: Its column; None: rows are counted from 0.
        images: The columns with images, in order.
        question: Its column, if there is one.
        options: The column with all options, if there is one.
        letters: The column of each option, where each has its own.
        answer: Its column, if there is one.
        answers: How the right answers are written.
        others: Further columns, by the name that they get.
    """

    index: str | None
    images: tuple[str, ...]
    question: str | None
    options: str | None
    letters: Mapping[str, str]
    answer: str | None
    answers: Answers
    others: Mapping[str, str]

    def options_of(self, row: Row) -> dict[str, str]:
        """Return the options of a row by letter; CellError for what cannot be read."""
        if self.options is not None:
            return _listed(row.get(self.options))
        texts = {letter: cell_text(row.get(column)) for letter, column in self.letters.items()}
        return {letter: text for letter, text in texts.items() if text is not None and text.strip()}

    def answer_of(self, row: Row, options: Mapping[str, str]) -> str | None:
        """Return the right answer of a row: a letter where there are options, else a text or a list of texts."""
        value = _single(row.get(self.answer)) if self.answer is not None else None
        text = cell_text(value)
        if text is None or not options:
            return _yes_no(text) if self.answers == "yes or no" and text is not None else _answer_text(value)
        for first, answers in _NUMBERED_FROM.items():
            if self.answers == answers:
                return _letter_at(text, options, first)
        if self.answers == "option text":
            return _letter_of(text, options)
        return text.strip().strip("().") if len(text.strip()) <= 4 else text

    def column_of(self, target: str) -> str:
        """Return the table's column, or columns, that a column of the benchmark comes from."""
        if target == "image":
            return " … ".join(dict.fromkeys((self.images[0], self.images[-1])))
        if target in _LETTERS and self.options is not None:
            return self.options
        own = {"index": self.index, "question": self.question, "answer": self.answer, **self.letters, **self.others}
        return own.get(target) or target


def find_layout(
    table: Table, columns: Mapping[str, str], task: Task | None, first_option: FirstOption | None = None
) -> Layout:
    """Return where everything comes from, looking through the table once for what the names do not say.

    Args:
        table: The table.
        columns: Column of the benchmark → column of the table, as far as somebody said so.
        task: What is asked, if that is known.
        first_option: What number the first option has, where answers are numbers of options; None: told from them.

    Raises:
        VlmakeError: A column that is said to be there and is not; answers that may be numbers from 0 as well as from 1.
    """
    for target, column in columns.items():
        if column not in table.columns:
            known = ", ".join(table.columns)
            raise VlmakeError(
                f"{table.name}: there is no column '{column}' for '{target}'{did_you_mean(column, table.columns)}"
                f" (there are: {known})"
            )
    found = {target: _column(table, target, columns) for target in NAMES if target != "image"}
    images = _images(table, columns)
    letters = _letters(table, columns) if found["options"] is None else {}
    index = found["index"]
    if index not in (None, "index") and "index" not in columns and not _is_unique(table, str(index)):
        index = None
    layout = Layout(index, images, found["question"], found["options"], letters, found["answer"], "text", {})
    used = {index, *images, layout.question, layout.options, *letters.values(), layout.answer}
    said = {name: str(found[name]) for name in ("hint", "category", "l2-category") if found[name] is not None}
    said |= {target: column for target, column in columns.items() if target not in NAMES and target not in letters}
    taken = {"index", "image", "image_path", "question", "answer", *_LETTERS, *said}
    kept = [name for name in table.columns if name not in used | table.pictures | set(said.values())]
    others = said | {f"original:{name}" if name in taken else name: name for name in kept}
    return replace(layout, answers=_answers(table, layout, task, first_option), others=others)


def cell_text(value: Any) -> str | None:
    """Return a value as the text of a cell; None for a missing one."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return None if isinstance(value, bytes) else str(value)


def _column(table: Table, target: str, columns: Mapping[str, str]) -> str | None:
    if target in columns:
        return columns[target]
    taken = set(columns.values())
    return next((name for name in NAMES[target] if name in table.columns and name not in taken), None)


def _images(table: Table, columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return the columns with images: the named one, else those that hold images, else one named so."""
    if "image" in columns:
        return (columns["image"],)
    known = [name for name in NAMES["image"] if name in (table.pictures or table.columns)]
    if known:
        return (known[0],)
    numbered = {int(match[1]): name for name in table.columns if (match := _NUMBERED.fullmatch(name))}
    if numbered:
        return tuple(numbered[number] for number in sorted(numbered))
    return tuple(sorted(table.pictures)) if len(table.pictures) == 1 else ()


def _letters(table: Table, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each option: ``A``, else ``choice_a``, ``option_a`` and the like."""
    said = {letter: columns[letter] for letter in _LETTERS if letter in columns}
    plain = {letter: letter for letter in _LETTERS if letter in table.columns}
    spelt = {match[1].upper(): name for name in table.columns if (match := _OPTION.fullmatch(name))}
    found = {**(plain or spelt), **said}
    return {letter: found[letter] for letter in sorted(found)} if "A" in found or said else {}


def _is_unique(table: Table, column: str) -> bool:
    """Tell whether every row has a value of its own, so that the column can stand as the index."""
    seen: set[str] = set()
    for row in table.rows({column}):
        text = (cell_text(row[column]) or "").strip()
        if not text or text in seen:
            return False
        seen.add(text)
    return True


def _answers(table: Table, layout: Layout, task: Task | None, first_option: FirstOption | None) -> Answers:
    """Return how the right answers are written, which only all of them together tell."""
    if layout.answer is None:
        return "text"
    with_options: set[Answers] = {"letter", "option text", *_NUMBERED_FROM.values()}
    chosen = False
    texts: set[str] = set()
    for options, answer in _choices(table, layout):
        if options:
            chosen = True
            with_options &= _readings(answer, options)
        elif len(texts) < 8:
            texts.add(answer.strip().lower())
    if chosen:
        if first_option is not None:
            return _NUMBERED_FROM[first_option]
        preferred: tuple[Answers, ...] = ("letter", "option text", *_NUMBERED_FROM.values())
        if with_options == set(_NUMBERED_FROM.values()):
            raise VlmakeError(
                f"{table.name}, column '{layout.answer}': numbers of options, counted from 0 or from 1: there is"
                " neither a 0 nor the number of a last option counted from 1; say it by --first-option 0 or"
                " --first-option 1 (in an entry with a `source`: `first_option: 0` or 1)"
            )
        return next((reading for reading in preferred if reading in with_options), "letter")
    allowed = {*_PLAIN_YES_NO, *(_ZERO_ONE if task == "yes_no" else ())}
    is_yes_no = bool(texts) and texts <= allowed and task in (None, "yes_no")
    return "yes or no" if is_yes_no else "text"


def _choices(table: Table, layout: Layout) -> Iterator[tuple[dict[str, str], str]]:
    """Yield options and answer of every row that can be read and has an answer."""
    wanted = {column for column in (layout.answer, layout.options, *layout.letters.values()) if column is not None}
    for row in table.rows(wanted):
        try:
            options = layout.options_of(row)
        except CellError:
            continue
        if (answer := cell_text(_single(row[str(layout.answer)]))) is not None and answer.strip():
            yield options, answer


def _readings(answer: str, options: Mapping[str, str]) -> set[Answers]:
    readings: set[Answers] = set()
    if answer.strip().strip("().") in options:
        readings.add("letter")
    if answer.strip() in {text.strip() for text in options.values()}:
        readings.add("option text")
    if number := _NUMBER.fullmatch(answer.strip()):
        starts = (first for first in _NUMBERED_FROM if first <= int(number[1]) < first + len(options))
        readings.update(_NUMBERED_FROM[first] for first in starts)
    return readings


def _letter_at(text: str, options: Mapping[str, str], first: int) -> str:
    number = _NUMBER.fullmatch(text.strip())
    place = int(number[1]) - first if number else -1
    if not 0 <= place < len(options):
        last = first + len(options) - 1
        raise CellError(f"'{text[:80]}' is no number of an option: they are counted from {first} to {last}")
    return list(options)[place]


def _letter_of(text: str, options: Mapping[str, str]) -> str:
    same = [letter for letter, option in options.items() if option.strip() == text.strip()]
    if len(same) != 1:
        what = "several options have" if same else "no option has"
        raise CellError(f"{what} the text '{text[:80]}'")
    return same[0]


def _listed(value: Any) -> dict[str, str]:
    """Return the options that one cell holds: a list, a mapping by letter, or either as Python or JSON writes it."""
    if isinstance(value, str):
        value = _parsed(value.strip())
    if value is None:
        return {}
    if isinstance(value, dict):
        texts = {str(letter).strip(): cell_text(text) for letter, text in value.items()}
        if not all(letter in _LETTERS and len(letter) == 1 for letter in texts):
            raise CellError("a mapping of options has the letters A to Z as keys")
        return {letter: texts[letter] or "" for letter in sorted(texts) if texts[letter] is not None}
    if not isinstance(value, list) or len(value) > len(_LETTERS):
        raise CellError(f"neither a list of up to {len(_LETTERS)} options nor a mapping of letters to options")
    return {letter: cell_text(text) or "" for letter, text in zip(_LETTERS, value, strict=False)}


def _parsed(text: str) -> Any:
    """Return the list or mapping that a text is; None for an empty one."""
    if not text:
        return None
    if text.startswith("[") and text.endswith("]") and (items := list_items(text)) is not None:
        return items
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise CellError("no list of options as Python or JSON writes it") from None


def _single(value: Any) -> Any:
    """Return the one element of a list of one; an annotator's answer where it is a mapping with a key ``answer``."""
    if isinstance(value, list):
        texts = [item.get("answer") if isinstance(item, dict) else item for item in value]
        return texts[0] if len(texts) == 1 else texts or None
    return value


def _answer_text(value: Any) -> str | None:
    """Return an open answer: a text, or several as Python writes a list, which is how benchmarks have them."""
    if isinstance(value, list):
        return repr([cell_text(item) or "" for item in value])
    return cell_text(value)


def _yes_no(text: str) -> str:
    plain = text.strip().lower()
    return _PLAIN_YES_NO.get(plain) or _ZERO_ONE.get(plain) or text
