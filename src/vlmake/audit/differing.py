"""The samples on which two readings differ, as a file: csv for spreadsheet programs, or one JSON object a line."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlmake.audit.sheet import as_no_formula
from vlmake.errors import VlmakeError
from vlmake.store import write_text

FORMATS = (".csv", ".jsonl")


def check_name(file: Path) -> None:
    """Raise VlmakeError for a file of another kind."""
    if file.suffix.lower() not in FORMATS:
        raise VlmakeError(f"--out {file}: the differing samples are a .csv or .jsonl file")


def write_differing(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Write the samples atomically; csv is empty where there are none."""
    if file.suffix.lower() == ".jsonl":
        write_text(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    if rows:
        writer.writerow(rows[0])
    writer.writerows([as_no_formula(_cell(cell)) for cell in row.values()] for row in rows)
    write_text(file, "\ufeff" + text.getvalue())  # Excel takes a file without the mark for an old code page


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_cell, value))
    return "" if value is None else str(value)
