"""A sheet of texts as xlsx: texts stay texts (``=1+1`` is no formula), and equal rows give equal bytes."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from vlmake.store import atomic_path
from vlmake.tables.spreadsheets import Cell, Sheet, write_workbook


def write_sheet(columns: Sequence[str], rows: Iterable[Sequence[Cell]], target: Path) -> int:
    """Write a workbook of one sheet atomically; return how many texts were cut to what a cell holds."""
    with atomic_path(target) as temporary:
        return write_workbook([Sheet("Sheet1", chain([columns], rows))], temporary)


def number_or_text(index: str) -> Cell:
    """Return an index that is a whole number as one: the servers look their answers up by number."""
    return int(index) if index.isascii() and index.isdecimal() and str(int(index)) == index else index
