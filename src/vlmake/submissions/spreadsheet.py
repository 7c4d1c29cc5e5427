"""A sheet of texts as xlsx: texts stay texts (``=1+1`` is no formula), and equal rows give equal bytes."""

import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path

from vlmake.export import CELL_UNITS, storable, utf16_units
from vlmake.store import atomic_path

Cell = str | int | None

_MADE = datetime(2000, 1, 1)  # what the file says of its age; the time of day would change its bytes
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_CORE = "docProps/core.xml"


def write_sheet(columns: Sequence[str], rows: Iterable[Sequence[Cell]], target: Path) -> int:
    """Write a workbook of one sheet atomically; return how many texts were cut to what a cell holds."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.xml.functions import tostring

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    cut = 0
    for row in (columns, *rows):
        cells: list[object] = []
        for value in row:
            if not isinstance(value, str):
                cells.append(value)
                continue
            whole = storable(value)
            cut += utf16_units(whole) > CELL_UNITS
            cell = WriteOnlyCell(sheet, value=_start(whole))
            cell.data_type = "s"
            cells.append(cell)
        sheet.append(cells)
    made = BytesIO()
    book.save(made)
    book.properties.created = book.properties.modified = _MADE
    with atomic_path(target) as temporary:
        _timeless(made, temporary, {_CORE: tostring(book.properties.to_tree())})
    return cut


def number_or_text(index: str) -> Cell:
    """Return an index that is a whole number as one: the servers look their answers up by number."""
    return int(index) if index.isascii() and index.isdecimal() and str(int(index)) == index else index


def _start(whole: str) -> str:
    if utf16_units(whole) <= CELL_UNITS:
        return whole
    encoded = whole.encode("utf-16-le", "surrogatepass")[: 2 * CELL_UNITS]
    return encoded.decode("utf-16-le", "ignore")


def _timeless(made: BytesIO, target: Path, instead: dict[str, bytes]) -> None:
    """Pack a zip archive again without times, and with other content for some of its files."""
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(target, "w") as packed:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, instead.get(name) or source.read(name), zipfile.ZIP_DEFLATED)
