"""Predictions that exist already, in the formats in which other tools leave them.

A reader gives records of an ``index`` (text) and a ``prediction`` (text or null), and keeps the text as it is: ``NA``,
``007`` and ``=1+1`` stay what they are, and only a cell that is truly empty is null. Pickles are refused: loading one
runs whatever code its author put there.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vlmake.data.tsv import TsvReader
from vlmake.errors import VlmakeError, counted, did_you_mean
from vlmake.tables.long_cells import CUT_MARK, WholeTexts
from vlmake.tables.spreadsheets import first_sheet

COLUMNS = ("index", "prediction")

OTHER_COLUMNS = ("status", "thinking", "question", "answer")
"""Columns that are read where a file has them."""

Place = str
"""Where a record stands in its file, for error lines: ``line 7``, ``row 7``."""

CameAs = Literal["text", "number", "boolean", "formula", "escaped", "joined"]
"""What a prediction was in its file: text, or what another program made of a text; joined: cut, and whole beside it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file of predictions; ``status``, ``question`` and ``answer`` are the file's own."""

    place: Place
    index: str | None
    prediction: str | None
    status: str | None = None
    thinking: str | None = None
    came_as: CameAs = "text"
    question: str | None = None
    answer: str | None = None


def read_predictions(path: Path) -> pd.DataFrame:
    """Return the predictions in ``path``, chosen by its ending: jsonl, json, csv, tsv, parquet or xlsx.

    Returns and raises as ``predictions_of`` and ``read_records``.
    """
    return predictions_of(read_records(path), path)


def predictions_of(records: Iterable[Record], path: Path) -> pd.DataFrame:
    """Return the predictions in the records of a file, each index once.

    Returns:
        ``index`` (text, each once), ``prediction`` (text or None) and ``status``: the file's own where it has that
        column, else ok, empty (a text without characters other than blanks) or model_error (no prediction).

    Raises:
        VlmakeError: A repeated index, with both places in ``path``.
    """
    indices: dict[str, Place] = {}
    rows: list[tuple[str, str | None, str]] = []
    for record in records:
        index = record.index
        assert index is not None  # read_records refuses such a row
        if index in indices:
            raise VlmakeError(f"{path}: index '{index}' is there twice: {indices[index]} and {record.place}")
        indices[index] = record.place
        rows.append((index, record.prediction, record.status or status_of(record.prediction)))
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) or [(), (), ()]
    names = (*COLUMNS, "status")
    return pd.DataFrame(
        {name: pd.Series(list(values), dtype=object) for name, values in zip(names, columns, strict=True)}
    )


def read_records(path: Path) -> Iterator[Record]:
    """Yield every row of ``path``, in file order, each with an index that may be there more than once.

    Raises VlmakeError for an unreadable file (with the row), a missing column, a row without index, another format.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in PICKLES:
        raise VlmakeError(f"{path}: pickles are not read, because loading one runs code; export it as jsonl or csv")
    if ending not in READERS:
        raise VlmakeError(f"{path}: unknown format '{ending or path.name}'; known: {', '.join(READERS)}")
    if not path.is_file():
        raise VlmakeError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'no such file'}")
    for record in READERS[ending](path):
        if not record.index:
            raise VlmakeError(f"{path}: {record.place} has no index")
        yield record


def complete(predictions: pd.DataFrame, samples: pd.DataFrame, source: str) -> tuple[pd.DataFrame, int]:
    """Return one prediction for every sample, in the benchmark's order, and how many samples had none.

    A sample without a prediction gets a null one with the status ``model_error``.

    Args:
        predictions: As ``read_predictions`` returns them.
        samples: The benchmark, with ``index`` as text.
        source: The predictions' file, for the error line.

    Raises:
        VlmakeError: A prediction of a sample that the benchmark does not have.
    """
    known = [str(index) for index in samples["index"]]
    wanted = set(known)
    for index in predictions["index"]:
        if index not in wanted:
            raise VlmakeError(f"{source}: index '{index}' is not in the dataset{did_you_mean(index, known[:1000])}")
    present = set(predictions["index"])
    ordered = predictions.set_index("index").reindex(known)
    missing = [index not in present for index in known]
    result = pd.DataFrame(
        {
            "index": pd.Series(known, dtype=object),
            "prediction": pd.Series(
                [None if pd.isna(text) else text for text in ordered["prediction"].tolist()], dtype=object
            ),
            "status": pd.Series(
                ["model_error" if gone else status for gone, status in zip(missing, ordered["status"], strict=True)],
                dtype=object,
            ),
        }
    )
    return result, sum(missing)


def status_of(prediction: str | None) -> str:
    """Return what became of a sample whose file does not say: another tool's text for a failed call is a text."""
    if prediction is None:
        return "model_error"
    return "ok" if prediction.strip() else "empty"


