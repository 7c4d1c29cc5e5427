"""What a class's ``evaluate`` returned or wrote, as a plain table and as hits by index."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vlmake.dataset_classes.files import load
from vlmake.errors import VlmakeError
from vlmake.tables.plain_values import plain

Cell = str | float | int | None

_PER_SAMPLE = {"index", "hit"}
_LARGEST = int(sys.float_info.max)
_READABLE = (".xlsx", ".tsv", ".csv", ".json", ".jsonl")


def as_table(result: Any) -> tuple[list[str], list[list[Cell]]]:
    """Return columns and rows of what ``evaluate`` returned.

    A DataFrame is the table, with its row names as the first column where it has some; one with a row a sample
    (columns ``index`` and ``hit``) becomes the mean of its hits. A dict of numbers or texts is one row, of lists of one
    length its columns, of dicts a row each.

    Raises:
        VlmakeError: Anything else; a table without a cell, with gaps where its numbers should be, or with a number that
            no float can hold.
    """
    columns, rows = _table_of(result)
    if not columns or not rows:
        raise VlmakeError(f"it must return a table with something in it, not a {type(result).__name__} without a cell")
    overall = [place for place, name in enumerate(columns) if is_overall(name)] or range(len(columns))
    cells = [row[place] for row in rows for place in overall]
    if None in cells and not any(isinstance(cell, int | float) for cell in cells):
        names = ", ".join(columns[place] for place in overall)
        raise VlmakeError(f"it returned no score: NaN, infinite or nothing is all that is in {names:.80}")
    return columns, rows


def is_overall(column: str) -> bool:
    """Tell whether a column is the one by which a table is quoted."""
    return column.casefold() == "overall"


def _table_of(result: Any) -> tuple[list[str], list[list[Cell]]]:
    if isinstance(result, pd.DataFrame):
        return _frame_table(result)
    if not isinstance(result, Mapping) or not result:
        raise VlmakeError(f"it must return a DataFrame or a dict with something in it, not {result!r:.80}")
    values = [plain(value) for value in result.values()]
    names = [str(name) for name in result]
    if all(isinstance(value, list) for value in values):
        if len({len(value) for value in values}) != 1:
            raise VlmakeError("it returned a dict of lists of different lengths, which make no table")
        return names, [[_cell(item) for item in row] for row in zip(*values, strict=True)]
    if all(isinstance(value, Mapping) for value in values):
        columns = list(dict.fromkeys(str(key) for value in values for key in value))
        if not columns:
            return [], []
        rows = [{str(key): item for key, item in value.items()} for value in values]
        return ["name", *columns], [
            [name, *(_cell(row.get(column)) for column in columns)] for name, row in zip(names, rows, strict=True)
        ]
    return names, [[_cell(value) for value in values]]


def _frame_table(frame: pd.DataFrame) -> tuple[list[str], list[list[Cell]]]:
    if set(frame.columns) >= _PER_SAMPLE and len(frame) > 0:
        hits = [hit for hit in map(_hit, frame["hit"]) if hit is not None]
        return ["Overall"], [[sum(hits) / len(hits) if hits else None]]
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=None if frame.index.names != [None] else "name")
    return [str(name) for name in frame.columns], [
        [_cell(plain(value)) for value in row] for row in frame.itertuples(index=False, name=None)
    ]


def _cell(value: Any) -> Cell:
    """Return a table's cell; what is no number is its text."""
    value = plain(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise VlmakeError(f"it returned a number of {value.bit_length()} bits, more than a score can have")
    return value if value is None or isinstance(value, int | float | str) else str(value)


def hits_by_index(result: Any, eval_file: Path, indices: Sequence[str]) -> dict[str, float] | None:
    """Return each sample's hit, where ``evaluate`` returned or wrote a table with the columns ``index`` and ``hit``.

    Of files beside ``eval_file`` the first by name counts. None where there is no such table; hits that are no number
    are left out.
    """
    beside = sorted(eval_file.parent.iterdir()) if eval_file.parent.is_dir() else []
    written = (file for file in beside if file.suffix in _READABLE and file != eval_file)
    for table in (result, *map(_table, written)):
        if isinstance(table, pd.DataFrame) and set(table.columns) >= _PER_SAMPLE:
            pairs = zip(map(_index, table["index"]), map(_hit, table["hit"]), strict=True)
            found = {index: hit for index, hit in pairs if hit is not None}
            if found and found.keys() <= set(indices):
                return found
    return None


def _table(file: Path) -> pd.DataFrame | None:
    """Return a file as a table; None for one that is none, which is no fault: it may be anything."""
    try:
        content = load(file)
        return content if isinstance(content, pd.DataFrame) else pd.DataFrame(content)
    except Exception:  # a file of the class's own may hold anything
        return None


def _index(value: Any) -> str:
    value = plain(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _hit(value: Any) -> float | None:
    value = plain(value)
    if isinstance(value, str):
        value = {"true": 1.0, "false": 0.0}.get(value.strip().lower())
    return float(value) if isinstance(value, bool | int | float) and abs(value) <= _LARGEST else None
