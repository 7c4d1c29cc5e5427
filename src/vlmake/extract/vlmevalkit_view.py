"""A benchmark and its predictions as VLMEvalKit's scorers see them.

VLMEvalKit reads the benchmark's TSV with pandas, writes it with the predictions to a spreadsheet through xlsxwriter,
and reads that with pandas before it scores. On the way ``NA`` and ``null`` become missing values, a column of numbers
becomes numeric (``007`` is 7, and ``4`` beside a hole is 4.0), a column of True and False becomes boolean, long texts
are cut and long links vanish. This module sends the columns through pandas' own readers, so that those rules are
pandas' and not a copy, and repeats by hand only what xlsxwriter does to a cell.
"""

import csv
import io
import re
import string
from collections.abc import Sequence
from typing import Any

import pandas as pd
from pandas.io.parsers import TextParser  # type: ignore[attr-defined]  # the stubs leave it out

from vlmake.tables.spreadsheet_cells import start_of, utf16_units

SCORED_COLUMNS = ("answer", "category", "l2-category", "split", "image_path", *string.ascii_uppercase)
"""The columns that scoring rules of any benchmark read; the others stay out, for speed."""

LINK_UNITS = 2_079
"""Longest address, and longest part after its ``#``, that xlsxwriter writes as a link."""

_LINK = re.compile(r"(?:ftp|http)s?://|mailto:|(?:in|ex)ternal:|file://")
_ESCAPE = re.compile(r"(_x[0-9a-fA-F]{4}_)")
_CONTROL = re.compile("([\x00-\x08\x0b-\x1f])")


def read_as_tsv(samples: pd.DataFrame, more: Sequence[str] = ()) -> pd.DataFrame:
    """Return the scored columns of ``samples`` (text with nulls) as ``pandas.read_csv`` reads them from the TSV.

    ``more`` names columns that only this benchmark's metric reads.
    """
    names = [name for name in (*SCORED_COLUMNS, *more) if name in samples.columns]
    if not names or not len(samples):
        return pd.DataFrame({name: [] for name in names}, index=range(len(samples)))
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(
        zip(*(samples[name].astype(object).where(samples[name].notna(), "") for name in names), strict=True)
    )
    buffer.seek(0)
    return pd.read_csv(buffer, sep="\t", skip_blank_lines=False)


def through_spreadsheet(benchmark: pd.DataFrame, predictions: Sequence[str | None], formulas: bool) -> pd.DataFrame:
    """Return the benchmark's columns and ``prediction`` as they come back from the prediction file.

    Args:
        benchmark: Columns as ``read_as_tsv`` returns them, one row a prediction.
        predictions: The models' texts; None is written as an empty cell.
        formulas: Whether a text that starts with ``=`` becomes a formula, which reads back as 0 (ms-vlmeval), or
            stays text (VLMEvalKit main).

    Returns:
        Columns of whatever type pandas infers: text, numbers, booleans, with missing values.
    """
    columns = {str(name): benchmark[name].tolist() for name in benchmark.columns} | {"prediction": list(predictions)}
    if not len(predictions):
        return pd.DataFrame(columns)
    written = [_written(column, formulas) for column in columns.values()]
    rows: list[list[Any]] = [list(columns), *(list(row) for row in zip(*written, strict=True))]
    seen = TextParser(rows, header=0, skip_blank_lines=False).read()
    assert isinstance(seen, pd.DataFrame)
    return seen


def has_formula(benchmark: pd.DataFrame, predictions: Sequence[str | None]) -> bool:
    """Return whether the two releases would write any cell differently."""
    texts: set[Any] = set(predictions)
    for name in benchmark.columns:
        if benchmark[name].dtype.kind not in "ifb":
            texts.update(benchmark[name].tolist())
    return any(isinstance(value, str) and _is_formula(value) for value in texts)


def as_text(values: pd.Series) -> list[str]:
    """Return every value as Python's ``str`` shows it, as the scorers do: ``nan`` for a missing one, ``4.0``."""
    if values.dtype.kind in "ifb":
        return [str(value) for value in values.tolist()]
    return [value if isinstance(value, str) else "nan" if pd.isna(value) else str(value) for value in values.tolist()]


def _written(column: Sequence[Any], formulas: bool) -> list[Any]:
    """Return a column's cells after the spreadsheet; equal texts, of which columns are full, are looked at once."""
    texts = {value: _text_cell(value, formulas) for value in {value for value in column if isinstance(value, str)}}
    return [texts[value] if isinstance(value, str) else _cell(value) for value in column]


def _cell(value: Any) -> Any:
    """Return what a value that is no text looks like after xlsxwriter wrote it and openpyxl read it."""
    if isinstance(value, bool):
        return value
    if value is None or pd.isna(value):
        return ""
    if value in (float("inf"), float("-inf")):
        return str(value)
    number = float(f"{value:.16G}")  # xlsxwriter's digits; pandas turns whole numbers into integers
    return int(number) if number == int(number) else number


def _text_cell(text: str, formulas: bool) -> Any:
    if formulas and _is_formula(text):
        return 0
    if ":" in text and _LINK.match(text):
        address, _, anchor = text.partition("#")
        if utf16_units(address) > LINK_UNITS or utf16_units(anchor) > LINK_UNITS:
            return ""
        text = _link_text(text)
    text = start_of(text)
    if text.startswith("<r>") and text.endswith("</r>"):
        return ""  # taken for a formatted text, of which nothing comes back
    if text.isprintable() and "x" not in text:
        return text
    text = _ESCAPE.sub(r"_x005F\1", text)
    text = _CONTROL.sub(lambda match: f"_x{ord(match[1]):04X}_", text)
    text = text.replace("\ufffe", "_xFFFE_").replace("\uffff", "_xFFFF_")
    return text.replace("x005F_", "")  # openpyxl's way to undo the escape


def _is_formula(text: str) -> bool:
    return text.startswith("=") or (text.startswith("{=") and text.endswith("}"))


def _link_text(text: str) -> str:
    """Return what xlsxwriter shows in the cell of a link: without the scheme, for those that are no web address."""
    if text.startswith(("mailto:", "internal:")):
        return text.partition(":")[2]
    if text.startswith(("external:", "file://")):
        path = text.replace("external:", "file:///", 1).replace("file:///", "", 1).replace("file://", "", 1)
        return path.replace("/", "\\")
    return text