def _read_jsonl(path: Path) -> Iterator[Record]:
    for number, line in enumerate(_utf8(path).split("\n"), 1):
        if line.strip():
            yield _from_object(path, f"line {number}", _json(path, f"line {number}", line))


def _read_json(path: Path) -> Iterator[Record]:
    content = _json(path, "the file", _utf8(path))
    if not isinstance(content, list):
        raise VlmakeError(f"{path}: a JSON file of predictions is a list of objects with 'index' and 'prediction'")
    for number, item in enumerate(content, 1):
        yield _from_object(path, f"item {number}", item)


def _json(path: Path, place: Place, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # the former also for a number of thousands of digits
        why = "nested too deep" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))
        raise VlmakeError(f"{path}: {place} is not JSON: {why}") from None


def _from_object(path: Path, place: Place, item: Any) -> Record:
    if not isinstance(item, dict):
        raise VlmakeError(f"{path}: {place} is not an object with 'index' and 'prediction'")
    _check_columns(path, item, f" in {place}")
    index, prediction, status = item["index"], item["prediction"], item.get("status")
    if isinstance(index, bool) or not isinstance(index, str | int):
        raise VlmakeError(f"{path}: {place}: 'index' is neither a text nor a whole number")
    if isinstance(prediction, list | dict):
        raise VlmakeError(f"{path}: {place}: 'prediction' is neither a text nor null")
    if isinstance(prediction, float) and math.isnan(prediction):
        prediction = None
    others = {name: whole_characters(item[name]) for name in OTHER_COLUMNS if isinstance(item.get(name), str)}
    others |= {"status": None if status is None else str(status)}
    # numbers and truth values as pandas and Python show them, by which other tools score: True, 7.0
    text = None if prediction is None else whole_characters(str(prediction))
    return Record(place, str(index), text, came_as=_kind(prediction), **others)


