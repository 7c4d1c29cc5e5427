"""Predictions beside their questions as one table for people: xlsx, csv, tsv, json or jsonl.

Every text stays the text it is: ``=1+1`` is no formula, ``007`` no number, ``NA`` no gap. In csv and tsv a null is an
empty cell and an empty text is ``""``; a spreadsheet has no such difference, both are empty cells.

A spreadsheet holds less than a text may have, and nothing of that is lost in silence:

- Control characters (U+0000 to U+001F but tab and line feed) become their pictures, U+2400 to U+241F: ``␀``, ``␍``.
  The two code points that XML forbids besides, U+FFFE and U+FFFF, become U+FFFD.
- A cell longer than 32,767 UTF-16 units is cut, ends in a mark, and stands whole, in pieces, on a second sheet
  (``long_cells``), from where vlmake itself reads it back.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vlmake.errors import VlmakeError, counted
from vlmake.store import atomic_path
from vlmake.tables.long_cells import HEADS, SHEET, is_long, pieces, shown
from vlmake.tables.spreadsheets import Cell, Sheet, storable, write_workbook

SHEET_ROWS = 1_048_576
SHEET_COLUMNS = 16_384
"""Rows and columns of a sheet: the limits of the xlsx format."""

PREDICTIONS_SHEET = "predictions"

_OWN_COLUMNS = ("images", "image_error", "group")  # of the decode stage, about images
_PREDICTED = ("repeat", "prediction", "thinking", "status", "finish_reason", "prompt_tokens", "completion_tokens")
_ERROR = ("error",)
_JUDGED = ("extracted", "rule", "hit", "group_hit", "extraction_status", "judge")

Row = Sequence[Cell]
Lines = Iterable[Row]


def exported_table(samples: Path, predictions: Path, judged: Path | None, protocol: str) -> pa.Table:
    """Return one row a prediction: the benchmark's columns, what the model gave, what was made of it.

    A benchmark's column whose name is needed for the latter is called ``tsv:<name>``. Columns that are empty
    throughout, such as ``thinking`` of a model that does not think, and ``repeat`` where nothing is repeated are left
    out, but never the prediction itself.

    Args:
        samples: The decoded benchmark.
        predictions: The model's answers.
        judged: The judged rows, or None where there is no score.
        protocol: Whose judged rows are shown.

    Raises:
        VlmakeError: A damaged file, or predictions of rows that the benchmark does not have.
    """
    answers = _read(predictions)
    questions = _read(samples)
    place = {index: row for row, index in enumerate(questions.column("index").to_pylist())}
    indices = answers.column("index").to_pylist()
    if unknown := [index for index in indices if index not in place]:
        raise VlmakeError(
            f"{predictions}: index '{unknown[0]}' is not in {samples}; run the same command as before, it brings both "
            "together"
        )
    questions = questions.take([place[index] for index in indices])
    given = {name: answers.column(name) for name in (*_PREDICTED, *_ERROR)}
    if judged is not None:
        given |= _judged_columns(_read(judged), indices, protocol)
    shown = {name: column for name, column in given.items() if name == "prediction" or _says_something(name, column)}
    own = [name for name in questions.column_names if name not in _OWN_COLUMNS]
    taken = {*own, *shown}
    named = {_free_name(name, taken) if name in shown else name: questions.column(name) for name in own}
    return pa.table({**named, **shown})


def _free_name(name: str, taken: Container[str]) -> str:
    renamed = f"tsv:{name}"
    return _free_name(renamed, taken) if renamed in taken else renamed


def _judged_columns(judged: pa.Table, indices: Sequence[str], protocol: str) -> dict[str, pa.ChunkedArray]:
    """Return the judged columns of one protocol in the order of ``indices``, null for rows that were not judged."""
    rows = judged.filter(pc.equal(judged.column("protocol"), protocol))
    place = {index: row for row, index in enumerate(rows.column("index").to_pylist())}
    wanted = pa.array([place.get(index) for index in indices], pa.int64())
    return {name: rows.column(name).take(wanted) for name in _JUDGED if name in rows.column_names}


def _says_something(name: str, column: pa.ChunkedArray) -> bool:
    if name == "repeat":
        return any(column.to_pylist())
    return bool(column.null_count < len(column))


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise VlmakeError(f"{path} is not there") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise VlmakeError(f"{path} is damaged ({error}); delete it and make it again") from None


def write_table(table: pa.Table, target: Path, file_format: str) -> int:
    """Write a table of texts and numbers atomically, in one of ``FORMATS``; return how many cells had to be cut.

    Raises VlmakeError for a table that is larger than a sheet may be.
    """
    with atomic_path(target) as temporary:
        return FORMATS[file_format](table, temporary)


def _rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=1000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_xlsx(table: pa.Table, path: Path) -> int:
    """Write a workbook of one sheet, and a second one if a cell had to be cut."""
    long_cells = list(_long_cells(table))
    parts = list(pieces(long_cells))
    _check_sheet(table.num_rows + 1, table.num_columns)
    _check_sheet(len(parts) + 1, len(HEADS))
    rows = chain([table.column_names], ([_shown(value) for value in row] for row in _rows(table)))
    sheets = [Sheet(PREDICTIONS_SHEET, rows, header_stays=True)]
    if parts:
        sheets.append(Sheet(SHEET, chain([HEADS], parts), header_stays=True))
    write_workbook(sheets, path)
    return len(long_cells)


def _check_sheet(rows: int, columns: int) -> None:
    if rows > SHEET_ROWS or columns > SHEET_COLUMNS:
        raise VlmakeError(
            f"a table of {counted(rows, 'row')}, header included, and {counted(columns, 'column')} does not fit"
            f" a sheet, which holds {SHEET_ROWS:,} rows of {SHEET_COLUMNS:,}; use --format csv"
        )


def _long_cells(table: pa.Table) -> Iterator[tuple[int, str, str]]:
    """Yield sheet row, column and text of every cell that has to be cut."""
    for number, row in enumerate(_rows(table), 2):
        for name, value in zip(table.column_names, row, strict=True):
            if isinstance(value, str) and is_long(value):
                yield number, name, storable(value)


def _shown(value: Cell) -> Cell:
    return shown(value) if isinstance(value, str) and is_long(value) else value


def _delimited(delimiter: str) -> Callable[[pa.Table, Path], int]:
    """Return a writer of delimited text."""

    def cell(value: Cell) -> str:
        if value is None:
            return ""
        text = repr(value) if isinstance(value, float) else str(value)
        if text and text == text.strip() and not any(letter in text for letter in (delimiter, '"', "\n", "\r")):
            return text
        return '"' + text.replace('"', '""') + '"'

    def write(table: pa.Table, path: Path) -> int:
        lines: Lines = chain([table.column_names], _rows(table))
        with _text_file(path) as file:
            file.writelines(delimiter.join(map(cell, line)) + "\n" for line in lines)
        return 0

    return write


def _write_jsonl(table: pa.Table, path: Path) -> int:
    with _text_file(path) as file:
        file.writelines(_object(table, row) + "\n" for row in _rows(table))
    return 0


def _write_json(table: pa.Table, path: Path) -> int:
    with _text_file(path) as file:
        file.write("[")
        file.writelines((",\n " if number else "\n ") + _object(table, row) for number, row in enumerate(_rows(table)))
        file.write("\n]\n")
    return 0


def _object(table: pa.Table, row: Row) -> str:
    return json.dumps(dict(zip(table.column_names, row, strict=True)), ensure_ascii=False)


def _text_file(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")


FORMATS: Mapping[str, Callable[[pa.Table, Path], int]] = {
    "xlsx": _write_xlsx,
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "json": _write_json,
    "jsonl": _write_jsonl,
}
"""Writers by format; each returns how many cells it had to cut."""
