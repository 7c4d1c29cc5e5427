"""The sheet that a person fills in: csv or xlsx, written so that texts stay texts, read as programs save it.

Only the columns ``sample`` and ``label``, in any case, are read back; in xlsx they may be on any sheet. In csv a cell
that a spreadsheet program would take for a formula starts with an apostrophe; in xlsx cells are typed and texts are as
they are.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from vlmake.audit.draw import FORMAT, Drawing
from vlmake.audit.labels import parse_label
from vlmake.audit.record import fault_in
from vlmake.errors import VlmakeError, did_you_mean
from vlmake.store import atomic_path, write_text
from vlmake.tables import export
from vlmake.tables.spreadsheets import escaped, rows_of_sheet

FORMATS = (".csv", ".xlsx")
COLUMNS = ("sample", "dataset", "index", "model", "question", "options", "prediction", "label")

_READ = ("sample", "label")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")
_WIDTHS = {"sample": 13, "dataset": 16, "index": 10, "model": 10, "question": 45, "options": 35, "prediction": 70}


def record_file(sheet: Path) -> Path:
    """Return where the JSON file beside a sheet is."""
    return sheet.with_suffix(".json")


def result_file(sheet: Path) -> Path:
    """Return where the figures of a labelled sheet are written."""
    return sheet.with_suffix(".result.json")


def write_sheet(drawing: Drawing, sheet: Path) -> None:
    """Write a sheet to be labelled and the JSON file beside it; raise VlmakeError if one of them is there."""
    if sheet.suffix.lower() not in FORMATS:
        raise VlmakeError(f"--out {sheet}: a sheet is a .csv or .xlsx file")
    for file in (sheet, record_file(sheet)):
        if file.exists() or file.is_symlink():
            raise VlmakeError(f"{file} is there and may hold labels; name another file, or remove it yourself")
    rows = list(_cells(drawing))
    if sheet.suffix.lower() == ".xlsx":
        columns = list(zip(*rows, strict=True))
        table = pa.table({name: pa.array(cells, pa.string()) for name, cells in zip(COLUMNS, columns, strict=True)})
        with atomic_path(sheet) as temporary:
            export.FORMATS["xlsx"](table, temporary)
            _lay_out(temporary, drawing.record["how_to_label"])
    else:
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerows([COLUMNS, *([as_no_formula(cell) for cell in row] for row in rows)])
        write_text(sheet, "\ufeff" + text.getvalue())  # Excel takes a file without the mark for an old code page
    write_text(record_file(sheet), json.dumps(drawing.record, ensure_ascii=False, indent=1) + "\n")


def _cells(drawing: Drawing) -> Iterator[tuple[str, ...]]:
    for drawn in drawing.rows:
        row = drawn.row
        options = "\n".join(f"{letter}. {text}" for letter, text in row.options.items())
        shown = options if row.task == "multiple_choice" else ""
        model = drawing.models[row.model]
        yield drawn.sample, row.dataset, row.index, model, row.question, shown, row.prediction, ""


def as_no_formula(cell: str) -> str:
    """Return a cell of csv that no spreadsheet program takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _lay_out(path: Path, how_to_label: Sequence[str]) -> None:
    """Give the workbook widths, wrapped lines, labels that stay as typed, and a sheet that says how to label."""
    from openpyxl import load_workbook
    from openpyxl.styles import Alignment
    from openpyxl.utils import get_column_letter

    with path.open("rb") as file:  # its temporary name has no ending that openpyxl knows
        book = load_workbook(file)
    for cell in (cell for page in book.worksheets for cells in page.iter_rows() for cell in cells):
        if isinstance(cell.value, str) and (text := escaped(cell.value)) != cell.value:
            cell.value, cell.data_type = text, "s"  # openpyxl undid the escapes when it read the texts
    sheet = book.worksheets[0]
    sheet.title = "labels"
    for number, name in enumerate(COLUMNS, 1):
        sheet.column_dimensions[get_column_letter(number)].width = _WIDTHS.get(name, 12)
    for cells in sheet.iter_rows(min_row=2):
        for cell in cells:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
        cells[-1].number_format = "@"  # text: 1e5 and 1/2 are labels, not numbers and dates
    book.create_sheet("how to label").column_dimensions["A"].width = 120
    for line in how_to_label:
        book["how to label"].append([line])
        book["how to label"].cell(book["how to label"].max_row, 1).data_type = "s"
    book.save(path)


