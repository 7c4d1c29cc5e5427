"""Files for servers with hidden answers, read back as those servers read them."""

import csv
import importlib
import json
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from vlmake import paths
from vlmake.errors import VlmakeError
from vlmake.submissions import docvqa, letters, letters_json, mmbench, mmmu, mmt
from vlmake.submissions.registry import SUBMISSIONS, submission_entry
from vlmake.submissions.rows import Gaps

STATUSES = {None: "model_error", "": "empty"}


def choices(n: int, **columns: list[str | None]) -> pd.DataFrame:
    """A decoded benchmark of multiple choice, without answers."""
    base: dict[str, list[object]] = {
        "index": [str(10 * number) for number in range(n)],
        "question": ["Which animal is it?"] * n,
        "A": ["cat"] * n,
        "B": ["dog"] * n,
        "C": ["bird"] * n,
        "D": ["=1+1"] * n,
        "category": ["animals"] * n,
        "l2-category": ["nature"] * n,
        "images": [["digest"]] * n,
        "image_error": [None] * n,
        "group": ["0"] * n,
    }
    return pd.DataFrame(base | columns)


def answered(samples: pd.DataFrame, texts: list[str | None], statuses: dict[int, str] | None = None) -> pd.DataFrame:
    """The predictions of a model; None is a failed call."""
    status = [(statuses or {}).get(place, STATUSES.get(text, "ok")) for place, text in enumerate(texts)]
    return pd.DataFrame({"index": samples["index"], "prediction": texts, "status": status})


def cells(file: Path) -> list[list[object]]:
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(file).active.iter_rows()]


def test_mmbench_has_every_row_in_order_with_all_columns_but_the_image(tmp_path: Path) -> None:
    samples = choices(3, hint=["a hint", None, "007"])
    predictions = answered(samples, ["The answer is A", None, "=B"])
    gaps = mmbench.write(samples, predictions[::-1], tmp_path / "file.xlsx")
    assert gaps == Gaps(unanswered=1)
    assert cells(tmp_path / "file.xlsx") == [
        ["index", "question", "A", "B", "C", "D", "category", "l2-category", "hint", "prediction"],
        [0, "Which animal is it?", "cat", "dog", "bird", "=1+1", "animals", "nature", "a hint", "The answer is A"],
        [10, "Which animal is it?", "cat", "dog", "bird", "=1+1", "animals", "nature", None, None],
        [20, "Which animal is it?", "cat", "dog", "bird", "=1+1", "animals", "nature", "007", "=B"],
    ]
    seen = pd.read_excel(tmp_path / "file.xlsx")
    assert seen["index"].dtype.kind == "i", "the server looks answers up by number"