def whole_characters(text: str | None) -> str | None:
    """Return a text without half characters, which JSON can name and no file can hold."""
    return None if text is None else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read_csv(path: Path) -> Iterator[Record]:
    limit = csv.field_size_limit(1 << 30)  # an answer may be longer than csv's 128 KiB
    try:
        lines = csv.reader(io.StringIO(_utf8(path), newline=""), strict=True)
        header = next(lines, None)
        if not header:
            raise VlmakeError(f"{path}: no header: the file or its first line is empty")
        places = _places(path, header)
        for number, cells in enumerate(lines, 1):
            if not cells:
                continue
            if len(cells) != len(header):
                raise VlmakeError(
                    f"{path}: row {number} has {counted(len(cells), 'cell')} and the header {len(header)}"
                )
            yield _from_cells(f"row {number}", [cell or None for cell in cells], places)
    except csv.Error as error:
        raise VlmakeError(f"{path}: line {lines.line_num}: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _read_tsv(path: Path) -> Iterator[Record]:
    with TsvReader(path, as_bytes={"image"}) as table:
        places = _places(path, table.header)
        for row in table:
            cells = [None if cell is None or isinstance(cell, bytes) else cell or None for cell in row.cells]
            yield _from_cells(f"row {row.number}", cells, places)


def _read_parquet(path: Path) -> Iterator[Record]:
    try:
        file = pq.ParquetFile(path)
        _check_columns(path, file.schema_arrow.names)
        names = [name for name in (*COLUMNS, *OTHER_COLUMNS, "repeat") if name in file.schema_arrow.names]
        rows = file.read(columns=names).to_pylist()
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        raise VlmakeError(f"{path}: not a readable Parquet file: {_first_line(error)}") from None
    for number, row in enumerate(rows, 1):
        if row.get("repeat"):
            continue  # the first of several generations is the one that is scored
        values = {name: _plain(row.get(name)) for name in (*COLUMNS, *OTHER_COLUMNS)}
        yield Record(f"row {number}", **values, came_as=_kind(row["prediction"]))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _read_xlsx(path: Path) -> Iterator[Record]:
    lines = first_sheet(path)
    header = next(lines, None)
    if not header:
        raise VlmakeError(f"{path}: no header: the first sheet is empty")
    places = _places(path, [str(cell.value) if cell.value is not None else "" for cell in header])
    texts = cache(WholeTexts)
    for number, cells in enumerate(lines, 1):
        if any(cell.value is not None for cell in cells):
            record = _from_sheet(f"row {number}", cells, places)
            if any(str(getattr(record, name)).endswith(CUT_MARK) for name in places):
                record = _joined(record, number + 1, texts(path), places)
            yield record


def _joined(record: Record, row: int, texts: WholeTexts, columns: Iterable[str]) -> Record:
    """Return a row of vlmake's own export with the whole texts of its cut cells, as far as they are there."""
    shown = {name: getattr(record, name) for name in columns}
    whole = {name: texts.whole(row, name, text) for name, text in shown.items() if text is not None}
    found = {name: text for name, text in whole.items() if text is not None}
    return replace(record, **found, came_as="joined" if "prediction" in found else record.came_as)


def _from_sheet(place: Place, cells: Sequence[Any], places: dict[str, int]) -> Record:
    """Return a spreadsheet's row, its texts as they were before the format's own escapes."""
    found = {name: cells[column] if column < len(cells) else None for name, column in places.items()}
    values = {name: None if cell is None else _plain(cell.value) for name, cell in found.items()}
    texts = {name: None if text is None else _CONTROL.sub(_control, text) for name, text in values.items()}
    answer = found["prediction"]
    if answer is not None and answer.data_type == "f":
        came_as: CameAs = "formula"
    elif texts["prediction"] != values["prediction"]:
        came_as = "escaped"
    else:
        came_as = "text" if answer is None else _kind(answer.value)
    return Record(place, **texts, came_as=came_as)


# Control characters are no XML: a spreadsheet holds them as escapes (ECMA-376 part 1, ST_Xstring).
# Where a text is no shared string, openpyxl leaves the escape of an escape to its caller as well.
_CONTROL = re.compile(r"_x(00[01][0-9A-Fa-f]|[Ff]{3}[EeFf]|005[Ff])_")


def _control(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _kind(value: Any) -> CameAs:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float) and not (isinstance(value, float) and math.isnan(value)):
        return "number"
    return "text"


def _plain(value: Any) -> str | None:
    """Return a typed cell as text: whole numbers without a point, as spreadsheets show them; NaN is no text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(text := getattr(value, "text", None), str):  # a formula over several cells
        return f"{{{text}}}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _places(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Return where the columns stand; VlmakeError when one that is needed is missing or there twice."""
    names = [name.removeprefix("\ufeff").strip() for name in header]
    _check_columns(path, names)
    for name in COLUMNS:
        if names.count(name) > 1:
            raise VlmakeError(f"{path}: column '{name}' is there {counted(names.count(name), 'time')}")
    return {name: names.index(name) for name in (*COLUMNS, *OTHER_COLUMNS) if name in names}


def _check_columns(path: Path, names: Any, where: str = "") -> None:
    for column in COLUMNS:
        if column not in names:
            raise VlmakeError(
                f"{path}: no '{column}'{where}{did_you_mean(column, names)} (there is: {', '.join(names)})"
            )


def _from_cells(place: Place, cells: Sequence[str | None], places: dict[str, int]) -> Record:
    return Record(place, **{name: cells[column] for name, column in places.items()}, came_as="text")


def _utf8(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VlmakeError(f"cannot read {path}: {error.strerror}") from error
    try:
        return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise VlmakeError(f"{path}: line {line} is not UTF-8 text; save the file as UTF-8") from None


PICKLES = frozenset({".pkl", ".pickle"})

READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
    ".xlsx": _read_xlsx,
}
