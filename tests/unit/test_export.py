"""Predictions as tables for people: what is written is what is read back, by every reader that people use."""

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from tests.conftest import Workplace
from vlmake import paths
from vlmake.commands.export import FORMATS as OFFERED
from vlmake.commands.export import command
from vlmake.data.tsv import TsvReader
from vlmake.errors import VlmakeError
from vlmake.importing.doubts import imported_rows
from vlmake.inference.predictions import PREDICTIONS
from vlmake.judges.judgements import write_fallback, write_judgements
from vlmake.scoring.score_files import JUDGED
from vlmake.tables import export
from vlmake.tables.export import FORMATS, exported_table, write_table
from vlmake.tables.long_cells import CUT_MARK
from vlmake.tables.predictions_io import read_predictions, read_records
from vlmake.tables.spreadsheet_cells import CELL_UNITS, utf16_units
from vlmake.tables.spreadsheets import storable

ODD = [
    "=1+1", "+1", "-1", "@SUM(A1)", "NA", "#N/A", "#REF!", "None", "nan", "007", "1e5", "1,000", "TRUE", "2026-01-02",
    "12:30", "http://example.org/" + "x" * 3000, "mailto:a@b.c", "'quoted", '"', 'a "b" c', "a\tb", "two\nlines",
    "  blanks  ", "\n",
    "émoji 🐕‍🦺 𝔸", "选B", "<b>&amp;</b>", "]]>", "{=1}", "_x0041_", "\u2028", "\x7f", "\x85",
]  # fmt: skip


def table_of(texts: Sequence[str | None]) -> pa.Table:
    indices = [str(number) for number in range(len(texts))]
    return pa.table({"index": pa.array(indices, pa.string()), "prediction": pa.array(texts, pa.string())})


def write(folder: Path, texts: Sequence[str | None], kind: str = "xlsx") -> Path:
    path = folder / f"out.{kind}"
    write_table(table_of(texts), path, kind)
    return path


def cells(path: Path, sheet: str = "predictions") -> list[tuple[object, ...]]:
    return list(load_workbook(path)[sheet].iter_rows(values_only=True))


def test_the_command_offers_every_format() -> None:
    assert tuple(FORMATS) == OFFERED


def test_a_spreadsheet_keeps_texts_as_texts(tmp_path: Path) -> None:
    path = write(tmp_path, ODD)
    assert [row[1] for row in cells(path)[1:]] == ODD
    sheet = load_workbook(path)["predictions"]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s"}
    assert not any(cell.hyperlink for row in sheet.iter_rows() for cell in row)
    as_text = pd.read_excel(path, dtype=str, keep_default_na=False)
    assert as_text["prediction"].tolist() == ODD
    read = read_predictions(path)
    assert read["prediction"].tolist() == ODD and read["index"].tolist() == [str(n) for n in range(len(ODD))]


def test_what_pandas_makes_of_it_by_itself(tmp_path: Path) -> None:
    """VLMEvalKit reads with pandas' defaults, which see gaps in texts such as NA and numbers in columns of digits."""
    read = pd.read_excel(write(tmp_path, ODD))
    gaps = {text for text, value in zip(ODD, read["prediction"], strict=True) if pd.isna(value)}
    assert gaps == {"NA", "#N/A", "None", "nan"}
    assert [value for value in read["prediction"] if not pd.isna(value)] == [text for text in ODD if text not in gaps]
    assert read["index"].tolist() == list(range(len(ODD)))


def test_control_characters_become_their_pictures(tmp_path: Path) -> None:
    assert cells(write(tmp_path, ["a\x00b\x01\x1b[0m\r\nc\td\ufffe\uffff"]))[1][1] == "a␀b␁␛[0m␍\nc\td\ufffd\ufffd"
    for code in range(0x20):
        assert storable(chr(code)) == (chr(code) if chr(code) in "\t\n" else chr(0x2400 + code))


