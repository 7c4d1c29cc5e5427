"""Spreadsheets: xlsx files of typed cells are written, and the first sheet of anybody's is read.

Texts stay texts (``=1+1`` is no formula, ``#N/A`` no error, an address no link) and equal rows give equal bytes. They
stand in the table of shared strings, as Excel keeps them, because readers built on openpyxl, pandas among them, undo
the format's escapes there and nowhere else: a literal ``_x0041_``, which Excel would show as ``A``, is written as
``_x005F_x0041_`` and read back as it was. (openpyxl removes ``x005F_`` wherever it meets it; a text that itself
holds these six letters loses them there.)
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from vlmake.errors import VlmakeError
from vlmake.tables.spreadsheet_cells import start_of

Cell = str | int | float | bool | None

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_FORBIDDEN = {**_PICTURES, **dict.fromkeys((*range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd")}
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEADER_STAYS = (
    '<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft"'
    ' state="frozen"/></sheetView></sheetViews>'
)


@dataclass(frozen=True)
class Sheet:
    """One sheet to write; None and an empty text are empty cells."""

    name: str
    rows: Iterable[Sequence[Cell]]
    header_stays: bool = False


def storable(text: str) -> str:
    """Return the text as XML can hold it: pictures in place of control characters, U+FFFD for what is no character."""
    return text.translate(_FORBIDDEN)


def escaped(text: str) -> str:
    """Return the text as a cell stores it: what looks like an escape of the format (``_x0041_``) is told from one."""
    return _LOOKS_ESCAPED.sub("_x005F_", text)


def write_workbook(sheets: Sequence[Sheet], target: Path) -> int:
    """Write a workbook, not atomically; return how many texts were cut to what a cell holds."""
    strings: dict[str, int] = {}
    cut = 0
    with zipfile.ZipFile(target, "w") as packed:
        for number, sheet in enumerate(sheets, 1):
            with packed.open(_entry(f"xl/worksheets/sheet{number}.xml"), "w") as file:
                stays = _HEADER_STAYS if sheet.header_stays else ""
                file.write(f'{_XML}<worksheet xmlns="{_MAIN}">{stays}<sheetData>'.encode())
                for place, row in enumerate(sheet.rows, 1):
                    line, shortened = _row(place, row, strings)
                    file.write(line.encode())
                    cut += shortened
                file.write(b"</sheetData></worksheet>")
        with packed.open(_entry("xl/sharedStrings.xml"), "w") as file:
            file.write(f'{_XML}<sst xmlns="{_MAIN}">'.encode())
            for text in strings:
                file.write(f'<si><t xml:space="preserve">{escape(escaped(text))}</t></si>'.encode())
            file.write(b"</sst>")
        for name, content in _frame([sheet.name for sheet in sheets]).items():
            packed.writestr(_entry(name), _XML + content)
    return cut


def _row(place: int, row: Sequence[Cell], strings: dict[str, int]) -> tuple[str, int]:
    """Return a row as XML and how many of its texts were cut; its texts are entered in ``strings``."""
    cells: list[str] = []
    cut = 0
    for column, value in enumerate(row):
        where = f"{_letters(column)}{place}"
        if isinstance(value, bool):
            cells.append(f'<c r="{where}" t="b"><v>{int(value)}</v></c>')
        elif isinstance(value, str) or value != value or value in (float("inf"), float("-inf")):
            whole = storable(value if isinstance(value, str) else str(value))
            text = start_of(whole)
            cut += text != whole
            if text:
                cells.append(f'<c r="{where}" t="s"><v>{strings.setdefault(text, len(strings))}</v></c>')
        elif value is not None:
            cells.append(f'<c r="{where}"><v>{value!r}</v></c>')
    return f'<row r="{place}">{"".join(cells)}</row>', cut


def _letters(column: int) -> str:
    """Return a column's letters, counted from 0: A to Z, then AA."""
    first, last = divmod(column, 26)
    return (_letters(first - 1) if first else "") + chr(ord("A") + last)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _ZIP_TIME)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _frame(names: Sequence[str]) -> dict[str, str]:
    """Return the parts of a workbook that say which other parts there are."""
    numbers = range(1, len(names) + 1)
    parts = {f"worksheets/sheet{number}.xml": "worksheet" for number in numbers}
    parts |= {"sharedStrings.xml": "sharedStrings", "styles.xml": "styles"}
    overrides = "".join(
        f'<Override PartName="/xl/{part}" ContentType="{_TYPES}.{kind}+xml"/>' for part, kind in parts.items()
    )
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{part}"/>'
        for number, (part, kind) in enumerate(parts.items(), 1)
    )
    sheets = "".join(
        f'<sheet name="{escape(name)}" sheetId="{number}" r:id="rId{number}"/>' for number, name in enumerate(names, 1)
    )
    return {
        "xl/styles.xml": (
            f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
            '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/>'
            '</fill></fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0"'
            ' fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="1"><xf numFmtId="0" fontId="0" fillId="0"'
            ' borderId="0" xfId="0"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/>'
            "</cellStyles></styleSheet>"
        ),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}</Relationships>',
        "_rels/.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{_OFFICE}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>'
        ),
        "[Content_Types].xml": (
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels"'
            ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml"'
            f' ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main'
            f'+xml"/>{overrides}</Types>'
        ),
    }


# What zipfile, the XML parsers and openpyxl raise when they meet a damaged, encrypted or foreign file.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def first_sheet(path: Path) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a workbook's first sheet, as ``rows_of_sheet`` does."""
    return rows_of_sheet(path, lambda sheets: sheets[0])


def rows_of_sheet(path: Path, choose: Callable[[Sequence[Any]], Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the sheet that ``choose`` returns of all, as openpyxl's cells, formulas as their text.

    Raises VlmakeError, as one line, for a file that is damaged, encrypted or no spreadsheet, whenever that shows.
    """
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    damage = (*_DAMAGE, InvalidFileException)
    try:
        book = load_workbook(path, read_only=True, data_only=False)
    except damage as error:
        raise VlmakeError(f"{path}: not a readable spreadsheet: {_said(error)}") from None
    try:
        sheet = choose(book.worksheets)
        sheet.reset_dimensions()
        yield from sheet.iter_rows()
    except damage as error:
        raise VlmakeError(f"{path}: its sheet is damaged or no table: {_said(error)}") from None
    finally:
        book.close()


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