def test_mmbench_texts_are_cells_of_text(tmp_path: Path) -> None:
    samples = choices(4)
    mmbench.write(samples, answered(samples, ["=1+1", "007", "NA", "#N/A"]), tmp_path / "file.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "file.xlsx").active
    column = [row[-1] for row in sheet.iter_rows(min_row=2)]
    assert [(cell.value, cell.data_type) for cell in column] == [(text, "s") for text in ("=1+1", "007", "NA", "#N/A")]


def test_mmbench_without_a_fourth_option_has_the_column(tmp_path: Path) -> None:
    samples = choices(1).drop(columns="D")
    mmbench.write(samples, answered(samples, ["A"]), tmp_path / "file.xlsx")
    header, row = cells(tmp_path / "file.xlsx")
    assert row[header.index("D")] is None


def test_what_a_cell_cannot_hold_is_cut_and_counted(tmp_path: Path) -> None:
    samples = choices(3)
    long = "🙂" * 16_384
    gaps = mmbench.write(samples, answered(samples, [long, "x" * 32_767, "\x07 bell\r\n"]), tmp_path / "file.xlsx")
    assert gaps == Gaps(unanswered=0, cut=1)
    assert [row[-1] for row in cells(tmp_path / "file.xlsx")[1:]] == ["🙂" * 16_383, "x" * 32_767, "␇ bell␍\n"]


def test_equal_predictions_give_equal_bytes(tmp_path: Path) -> None:
    samples = choices(5)
    predictions = answered(samples, ["A", "(B)", None, "it is the dog", "no idea"])
    for name in SUBMISSIONS.values():
        writer = importlib.import_module(name.module)
        known = samples.assign(id=[f"test_{number}" for number in range(5)])
        made = [tmp_path / f"{number}.{name.ending}" for number in (1, 2)]
        for file in made:
            writer.write(known, predictions.sample(frac=1, random_state=len(file.name)), file)
        assert made[0].read_bytes() == made[1].read_bytes(), name.module


def test_a_spreadsheet_knows_no_time_of_day(tmp_path: Path) -> None:
    samples = choices(1)
    mmbench.write(samples, answered(samples, ["A"]), tmp_path / "file.xlsx")
    with zipfile.ZipFile(tmp_path / "file.xlsx") as packed:
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert "docProps/core.xml" not in packed.namelist()
    first = (tmp_path / "file.xlsx").read_bytes()
    mmbench.write(samples, answered(samples, ["A"]), tmp_path / "file.xlsx")
    assert (tmp_path / "file.xlsx").read_bytes() == first


def test_docvqa_is_a_list_of_numbered_answers(tmp_path: Path) -> None:
    samples = choices(6).assign(questionId=["57350", "57344", "57349", "9", "57351", "57352"])
    texts: list[str | None] = ["$1,234.50", "<think>$5?</think>\n**No.** 7", None, "<think>well", " Zürich. ", ""]
    gaps = docvqa.write(samples, answered(samples, texts), tmp_path / "file.json")
    assert json.loads((tmp_path / "file.json").read_text(encoding="ascii")) == [
        {"questionId": 57350, "answer": "$1,234.50"},
        {"questionId": 57344, "answer": "**No.** 7"},
        {"questionId": 57349, "answer": ""},
        {"questionId": 9, "answer": ""},
        {"questionId": 57351, "answer": "Zürich."},
        {"questionId": 57352, "answer": ""},
    ]
    assert gaps == Gaps(unanswered=1, unresolved=2)


def test_docvqa_without_question_ids_takes_the_index(tmp_path: Path) -> None:
    samples = choices(2)
    docvqa.write(samples, answered(samples, ["a", "b"]), tmp_path / "file.json")
    assert [entry["questionId"] for entry in json.loads((tmp_path / "file.json").read_text())] == [0, 10]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["1", "x7"], "'questionId' 'x7' is no whole number"),
        (["1", "1"], "rows 1 and 2 have the same 'questionId' '1'"),
        (["1", None], "row 2 has no 'questionId'"),
    ],
)
def test_ids_that_a_server_could_not_know_are_refused(tmp_path: Path, ids: list[str | None], expected: str) -> None:
    samples = choices(2).assign(questionId=pd.Series(ids, dtype=object))
    with pytest.raises(VlmakeError, match=expected):
        docvqa.write(samples, answered(samples, ["a", "b"]), tmp_path / "file.json")
    assert not (tmp_path / "file.json").exists()


def test_mmmu_is_an_object_of_letters_and_texts(tmp_path: Path) -> None:
    samples = choices(5).assign(id=[f"test_Art_{number}" for number in range(5)])
    samples.loc[3:, ["A", "B", "C", "D"]] = None
    texts: list[str | None] = ["The answer is (B).", "I see no animal", None, "The answer is 12.5 cm", None]
    gaps = mmmu.write(samples, answered(samples, texts), tmp_path / "file.json")
    content = json.loads((tmp_path / "file.json").read_text())
    assert content == {
        "test_Art_0": "B", "test_Art_1": "", "test_Art_2": "", "test_Art_3": "12.5 cm", "test_Art_4": "",
    }  # fmt: skip
    assert list(content) == samples["id"].tolist(), "in the benchmark's order"
    assert gaps == Gaps(unanswered=2, unresolved=1)