@pytest.mark.parametrize("letter", ["x", "é", "🐕"])
def test_long_cells_stand_whole_on_the_second_sheet(tmp_path: Path, letter: str) -> None:
    unit = utf16_units(letter)
    fits, long, longer = (letter * (count // unit) for count in (CELL_UNITS, CELL_UNITS + 2, 3 * CELL_UNITS + 9))
    path = tmp_path / "out.xlsx"
    assert write_table(table_of(["short", fits, long, "=" + longer, "last"]), path, "xlsx") == 2
    shown = [str(row[1]) for row in cells(path)[1:]]
    assert shown[0] == "short" and shown[1] == fits and shown[4] == "last"
    for text, whole in ((shown[2], long), (shown[3], "=" + longer)):
        assert utf16_units(text) in (CELL_UNITS, CELL_UNITS - 1) and text.endswith(CUT_MARK)
        assert whole.startswith(text.removesuffix(CUT_MARK))
    heads, *pieces = cells(path, "long cells")
    assert heads == ("row", "column", "part", "text")
    assert [piece[:3] for piece in pieces] == [(4, "prediction", n) for n in (1, 2)] + [
        (5, "prediction", n) for n in (1, 2, 3, 4)
    ]
    assert "".join(str(piece[3]) for piece in pieces if piece[0] == 4) == long
    assert "".join(str(piece[3]) for piece in pieces if piece[0] == 5) == "=" + longer
    assert all(utf16_units(str(piece[3])) <= CELL_UNITS for piece in pieces)
    assert pd.read_excel(path)["prediction"].tolist() == shown


def test_long_cells_are_joined_again_even_where_people_sorted_the_sheet(tmp_path: Path) -> None:
    texts = ["short", "a" * 40_000 + "_x000D_", "🐕" * 20_000, None]
    questions = ["Q" * 50_000, "?", "?", "?"]
    path = tmp_path / "out.xlsx"
    write_table(table_of(texts).append_column("question", pa.array(questions)), path, "xlsx")
    assert [(record.prediction, record.question) for record in read_records(path)] == list(
        zip(texts, questions, strict=True)
    )
    assert [record.came_as for record in read_records(path)] == ["text", "joined", "joined", "text"]
    rows = imported_rows(read_records(path), ".xlsx")
    assert [row.doubts for row in rows] == [(), ("joined",), ("joined",), ("emptied",)]
    book = load_workbook(path)
    book["predictions"].move_range("A3:C3", rows=5)
    book.save(path)
    moved = {record.index: record.prediction for record in read_records(path)}
    assert [moved[str(number)] for number in range(4)] == texts


def test_a_cut_cell_whose_pieces_are_gone_or_do_not_fit_stays_cut(tmp_path: Path) -> None:
    path = write(tmp_path, ["a" * 40_000])
    for damage in ("another text", "no sheet"):
        book = load_workbook(path)
        if damage == "no sheet":
            del book["long cells"]
        else:
            book["long cells"]["D2"] = damage
        book.save(path)
        (row,) = imported_rows(read_records(path), ".xlsx")
        assert (row.doubts, str(row.prediction).endswith(CUT_MARK)) == (("cut",), True)


def test_without_long_cells_there_is_one_sheet(tmp_path: Path) -> None:
    assert load_workbook(write(tmp_path, ["a"])).sheetnames == ["predictions"]


def test_a_table_larger_than_a_sheet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SHEET_ROWS", 10)
    write(tmp_path, ["x"] * 9)
    with pytest.raises(VlmakeError, match=r"11 rows, header included, and 2 columns does not fit .* use --format csv"):
        write(tmp_path, ["x"] * 10)
    with pytest.raises(VlmakeError, match="14 rows, header included, and 4 columns does not fit"):
        write(tmp_path, ["x" * 400_000])
    assert len(list(tmp_path.iterdir())) == 1  # what was there before, and nothing half made
    assert len(write(tmp_path, ["x"] * 10, "csv").read_text().splitlines()) == 11


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.none() | TEXT, min_size=1, max_size=6))
def test_any_text_comes_back_from_text_formats(
    texts: list[str | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "texts"
    folder.mkdir(exist_ok=True)
    lines = write(folder, texts, "jsonl").read_text("utf-8").split("\n")[:-1]
    assert [json.loads(line)["prediction"] for line in lines] == texts
    assert [item["prediction"] for item in json.loads(write(folder, texts, "json").read_text("utf-8"))] == texts
    if not any("\0" in (text or "") for text in texts):  # which the reader takes for damage
        with TsvReader(write(folder, texts, "tsv")) as table:
            assert [row.cells[1] for row in table] == texts
        read = pd.read_csv(
            io.BytesIO(write(folder, texts, "csv").read_bytes()), dtype=str, keep_default_na=False, lineterminator="\n"
        )
        if not any("\r" in (text or "") for text in texts):  # pandas' own reader changes those
            assert read["prediction"].tolist() == [text or "" for text in texts]


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(TEXT.filter(bool), min_size=1, max_size=4))
def test_any_text_comes_back_from_a_spreadsheet_but_for_control_characters(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "sheets"
    folder.mkdir(exist_ok=True)
    assert [row[1] for row in cells(write(folder, texts))[1:]] == [storable(text) for text in texts]


def results(folder: Path, **columns: list[object]) -> tuple[Path, Path, Path]:
    """Samples, predictions and judged rows of three questions."""
    samples = {"index": ["a", "b", "c"], "question": ["Q1", "Q2", None], "status": ["own"] * 3, "images": [["d"]] * 3}
    samples |= {"image_error": [None] * 3, "group": ["d"] * 3, **columns}
    pq.write_table(pa.table(samples), folder / "samples.parquet")
    blank = {field.name: None for field in PREDICTIONS}
    answers = [
        blank | {"index": index, "repeat": 0, "key": index, "prediction": text, "status": status, "prompt_tokens": 5}
        for index, text, status in (("a", "Yes", "ok"), ("b", None, "model_error"), ("c", "007", "ok"))
    ]
    pq.write_table(pa.Table.from_pylist(answers, PREDICTIONS), folder / "predictions.parquet")
    none = {field.name: None for field in JUDGED}
    judged = [
        none | {"index": index, "protocol": protocol, "rule": "r", "extraction_status": "found", "status": "ok"}
        | {"extracted": protocol[:6], "hit": hit}
        for protocol, hit in (("vlmevalkit-main", 0.0), ("strict", 1.0))
        for index in ("c", "a")
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(judged, JUDGED), folder / "judged.parquet")
    return folder / "samples.parquet", folder / "predictions.parquet", folder / "judged.parquet"


def test_the_columns_of_an_export(tmp_path: Path) -> None:
    samples, predictions, judged = results(tmp_path)
    plain = exported_table(samples, predictions, None, "strict").to_pydict()
    assert list(plain) == ["index", "question", "tsv:status", "prediction", "status", "prompt_tokens"]
    assert plain["prediction"] == ["Yes", None, "007"] and plain["tsv:status"] == ["own"] * 3
    scored = exported_table(samples, predictions, judged, "strict").to_pydict()
    assert list(scored) == [*plain, "extracted", "rule", "hit", "extraction_status"]
    assert scored["hit"] == [1.0, None, 1.0] and scored["extracted"] == ["strict", None, "strict"]
    assert exported_table(samples, predictions, judged, "vlmevalkit-main")["hit"].to_pylist() == [0.0, None, 0.0]


def test_no_column_of_the_benchmark_is_lost_to_a_name(tmp_path: Path) -> None:
    samples, predictions, _ = results(tmp_path, **{"tsv:status": ["x"] * 3})
    table = exported_table(samples, predictions, None, "strict").to_pydict()
    assert table["tsv:tsv:status"] == ["own"] * 3 and table["tsv:status"] == ["x"] * 3


def test_predictions_of_another_benchmark_are_refused(tmp_path: Path) -> None:
    samples, predictions, _ = results(tmp_path)
    pq.write_table(pq.read_table(samples).slice(0, 1), samples)
    with pytest.raises(VlmakeError, match="index 'b' is not in"):
        exported_table(samples, predictions, None, "strict")


@pytest.mark.slow
def test_the_command_exports_what_a_run_made(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini@6", "--cores", "2")
    assert ran.code == 0, ran.output
    monkeypatch.chdir(workplace.folder)
    words = ["--model", "TinyVLM", "--dataset", "Mini@6"]
    for kind in OFFERED:
        done = CliRunner().invoke(command, [*words, "--out", f"out/x.{kind}"], catch_exceptions=False)
        assert (done.exit_code, done.output) == (0, "")
    sheet = pd.read_excel(workplace.folder / "out" / "x.xlsx")
    assert {"index", "question", "category", "answer", "prediction", "extracted", "hit"} <= set(sheet.columns)
    assert not {"image", "images"} & set(sheet.columns) and len(sheet) == 6
    known = {str(row["index"]): row["prediction"] for row in workplace.predictions("TinyVLM", "Mini@6")}
    for kind in OFFERED:
        again = read_predictions(workplace.folder / "out" / f"x.{kind}")
        assert dict(zip(again["index"], again["prediction"], strict=True)) == known
    missing = workplace.vlmake("export", "--model", "TinyVLM", "--dataset", "Mini", "--out", "x.csv")
    assert missing.code == 1 and missing.output.count("\n") == 1 and "vlmake run --model TinyVLM" in missing.output
    judged = workplace.result("TinyVLM", "Mini@6_judged.parquet")
    os.utime(judged, ns=(1, 1))
    old = CliRunner().invoke(command, [*words, "--out", "old.csv"], catch_exceptions=False)
    assert "is older than the predictions" in old.output
    assert "extracted" not in (workplace.folder / "old.csv").read_text().split("\n")[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "x"], "name a --format, or end the name in one of xlsx"),
        (["--out", "x.csv", "--format", "xlsx"], "ends in .csv and --format is xlsx"),
        (["--out", "x.csv", "--dataset", "ShapesMNE"], "unknown dataset 'ShapesMNE'; did you mean"),
    ],
)
def test_orders_that_cannot_be_followed(words: list[str], said: str, tmp_path: Path) -> None:
    given = ["--model", "TinyVLM", "--dataset", "ShapesMME", "--work-dir", str(tmp_path), *words]
    done = CliRunner().invoke(command, given)
    assert isinstance(done.exception, VlmakeError) and said in str(done.exception)


