"""What a benchmark's TSV asks for, told from its columns and answers; and what is wrong with it, by row and column.

A TSV with option columns is a choice set (a circular one where its indexes say so), one whose answers are all yes or
no is a yes/no set, any other has open answers. The file is read once, without decoding an image; what was found is
remembered in the user's cache by path, size and modification time.
"""

import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from vlmake.data.literals import REFERENCE_LENGTH
from vlmake.data.tsv import Cell, Row, TsvReader, cut
from vlmake.errors import VlmakeError
from vlmake.file_memory import file_state, recall, remember
from vlmake.registry.tasks import YES_NO, Task

FAULTS_KEPT = 1000
"""So many faults are described; of further ones the number is known."""

_RULES = 3  # raised when a change of the rules below makes what is remembered wrong
_ROTATION = 1_000_000  # between the indexes of a question's rotated copies, as in the metric choice_circular
_LISTS = ("options", "choices", "candidates")  # columns that often list options, which are not read there
_BLANKS = b" \t\r\n\v\f"


class Fault(NamedTuple):
    """What is wrong at one place of a table; ``row`` counts from 1 below the header, None is the whole column."""

    row: int | None
    column: str | None
    what: str
    line: int | None = None
    kind: Literal["", "no image", "no options"] = ""
    """What some tables may lack in some rows."""

    def __str__(self) -> str:
        line = f" (line {self.line})" if self.line is not None else ""
        row = [] if self.row is None else [f"row {self.row}{line}"]
        column = [] if self.column is None else [f"column '{cut(self.column)}'"]
        return f"{', '.join([*row, *column])}: {self.what}"


@dataclass(frozen=True)
class Recognised:
    """What a TSV asks for, and the keys that a registry entry would say of it.

    ``says`` is what the decision rests on, for people.
    """

    task: Task
    metric: str
    rows: int
    images: Literal["one", "several"]
    answers: bool
    says: str


@dataclass(frozen=True)
class Examined:
    """What a TSV was recognised as, its faults (the first ``FAULTS_KEPT``), and how many there are of them."""

    recognised: Recognised | None
    faults: tuple[Fault, ...]
    fault_count: int


def examine(tsv: Path, *, own_question: bool = False, task: Task | None = None, answers: bool = True) -> Examined:
    """Read a TSV once; return what it asks for and every fault in it.

    Args:
        tsv: The table.
        own_question: Whether its entry has a ``question``, so that the column may be absent.
        task: What is known to be asked; recognised if absent.
        answers: Whether the answers are to be looked at.

    Raises:
        VlmakeError: What ``TsvReader`` refuses, and a table without rows.
    """
    with TsvReader(tsv, as_bytes={"image"}) as table:
        wanted = [] if own_question else ["question"]
        missing = [name for name in ("index", *wanted) if name not in table.header]
        faults = [Fault(None, name, "missing; the columns are " + _names(table.header)) for name in missing]
        if not {"image", "image_path"} & set(table.header):
            faults.append(Fault(None, "image", "missing, and so is 'image_path'; one of them says what is looked at"))
        if faults:
            return Examined(None, tuple(faults), len(faults))
        scan = _Scan(table.header, wanted, answers, task)
        for row in table:
            scan.take(row)
    if not scan.rows:
        raise VlmakeError(f"{tsv}: a header and no rows")
    return scan.result()


def recognise(tsv: Path, *, own_question: bool = False) -> Recognised:
    """Return what a TSV asks for, from memory if path, size and modification time are known.

    Raises VlmakeError for a TSV with faults: the first one, with row and column, and how many there are.
    """
    if not tsv.is_file():
        raise VlmakeError(f"{tsv} is not there, so what it asks cannot be recognised; give `task` and `metric`")
    under = {"rules": _RULES, "own_question": own_question}
    found = _from_memory(recall("recognised", tsv, under))
    if found is None:
        seen = file_state(tsv)
        found = examine(tsv, own_question=own_question)
        remember("recognised", tsv, under, {"found": _to_remember(found)}, seen)
    if found.faults or found.recognised is None:
        raise faulty(tsv, found)
    return found.recognised


