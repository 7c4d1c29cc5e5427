"""Tables and JSON in files, read and written by their ending, as VLMEvalKit's development guide has them."""

import csv
import json
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from vlmake.errors import VlmakeError
from vlmake.tables.plain_values import unboxed
from vlmake.tables.predictions_io import PICKLES
from vlmake.tables.spreadsheets import Cell, Sheet, write_workbook


def load(f: str | Path, fmt: str | None = None) -> Any:
    """Return the content of a file by its ending (or ``fmt``), tables as pandas reads them when it is told nothing.

    tsv, csv, xlsx: a DataFrame. json: what it holds. jsonl: a list of what its lines hold.

    Raises:
        VlmakeError: A pickle, which is never read because loading one runs code, or an unknown ending.
    """
    return _LOADERS[_format(f, fmt, "read")](Path(f))


def dump(data: Any, f: str | Path, **kwargs: Any) -> None:
    """Write ``data`` to a file by its ending: a DataFrame to tsv, csv or xlsx, anything plain to json or jsonl.

    In xlsx texts stay texts (``=1+1`` is no formula) and are cut after 32,767 UTF-16 units, the format's limit.

    Raises:
        VlmakeError: A pickle, which is never written, or an unknown ending.
    """
    _DUMPERS[_format(f, None, "written")](data, Path(f), **kwargs)


def _format(file: str | Path, fmt: str | None, done: str) -> str:
    ending = f".{fmt}" if fmt else Path(file).suffix
    if ending.lower() in PICKLES:
        raise VlmakeError(f"{file}: pickles are not {done}, because loading one runs code; use json, tsv or xlsx")
    if ending.lower() not in _LOADERS:
        raise VlmakeError(f"{file}: unknown format '{ending}'; known: {', '.join(_LOADERS)}")
    return ending.lower()


def _load_jsonl(file: Path) -> list[Any]:
    with file.open(encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def _dump_json(data: Any, file: Path, indent: int | None = 4) -> None:
    file.write_text(json.dumps(data, ensure_ascii=False, indent=indent, default=_plain), encoding="utf-8")


def _dump_jsonl(data: Any, file: Path) -> None:
    lines = data.to_dict("records") if isinstance(data, pd.DataFrame) else data
    file.write_text(
        "".join(f"{json.dumps(line, ensure_ascii=False, default=_plain)}\n" for line in lines), encoding="utf-8"
    )


def _plain(value: Any) -> Any:
    """Return numpy's values as JSON has them."""
    plain = unboxed(value)
    if plain is value:
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    return plain


def _dump_delimited(separator: str) -> Callable[..., None]:
    def write(data: Any, file: Path, quoting: Literal[0, 1, 2, 3] = csv.QUOTE_ALL) -> None:
        pd.DataFrame(data).to_csv(file, sep=separator, index=False, encoding="utf-8", quoting=quoting)

    return write


def _dump_xlsx(data: Any, file: Path) -> None:
    frame = pd.DataFrame(data)
    rows = ([_cell(value) for value in row] for row in frame.itertuples(index=False, name=None))
    write_workbook([Sheet("Sheet1", chain([[_cell(name) for name in frame.columns]], rows))], file)


def _cell(value: Any) -> Cell:
    value = unboxed(value)
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    return value if isinstance(value, bool | int | float) else str(value)


def _load_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


_LOADERS: Mapping[str, Callable[[Path], Any]] = {
    ".tsv": lambda file: pd.read_csv(file, sep="\t"),
    ".csv": lambda file: pd.read_csv(file),
    ".xlsx": lambda file: pd.read_excel(file, engine="openpyxl"),
    ".json": _load_json,
    ".jsonl": _load_jsonl,
}
_DUMPERS: Mapping[str, Callable[..., None]] = {
    ".tsv": _dump_delimited("\t"),
    ".csv": _dump_delimited(","),
    ".xlsx": _dump_xlsx,
    ".json": _dump_json,
    ".jsonl": _dump_jsonl,
}