def judged_export(folder: Path, judges: Sequence[str]) -> None:
    """A benchmark of three samples; of each judge (empty: rules) a score whose answers are the judge's name."""
    samples, predictions, judged = results(folder)
    for file, target in ((samples, paths.samples("ShapesMME")), (predictions, paths.predictions("TinyVLM", SHAPES))):
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        file.rename(folder / target)
    rows = pq.read_table(judged).to_pylist()
    for judge in judges:
        told = [row | {"extracted": judge or "rules", "judge": judge or None} for row in rows]
        pq.write_table(pa.Table.from_pylist(told, JUDGED), folder / paths.judged("TinyVLM", SHAPES, judge))
        (folder / paths.score_json("TinyVLM", SHAPES, judge)).write_text("{}", encoding="utf-8")
        if judge:
            about = {"judge": judge}
            write_judgements([], {}, {}, about, folder / paths.judgements("TinyVLM", SHAPES, judge))


SHAPES = "ShapesMME@3"


@pytest.mark.parametrize(
    ("there", "words", "shown"),
    [
        (["", "one", "two"], [], "rules"),
        (["", "one", "two"], ["--judge", "two"], "two"),
        (["", "one"], ["--judge", "exact"], "rules"),
        (["one"], [], "one"),
        (["one"], ["--judge", "exact"], None),
        ([], [], None),
        (["one", "two"], [], "several judges scored TinyVLM on ShapesMME@3: name one, --judge one or two"),
        (["", "one"], ["--judge", "three"], "is not there; there are one (`vlmake run --model TinyVLM"),
        ([""], ["--judge", "one"], "is not there; no judge has scored it"),
    ],
)
def test_an_export_shows_the_score_of_the_judge_that_is_named_or_alone(
    there: list[str], words: list[str], shown: str | None, tmp_path: Path
) -> None:
    judged_export(tmp_path, there)
    given = ["--model", "TinyVLM", "--data", SHAPES, "--work-dir", str(tmp_path), "--out", str(tmp_path / "x.jsonl")]
    done = CliRunner().invoke(command, [*given, *words])
    if shown is not None and " " in shown:
        assert isinstance(done.exception, VlmakeError)
        assert shown in str(done.exception)
        assert "\n" not in str(done.exception)
        return
    assert done.exit_code == 0, repr(done.exception)
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text("utf-8").splitlines()]
    assert [row.get("extracted") for row in rows] == [shown, None, shown]
    judge = shown if shown not in (None, "rules") else None
    assert rows[0].get("judge") == judge
    assert done.output == (f"judge {judge}: its verdicts are part of this\n" if judge else "")


def test_an_export_says_where_rules_stood_in_for_the_judge(tmp_path: Path) -> None:
    judged_export(tmp_path, ["one"])
    write_fallback("one", "yes_no", "no key", tmp_path / paths.judgements("TinyVLM", SHAPES, "one"))
    given = ["--model", "TinyVLM", "--data", SHAPES, "--work-dir", str(tmp_path), "--out", str(tmp_path / "x.csv")]
    done = CliRunner().invoke(command, given, catch_exceptions=False)
    assert done.output == "judge one: rules alone have scored: no key\n"


def test_a_benchmark_of_parts_is_exported_part_by_part(tmp_path: Path) -> None:
    given = ["--model", "TinyVLM", "--data", "MMMB@5", "--work-dir", str(tmp_path), "--out", str(tmp_path / "x.csv")]
    done = CliRunner().invoke(command, given)
    assert "'MMMB@5' is made of parts, and its samples are theirs: name one of MMMB_ar@5, " in str(done.exception)
