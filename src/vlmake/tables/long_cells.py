"""Texts longer than a spreadsheet's cell: cut where they stand, and whole, in pieces, on a second sheet.

The sheet is called ``long cells`` and has the columns row (as the spreadsheet numbers it), column, part (from 1), text.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vlmake.tables.spreadsheet_cells import CELL_UNITS, start_of, utf16_units
from vlmake.tables.spreadsheets import rows_of_sheet, storable

SHEET = "long cells"
HEADS = ("row", "column", "part", "text")
CUT_MARK = f" … [cut; whole on the sheet '{SHEET}']"


def is_long(text: str) -> bool:
    """Tell whether a cell cannot hold a text."""
    return utf16_units(text) > CELL_UNITS


def shown(text: str) -> str:
    """Return what a cell shows of a long text: its start and ``CUT_MARK``."""
    return start_of(storable(text), CELL_UNITS - len(CUT_MARK)) + CUT_MARK


def pieces(cells: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, int, str]]:
    """Yield the rows of the second sheet, for cells given as row, column and text."""
    for row, column, text in cells:
        part, rest = 1, text
        while rest:
            piece = start_of(rest)
            yield row, column, part, piece
            part, rest = part + 1, rest[len(piece) :]


class WholeTexts:
    """The whole texts of a workbook's cut cells; none where it has no such second sheet."""

    def __init__(self, path: Path) -> None:
        """Read the second sheet; VlmakeError for a workbook that cannot be read."""
        texts: dict[tuple[str, str], list[tuple[int, str]]] = {}
        lines = rows_of_sheet(path, _long_cells_page)
        if tuple(cell.value for cell in next(lines, ())) == HEADS:
            for cells in lines:
                row, column, part, text = (cell.value for cell in cells[: len(HEADS)]) if len(cells) > 3 else [None] * 4
                if isinstance(part, int) and isinstance(text, str):
                    texts.setdefault((str(row), str(column)), []).append((part, text))
        self._texts = {place: "".join(text for _, text in sorted(parts)) for place, parts in texts.items()}

    def whole(self, row: int, column: str, text: str) -> str | None:
        """Return the whole text of a cut cell: that of its row, or, in a sheet that was sorted, the only one that fits.

        None where there is no such text.
        """
        if not text.endswith(CUT_MARK):
            return None
        start = text.removesuffix(CUT_MARK)
        fitting = {
            place: whole for place, whole in self._texts.items() if place[1] == column and whole.startswith(start)
        }
        if (own := fitting.get((str(row), column))) is not None:
            return own
        return next(iter(fitting.values())) if len(set(fitting.values())) == 1 else None


def _long_cells_page(pages: Sequence[Any]) -> Any:
    """Return the second sheet by its name, else the first sheet, whose heads are others."""
    return next((page for page in pages[1:] if page.title == SHEET), pages[0])
