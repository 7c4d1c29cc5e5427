"""What a prediction's file may have lost of it: told row by row, because only a reader can settle it.

Most results of VLMEvalKit are spreadsheets, or tables that pandas read and wrote again. Both change texts: a cell ends
after 32,767 units, an empty text and ``NA`` become the same blank, a column of numbers is one of numbers, a text that
starts with ``=`` is a formula.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmake.inference.statuses import STATUSES
from vlmake.tables.predictions_io import Record, status_of
from vlmake.tables.spreadsheet_cells import CELL_UNITS, utf16_units

BLANK_MEANS_NOTHING = frozenset({".xlsx", ".tsv", ".csv"})
"""Formats in which a blank cell is all that is left of '' as of a text that pandas reads as missing."""

EXPLANATIONS = {
    "cut": f"as long as a cell, {CELL_UNITS:,} units: the end is lost",
    "joined": "longer than a cell: joined from the pieces on the sheet 'long cells'",
    "emptied": "a blank cell: the answer was '', or NA, nan, None, null or the like; imported as ''",
    "renumbered": "a number where a text was written: 007 comes back as 7, 7 as 7.0, a formula as 0",
    "boolean": "a truth value where a text was written",
    "formula": "stored as a formula: its text is imported, where pandas reads 0",
    "escaped": "control characters were held as escapes such as _x000D_: restored",
    "duplicate": "an index that is there more than once: the first row is imported",
    "failed": "the tool's text for a call that failed: imported as the text it is, which other tools score as well",
    "other_question": "asked about something else than the benchmark's row of that index",
}
"""Every doubt, in the order in which it is reported."""

_FAILURES = ("Failed to obtain answer via API", "[LMMS_EVAL_REQUEST_FAILED")


@dataclass(frozen=True)
class ImportedRow:
    """One prediction as it is kept; ``doubts`` are keys of ``EXPLANATIONS``."""

    index: str
    prediction: str | None
    thinking: str | None
    status: str
    error: str | None
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What the benchmark asks in one row, and its right answer, where it has them."""

    question: str | None = None
    answer: str | None = None


def imported_rows(
    records: Iterable[Record], ending: str, benchmark: Mapping[str, Asked] | None = None
) -> list[ImportedRow]:
    """Return one row per index, in file order, each with its doubts.

    Args:
        records: The rows of the file.
        ending: The file's, such as ``.xlsx``: it says what a blank cell means.
        benchmark: What each index asks, where that is known.
    """
    known = benchmark or {}
    first: dict[str | None, Record] = {}
    repeated: set[str | None] = set()
    for record in records:
        if first.setdefault(record.index, record) is not record:
            repeated.add(record.index)
    floats = ending != ".xlsx" and _all_end_in_point_zero(list(first.values()))
    return [
        _row(record, ending, index in repeated, floats, known.get(str(index), Asked()))
        for index, record in first.items()
    ]


def _row(record: Record, ending: str, repeated: bool, floats: bool, asked: Asked) -> ImportedRow:
    text, status, error = record.prediction, record.status, None
    doubts = ["duplicate"] if repeated else []
    if record.came_as == "number" or (floats and text):
        doubts.append("renumbered")
    elif record.came_as != "text":
        doubts.append(record.came_as)
    if text is None and status in (None, "ok", "empty") and ending in BLANK_MEANS_NOTHING:
        text = ""
        doubts.append("emptied")
    if text is not None and ending == ".xlsx" and _fills_a_cell(text):
        doubts.append("cut")
    if text is not None and text.lstrip().startswith(_FAILURES):
        doubts.append("failed")
    if _is_other_question(record, asked):
        doubts.append("other_question")
    if text is None:
        status = status if status in ("model_error", "bad_image") else "model_error"
        error = "the imported file has no prediction here"
    elif status not in STATUSES or status in ("ok", "empty"):
        status = status_of(text)
    ordered = tuple(kind for kind in EXPLANATIONS if kind in doubts)
    return ImportedRow(str(record.index), text, record.thinking or None, str(status), error, ordered)


def _is_other_question(record: Record, asked: Asked) -> bool:
    """Tell a row that was asked something else, or has another right answer, as far as both sides say."""
    if record.question and asked.question:
        return _compared(record.question) != _compared(asked.question)
    return bool(record.answer and asked.answer) and not _same_answer(str(record.answer), str(asked.answer))


def _compared(text: str) -> str:
    """Return the start of a text without blanks: cells are cut, and line ends change on the way."""
    return "".join(text.split())[:_COMPARED]


_COMPARED = 1000


def _same_answer(mine: str, theirs: str) -> bool:
    """Tell equal answers: pandas writes 7 as 7.0 and a truth value in its own letters."""
    if _compared(mine).casefold() == _compared(theirs).casefold():
        return True
    try:
        return float(mine) == float(theirs)
    except ValueError:
        return False


def _all_end_in_point_zero(records: Sequence[Record]) -> bool:
    """Tell whether every prediction is a whole number with ``.0``: pandas wrote integers beside a hole."""
    texts = [record.prediction for record in records if record.prediction]
    return bool(texts) and all(text.endswith(".0") and text[:-2].lstrip("-").isdecimal() for text in texts)


def _fills_a_cell(text: str) -> bool:
    """Tell a text as long as a cell, or one unit shorter where a cut through a character of two took all of it.

    Some writers count characters, not units.
    """
    if len(text) <= CELL_UNITS // 2 - 1:
        return False
    units = utf16_units(text)
    return CELL_UNITS in (len(text), units) or (units == CELL_UNITS - 1 and units != len(text))


def doubt_lines(doubts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what ``count_doubts`` found as lines for people."""
    return [f"{doubt['rows']:,} {kind}: {doubt['meaning']} ({first_of(doubt)})" for kind, doubt in doubts.items()]


def first_of(found: Mapping[str, Any]) -> str:
    """Return the first indices of some rows as they are shown."""
    more = ", …" if found["rows"] > len(found["first"]) else ""
    return f"index {', '.join(found['first'])}{more}"


def count_doubts(rows: Sequence[ImportedRow], most: int = 5) -> dict[str, dict[str, Any]]:
    """Return, for every doubt that some row has, how many have it and the first indices."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for doubt in row.doubts:
            found.setdefault(doubt, []).append(row.index)
    return {
        kind: {"rows": len(found[kind]), "first": found[kind][:most], "meaning": meaning}
        for kind, meaning in EXPLANATIONS.items()
        if kind in found
    }