def is_remembered(tsv: Path) -> bool:
    """Tell whether ``recognise`` answers from memory."""
    return _from_memory(recall("recognised", tsv, {"rules": _RULES, "own_question": False})) is not None


def faulty(tsv: Path, found: Examined) -> VlmakeError:
    """Return the error that names the first fault of a TSV and says how to see the others."""
    more = f" (and {found.fault_count - 1} more)" if found.fault_count > 1 else ""
    return VlmakeError(
        f"{tsv}: {found.faults[0]}{more}; `vlmake new-dataset --check {tsv.name}` lists every fault,"
        " and an entry with `task` and `metric` takes the file as it is"
    )


def _to_remember(found: Examined) -> dict[str, Any]:
    recognised = asdict(found.recognised) if found.recognised else None
    return {"recognised": recognised, "faults": [list(fault) for fault in found.faults[:1]], "count": found.fault_count}


def _from_memory(content: Mapping[str, Any] | None) -> Examined | None:
    try:
        found = (content or {})["found"]
        recognised = Recognised(**found["recognised"]) if found["recognised"] else None
        return Examined(recognised, tuple(Fault(*fault) for fault in found["faults"]), int(found["count"]))
    except (KeyError, TypeError, ValueError):
        return None


class _Scan:
    """Rows taken one by one, into counts and faults; which faults hold is known only after the last row."""

    def __init__(self, header: list[str], wanted: list[str], answers: bool, task: Task | None) -> None:
        self._place = {name: place for place, name in enumerate(header)}
        self._letters = [letter for letter in string.ascii_uppercase if letter in self._place]
        self._wanted = wanted
        self._task = task
        self._looks_at_answers = answers and "answer" in self._place
        self._row_of: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._faults: list[Fault] = []
        self._of_choices: list[Fault] = []  # count if it is a choice set
        self._unanswered: list[Fault] = []  # count if there are answers at all
        self._refers: dict[int, tuple[int, str]] = {}  # row → its line, and the index whose image it shares
        self._spelt: Counter[str] = Counter()
        self._used: set[str] = set()
        self._several = False
        self.rows = 0

    def take(self, row: Row) -> None:
        """Look at one row."""
        self.rows += 1
        self._take_index(row)
        self._take_images(row)
        self._faults += [
            Fault(row.number, name, "empty: nothing is asked", row.line)
            for name in self._wanted
            if not self._text(row, name)
        ]
        options = {letter: text for letter in self._letters if (text := self._text(row, letter))}
        self._take_options(row, options)
        if self._looks_at_answers:
            self._take_answer(row, options)

    def result(self) -> Examined:
        """Return what the rows were."""
        answered = sum(self._spelt.values()) > 0
        yes_no = answered and all(answer.lower() in YES_NO for answer in self._spelt) and not self._unanswered
        task = self._task or ("multiple_choice" if self._used else "yes_no" if yes_no else "vqa")
        faults = [
            *self._faults,
            *self._of_references(),
            *(self._of_choices if task == "multiple_choice" else []),
            *(self._unanswered if answered else []),
        ]
        faults.sort(key=lambda fault: fault.row or 0)
        several: Literal["one", "several"] = "several" if self._several else "one"
        metric, says = self._metric(task)
        recognised = Recognised(task, metric, self.rows, several, answered, says)
        return Examined(recognised, tuple(faults[:FAULTS_KEPT]), len(faults))

    def _metric(self, task: Task) -> tuple[str, str]:
        if task == "multiple_choice":
            letters = sorted(self._used)
            options = f"options {letters[0]} to {letters[-1]}" if letters else "no options"
            if self._is_circular():
                return "choice_circular", f"multiple choice, {options}, rotated copies by index"
            return "choice", f"multiple choice, {options}"
        if task == "yes_no":
            plain = set(self._spelt) <= {"Yes", "No"}
            return ("yes_no" if plain else "yes_no_any_case"), "every answer is yes or no"
        if task == "caption":
            return "coco_caption", "captions"
        listed = next((name for name in _LISTS if name in self._place), None)
        unread = f" (its column '{listed}' is not read: options are columns A, B, …)" if listed else ""
        return "vqa_exact", f"open answers{unread}"

    def _is_circular(self) -> bool:
        """Tell whether some indexes are those of others plus a multiple of a million, with the same question."""
        if not all(index.isascii() and index.isdecimal() and len(index) < 19 for index in self._asked):
            return False
        asked = {int(index): question for index, question in self._asked.items()}
        copies = [index for index in asked if index >= _ROTATION]
        return bool(copies) and all(asked.get(index % _ROTATION) == asked[index] for index in copies)

    def _take_index(self, row: Row) -> None:
        index = row.cells[self._place["index"]]
        if not isinstance(index, str) or not index.strip():
            self._faults.append(Fault(row.number, "index", "empty", row.line))
        elif (first := self._row_of.setdefault(index, row.number)) != row.number:
            self._faults.append(
                Fault(row.number, "index", f"'{cut(index)}' is the index of row {first} already", row.line)
            )
        else:
            self._asked[index] = hash(self._text(row, "question"))

    def _take_images(self, row: Row) -> None:
        for name in ("image", "image_path"):
            cell = self._cell(row, name)
            stripped = cell.strip(_BLANKS) if isinstance(cell, bytes) else (cell or "").strip().encode()
            if stripped:
                is_list = stripped.startswith(b"[") and stripped.endswith(b"]")
                self._several |= is_list and b"," in stripped
                if name == "image" and not is_list and len(stripped) <= REFERENCE_LENGTH:
                    self._refers[row.number] = row.line, stripped.decode("utf-8", "replace")
                return
        column = "image" if "image" in self._place else "image_path"
        self._faults.append(Fault(row.number, column, "empty: there is no image", row.line, "no image"))

    def _of_references(self) -> Iterator[Fault]:
        """Yield a fault for every reference that leads nowhere, and one for every circle of them."""
        settled: set[int] = set()
        for start in self._refers:
            chain: dict[int, None] = {}
            here = start
            while here in self._refers and here not in settled and here not in chain:
                chain[here] = None
                line, target = self._refers[here]
                if target not in self._row_of:
                    said = f"'{cut(target)}' is no row's index (a cell of up to {REFERENCE_LENGTH} characters is one)"
                    yield Fault(here, "image", said, line)
                    break
                here = self._row_of[target]
            else:
                if here in chain:
                    line, target = self._refers[here]
                    said = f"'{cut(target)}' leads back to this row: a circle of indexes without an image"
                    yield Fault(here, "image", said, line)
            settled.update(chain)

    def _take_options(self, row: Row, options: Mapping[str, str]) -> None:
        self._used.update(options)
        if not options:
            if self._letters:
                self._of_choices.append(
                    Fault(row.number, "A", "empty, as all options of this row", row.line, "no options")
                )
            return
        until = string.ascii_uppercase.index(max(options))
        for letter in string.ascii_uppercase[:until]:
            if letter not in options:
                self._faults.append(
                    Fault(row.number, letter, f"empty, though there is an option {max(options)}", row.line)
                )

    def _take_answer(self, row: Row, options: Mapping[str, str]) -> None:
        answer = self._text(row, "answer")
        if not answer:
            self._unanswered.append(Fault(row.number, "answer", "empty, though other rows have one", row.line))
            return
        self._spelt[answer if len(answer) < 4 else "other"] += 1
        if self._task == "yes_no" and answer.lower() not in YES_NO:
            self._faults.append(Fault(row.number, "answer", f"'{cut(answer)}' is neither yes nor no", row.line))
        if options and answer not in options:
            self._of_choices.append(Fault(row.number, "answer", _no_letter(answer, options), row.line))

    def _cell(self, row: Row, name: str) -> Cell:
        place = self._place.get(name)
        return None if place is None else row.cells[place]

    def _text(self, row: Row, name: str) -> str:
        cell = self._cell(row, name)
        return cell.strip() if isinstance(cell, str) else ""


def _no_letter(answer: str, options: Mapping[str, str]) -> str:
    """Say what an answer is that is none of the row's letters."""
    what = f"'{cut(answer)}' is no letter of its options ({', '.join(options)})"
    if answer.upper() in options:
        return f"{what}; letters are capitals"
    same = [letter for letter, text in options.items() if text == answer]
    return f"{what}; it is the text of option {same[0]}" if same else what


def _names(header: Iterable[str]) -> str:
    names = [cut(name) for name in header]
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
