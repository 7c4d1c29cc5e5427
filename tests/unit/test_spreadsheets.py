"""Spreadsheets that others damaged, and texts that look like escapes of their format."""

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from vlmake.dataset_classes.files import dump, load
from vlmake.errors import VlmakeError
from vlmake.tables.predictions_io import read_records
from vlmake.tables.spreadsheet_cells import CELL_UNITS, start_of, utf16_units
from vlmake.tables.spreadsheets import Cell, Sheet, first_sheet, write_workbook

SHEET = "xl/worksheets/sheet1.xml"


def write(path: Path, rows: list[list[Cell]]) -> Path:
    write_workbook([Sheet("Sheet1", rows)], path)
    return path


def predictions(path: Path, texts: list[str]) -> Path:
    return write(path, [["index", "prediction"], *([number, text] for number, text in enumerate(texts))])


def mutated(content: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        return content[: chance.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(chance.choice([1, 2, 8])):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def mutated_inside(content: bytes, chance: random.Random) -> bytes:
    """Return the archive with one of its files changed and packed again, whole."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(made, "w") as packed:
        target = chance.choice([*source.namelist(), *[SHEET] * 8])
        for name in source.namelist():
            part = source.read(name)
            packed.writestr(name, mutated(part, chance) if name == target else part)
    return made.getvalue()


@pytest.mark.parametrize("damage", [mutated, mutated_inside])
@pytest.mark.parametrize("engine", ["xlsxwriter", "openpyxl"])
def test_a_damaged_spreadsheet_is_one_line_that_names_it(
    tmp_path: Path, engine: str, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    chance = random.Random(5)
    file = tmp_path / "damaged.xlsx"
    frame = pd.DataFrame({"index": range(20), "prediction": ["Yes", "=1", "é x", "a\tb"] * 5, "status": "ok"})
    frame.to_excel(file, index=False, engine=engine)
    whole, refused = file.read_bytes(), 0
    for _ in range(150):
        file.write_bytes(damage(whole, chance))
        try:
            list(read_records(file))
        except VlmakeError as error:
            assert str(error).startswith(str(file)) and "\n" not in str(error)
            refused += 1
    assert refused > 20


def test_an_encrypted_or_unknown_part_is_one_line(tmp_path: Path) -> None:
    file = predictions(tmp_path / "p.xlsx", ["Yes"])
    whole = file.read_bytes()
    for offset, value in ((8, 1), (10, 99)):  # flags and method in a central directory's entry
        changed = bytearray(whole)
        place = changed.find(b"PK\x01\x02")
        while place >= 0:
            changed[place + offset] = value
            place = changed.find(b"PK\x01\x02", place + 4)
        file.write_bytes(bytes(changed))
        with pytest.raises(VlmakeError, match=r"p\.xlsx: not a readable spreadsheet") as caught:
            list(read_records(file))
        assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_is_one_line(tmp_path: Path) -> None:
    chance = random.Random(7)
    file = tmp_path / "p.parquet"
    pd.DataFrame({"index": range(40), "prediction": ["Yes", "é x"] * 20}).to_parquet(file)
    whole, refused = file.read_bytes(), 0
    for _ in range(150):
        file.write_bytes(mutated(whole, chance))
        try:
            list(read_records(file))
        except VlmakeError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 20


LOOKS_ESCAPED = ["_x0041_", "a_x0041_x0042_b", "__x000d__", "_xFFFE", "_x00e9_ _x00E9_", "x0041_"]


def test_a_text_that_looks_like_an_escape_comes_back_and_is_stored_as_none(tmp_path: Path) -> None:
    file = predictions(tmp_path / "p.xlsx", LOOKS_ESCAPED)
    with zipfile.ZipFile(file) as packed:
        strings = packed.read("xl/sharedStrings.xml").decode()
    assert ">_x005F_x0041_</t>" in strings and ">a_x005F_x0041_x005F_x0042_b</t>" in strings
    assert pd.read_excel(file)["prediction"].tolist() == LOOKS_ESCAPED
    assert [row[1].value for row in list(first_sheet(file))[1:]] == LOOKS_ESCAPED
    plain = [text for text in LOOKS_ESCAPED if "000d" not in text]
    read = [record.prediction for record in read_records(predictions(tmp_path / "q.xlsx", plain))]
    assert read == plain


def test_an_escape_that_openpyxl_leaves_is_undone(tmp_path: Path) -> None:
    """It undoes them in shared strings only, and writes none."""
    book = Workbook()
    for row in (["index", "prediction"], [0, "_x005F_x0041_"], [1, "_x005F_x000D_"]):
        book.active.append(row)
    book.save(tmp_path / "p.xlsx")
    assert [record.prediction for record in read_records(tmp_path / "p.xlsx")] == ["_x0041_", "_x000D_"]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(), max_size=30)))
def test_numbers_and_truth_values_come_back(rows: list[list[Cell]], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = write(tmp_path_factory.getbasetemp() / "numbers.xlsx", [["head"], *rows])
    seen = list(first_sheet(file))[1:]
    for row, cells in zip(rows, seen, strict=True):
        for number, value in enumerate(row):
            shown = cells[number].value if number < len(cells) else None
            odd = isinstance(value, float) and (value != value or value in (float("inf"), float("-inf")))
            assert shown == (str(value) if odd else value)
            assert odd or isinstance(shown, bool) == isinstance(value, bool)


def test_columns_beyond_z_have_two_letters(tmp_path: Path) -> None:
    file = write(tmp_path / "wide.xlsx", [list(range(800))])
    sheet = load_workbook(file)["Sheet1"]
    assert (sheet["Z1"].value, sheet["AA1"].value, sheet["ZZ1"].value, sheet["AAA1"].value) == (25, 26, 701, 702)


@given(st.text(st.sampled_from("aé😀\ud800"), max_size=12), st.integers(0, 12))
def test_a_cut_text_is_the_longest_start_that_fits(text: str, units: int) -> None:
    cut = start_of(text, units)
    if "\ud800" not in text:
        assert text.startswith(cut) and utf16_units(cut) <= units
        assert cut == text or utf16_units(text[: len(cut) + 1]) > units
    else:
        assert utf16_units(cut) <= units


def test_a_dataset_classs_long_text_is_cut_without_a_mark(tmp_path: Path) -> None:
    dump(pd.DataFrame({"prediction": ["x" * 40_000, "😀" * 20_000, "_x0041_"]}), tmp_path / "M_D.xlsx")
    assert load_workbook(tmp_path / "M_D.xlsx").sheetnames == ["Sheet1"]
    assert load(tmp_path / "M_D.xlsx")["prediction"].tolist() == [
        "x" * CELL_UNITS,
        "😀" * (CELL_UNITS // 2),
        "_x0041_",
    ]