def test_mmmu_needs_the_ids_of_its_server(tmp_path: Path) -> None:
    samples = choices(1)
    with pytest.raises(VlmakeError, match="no column 'id'"):
        mmmu.write(samples, answered(samples, ["A"]), tmp_path / "file.json")


def test_mmt_has_the_options_that_were_read_and_never_a_guess(tmp_path: Path) -> None:
    samples = choices(4, Split=["ALL", "ALL", None, "ALL"])
    texts: list[str | None] = ['"B"\tit\nis', "cat or dog, who knows", None, "C"]
    gaps = mmt.write(samples, answered(samples, texts), tmp_path / "file.tsv")
    with (tmp_path / "file.tsv").open(newline="", encoding="utf-8") as lines:
        header, *rows = csv.reader(lines, delimiter="\t")
    assert header == [
        *("index", "question", "A", "B", "C", "D", "category", "l2-category", "split"),
        *("prediction", "opt", "log"),
    ]
    read = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["index"] for row in read] == ["0", "10", "20", "30"]
    assert [row["prediction"] for row in read] == [text or "" for text in texts]
    assert [row["opt"] for row in read] == ["B", "Z", "Z", "C"]
    assert all(row["log"] for row in read)
    assert gaps == Gaps(unanswered=1, unresolved=1)


def test_letters_go_beside_the_predictions(tmp_path: Path) -> None:
    samples = choices(4, index=["0", "b-7", "007", "12"])
    texts: list[str | None] = ["B.", "hmm", None, "the bird"]
    predictions = answered(samples, texts)
    assert letters.write(samples, predictions, tmp_path / "file.xlsx") == Gaps(unanswered=1, unresolved=1)
    assert cells(tmp_path / "file.xlsx") == [
        ["index", "prediction", "letter"],
        [0, "B.", "B"],
        ["b-7", "hmm", None],
        ["007", None, None],
        [12, "the bird", "C"],
    ]
    assert letters_json.write(samples, predictions, tmp_path / "file.json") == Gaps(unanswered=1, unresolved=1)
    assert json.loads((tmp_path / "file.json").read_text()) == [
        {"index": "0", "prediction": "B.", "letter": "B"},
        {"index": "b-7", "prediction": "hmm", "letter": ""},
        {"index": "007", "prediction": "", "letter": ""},
        {"index": "12", "prediction": "the bird", "letter": "C"},
    ]


def test_a_prediction_that_was_not_accepted_is_not_handed_in(tmp_path: Path) -> None:
    samples = choices(2)
    predictions = answered(samples, ["A", "B"], {1: "bad_image"})
    assert letters.write(samples, predictions, tmp_path / "file.xlsx").unanswered == 1
    assert cells(tmp_path / "file.xlsx")[2] == [10, None, None]


def test_predictions_of_other_rows_are_refused(tmp_path: Path) -> None:
    samples = choices(2)
    with pytest.raises(VlmakeError, match="index '10' is not in the dataset"):
        mmt.write(samples[:1], answered(samples, ["A", "B"]), tmp_path / "file.tsv")


def test_gaps_are_said_in_one_line() -> None:
    assert Gaps(0).line(9) == ""
    assert Gaps(1, 2, 3).line(9) == (
        "of 9 rows 1 without a prediction, 2 without a clear answer in it, 3 cut to what a cell holds"
    )


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_every_format_is_a_target_and_has_a_place_to_go(name: str) -> None:
    entry = submission_entry(name)
    target = paths.submission("M", "D@3", entry.ending)
    assert paths.looks_like_target(target)
    assert paths.parse_target(target) == ("M", "D@3", "")
    assert entry.server.startswith("https://")


def test_an_unknown_format_is_told_its_neighbour() -> None:
    with pytest.raises(VlmakeError, match="unknown submission 'mmbnch'; did you mean 'mmbench'"):
        submission_entry("mmbnch")