def read_record(sheet: Path) -> dict[str, Any]:
    """Return the content of the JSON file beside a sheet; VlmakeError when it is missing or none."""
    file = record_file(sheet)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VlmakeError(f"{file} is not there: it was written beside the sheet and belongs to it") from None
    except (OSError, ValueError) as error:
        raise VlmakeError(f"{file} cannot be read: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise VlmakeError(f"{file} is no file of `vlmake audit draw`, or of another version")
    if fault := fault_in(content):
        raise VlmakeError(
            f"{file} is not as `vlmake audit draw` wrote it ({fault}); bring that file back, or draw anew"
        )
    return content


def _answer(cell: str, row: Mapping[str, Any]) -> str | None:
    return parse_label(cell, row["task"], row["options"])


def read_labels(
    sheet: Path, rows: Sequence[Mapping[str, Any]], parse: Callable[[str, Mapping[str, Any]], str | None] = _answer
) -> dict[str, str]:
    """Return sample → category for every labelled row of a sheet.

    Args:
        sheet: csv (comma, semicolon or tab; with or without a byte order mark) or xlsx.
        rows: The drawn rows of the JSON file beside the sheet.
        parse: Returns the category that a cell says of a drawn row, None for one that is not filled in.

    Raises:
        VlmakeError: An unreadable file; a label that the question does not have, a sample that is there twice or was
            never drawn, each with its row (as the spreadsheet numbers it) and column.
    """
    drawn = {row["sample"]: row for row in rows}
    seen: dict[str, int] = {}
    labels: dict[str, str] = {}
    for number, sample, cell in _read(sheet):
        row = drawn.get(sample)
        if row is None:
            raise VlmakeError(
                f"{sheet}: row {number}, column 'sample': '{sample}' was not drawn for this sheet"
                f"{did_you_mean(sample, drawn)} (the JSON file beside it is {record_file(sheet).name})"
            )
        if sample in seen:
            raise VlmakeError(f"{sheet}: row {number}, column 'sample': '{sample}' is in row {seen[sample]} as well")
        seen[sample] = number
        try:
            label = parse(cell, row)
        except VlmakeError as error:
            raise VlmakeError(f"{sheet}: row {number}, column 'label': {error}") from None
        if label is not None:
            labels[sample] = label
    return labels


def _read(sheet: Path) -> Iterator[tuple[int, str, str]]:
    """Yield row number, sample and label of every row that is not empty."""
    if sheet.suffix.lower() not in FORMATS:
        raise VlmakeError(f"{sheet}: a labelled sheet is a .csv or .xlsx file")
    if not sheet.is_file():
        raise VlmakeError(f"cannot read {sheet}: no such file")
    rows = _xlsx_rows(sheet) if sheet.suffix.lower() == ".xlsx" else _csv_rows(sheet)
    header: list[str] | None = None
    for number, cells in rows:
        if header is None:
            header = _header(cells)
            for name in _READ:
                if header.count(name) != 1:
                    has = "more than one" if name in header else "no"
                    raise VlmakeError(f"{sheet}: row {number} is the header and has {has} column '{name}'")
            continue
        filled = dict(zip(header, cells, strict=False))
        if any(cell.strip() for cell in cells):
            yield number, filled.get("sample", "").strip(), filled.get("label", "")
    if header is None:
        raise VlmakeError(f"{sheet}: it is empty")


def _csv_rows(sheet: Path) -> Iterator[tuple[int, list[str]]]:
    content = sheet.read_bytes()
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise VlmakeError(f"{sheet}: it is not UTF-8 text; save it as 'CSV UTF-8'") from None
    first = text.split("\n", 1)[0]
    named = first.lower().startswith("sep=")  # Excel's own way to name the delimiter
    delimiter = first[4:5] if named else max(",;\t", key=first.count)
    limit = csv.field_size_limit(1 << 30)
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 1):
            if number > 1 or not named:
                yield number, cells
    except csv.Error as error:
        raise VlmakeError(f"{sheet}: it is no table: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _xlsx_rows(sheet: Path) -> Iterator[tuple[int, list[str]]]:
    header: list[str] = []
    for number, cells in enumerate(rows_of_sheet(sheet, lambda pages: _labelled_page(sheet, pages)), 1):
        texts = [_text(cell.value) for cell in cells]
        header = header or _header(texts)
        for name, cell in zip(header, cells, strict=False):
            if name == "label" and getattr(cell, "data_type", "") in ("f", "e"):
                raise VlmakeError(f"{sheet}: row {number}, column 'label': a formula, not a label; type it as text")
        yield number, texts


def _labelled_page(sheet: Path, pages: Sequence[Any]) -> Any:
    """Return the page of a workbook whose first row has the columns that are read, or else the first with anything."""
    found, filled = [], []
    for page in pages:
        page.reset_dimensions()
        header = _header([_text(cell.value) for cell in next(page.iter_rows(), ())])
        found += [page] if set(_READ) <= set(header) else []
        filled += [page] if header else []
    if len(found) > 1:
        names = ", ".join(f"'{page.title}'" for page in found)
        raise VlmakeError(f"{sheet}: {names} all have the columns 'sample' and 'label'; keep one of these sheets")
    return [*found, *filled, *pages][0]


def _header(cells: Sequence[str]) -> list[str]:
    """Return the names of columns, which count in any case and spacing."""
    return [cell.strip().casefold() for cell in cells]


def _text(value: Any) -> str:
    """Return a cell as people see it: whole numbers without a point, truth values in capitals."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
