import json
import pickle
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from openpyxl import Workbook

from tests.conftest import BENCHMARKS
from vlmake.commands.score import command as score_command
from vlmake.errors import VlmakeError
from vlmake.tables.predictions_io import complete, read_predictions

ODD = ["NA", "None", "007", "=1+1", " x ", 'say "hi"', "a\tb\nc", "真", "null", "1.0", "x" * 200_000]
INDICES = [f"{n:03d}" for n in range(len(ODD))]


def write(path, indices, texts):
    frame = pd.DataFrame({"index": indices, "extra": "e", "prediction": pd.Series(texts, dtype=object)})
    match path.suffix:
        case ".jsonl":
            lines = [json.dumps({"index": i, "prediction": t}) for i, t in zip(indices, texts, strict=True)]
            path.write_text("\n".join(lines) + "\n", "utf-8")
        case ".json":
            path.write_text(json.dumps([{"index": i, "prediction": t} for i, t in zip(indices, texts, strict=True)]))
        case ".csv" | ".tsv":
            frame.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",", index=False)
        case ".parquet":
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
        case ".xlsx":
            book = Workbook()
            book.active.append(["index", "extra", "prediction"])
            for row, (index, text) in enumerate(zip(indices, texts, strict=True), 2):
                book.active.cell(row, 1, index).data_type = "s" if isinstance(index, str) else "n"
                if text is not None:
                    book.active.cell(row, 3, text).data_type = "s"
            book.save(path)


FORMATS = [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".xlsx"]


@pytest.mark.parametrize("ending", FORMATS)
def test_text_arrives_as_it_was_written(tmp_path, ending):
    texts = [text[:30_000] if ending == ".xlsx" else text for text in ODD]
    write(tmp_path / f"p{ending}", INDICES, texts)
    read = read_predictions(tmp_path / f"p{ending}")
    assert read["index"].tolist() == INDICES
    assert read["prediction"].tolist() == texts
    assert set(read["status"]) == {"ok"}


@pytest.mark.parametrize("ending", FORMATS)
def test_an_empty_cell_is_null(tmp_path, ending):
    write(tmp_path / f"p{ending}", ["a", "b"], [None, "x"])
    read = read_predictions(tmp_path / f"p{ending}")
    assert read["prediction"].tolist() == [None, "x"]
    assert read["status"].tolist() == ["model_error", "ok"]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_repeated_index_is_named_with_both_places(tmp_path, ending):
    write(tmp_path / f"p{ending}", ["a", "b", "a"], ["x", "y", "z"])
    with pytest.raises(VlmakeError, match=r"index 'a' is there twice: (line|item|row) 1 and \w+ 3"):
        read_predictions(tmp_path / f"p{ending}")


def test_numbers_as_indices(tmp_path):
    write(tmp_path / "p.xlsx", [1, 1_000_001], ["x", "y"])
    assert read_predictions(tmp_path / "p.xlsx")["index"].tolist() == ["1", "1000001"]
    write(tmp_path / "p.jsonl", [1, 2], ["x", None])
    assert read_predictions(tmp_path / "p.jsonl")["index"].tolist() == ["1", "2"]


def test_a_status_of_its_own_and_blank_texts(tmp_path):
    (tmp_path / "p.csv").write_text("index,prediction,status\na,x,truncated\nb, ,\n")
    assert read_predictions(tmp_path / "p.csv")["status"].tolist() == ["truncated", "empty"]


def test_only_the_first_repeat_of_our_own_files(tmp_path):
    table = pa.table({"index": ["a", "a"], "repeat": [0, 1], "prediction": ["x", "y"], "status": ["ok", "ok"]})
    pq.write_table(table, tmp_path / "p.parquet")
    assert read_predictions(tmp_path / "p.parquet")["prediction"].tolist() == ["x"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", b"index,answer\na,x\n", "no 'prediction'"),
        ("p.csv", b"index,predictions\na,x\n", "did you mean 'predictions'"),
        ("p.csv", b"", "no header"),
        ("p.csv", b"index,prediction\na\n", "row 1 has 1 cell and the header 2"),
        ("p.csv", b'index,prediction\na,"x\n', "line 2"),
        ("p.csv", b"index,prediction\n,x\n", "row 1 has no index"),
        ("p.csv", b"index,prediction\na,\xff\n", "line 2 is not UTF-8"),
        ("p.tsv", b"index\tprediction\na\n", "row 1 .*has 1 cell "),
        ("p.jsonl", b'{"index": 1, "prediction": "x"}\n{"index": 2, "pre', "line 2 is not JSON"),
        ("p.jsonl", b'{"index": 1}\n', "no 'prediction' in line 1"),
        ("p.jsonl", b"[1]\n", "line 1 is not an object"),
        ("p.jsonl", b'{"index": 1.5, "prediction": "x"}\n', "neither a text nor a whole number"),
        ("p.jsonl", b'{"index": 1, "prediction": ["x"]}\n', "neither a text nor null"),
        ("p.json", b"{}", "is a list of objects"),
        ("p.jsonl", b"[" * 100_000, "nested too deep"),
        ("p.parquet", b"nothing", "not a readable Parquet file"),
        ("p.xlsx", b"nothing", "not a readable spreadsheet"),
        ("p.txt", b"x", "unknown format '.txt'"),
        ("p.pkl", pickle.dumps({"a": 1}), "pickles are not read"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VlmakeError, match=message) as caught:
        read_predictions(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_half_a_character_becomes_the_replacement_character(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"index": "a", "prediction": "x\\ud83d \\ud83d\\ude00"}\n')
    assert read_predictions(tmp_path / "p.jsonl")["prediction"].tolist() == ["x\ufffd \U0001f600"]


def test_no_file(tmp_path):
    with pytest.raises(VlmakeError, match="no such file"):
        read_predictions(tmp_path / "p.csv")


SAMPLES = pd.DataFrame({"index": ["b", "a", "c"]})


def test_samples_without_a_prediction_are_model_errors(tmp_path):
    (tmp_path / "p.csv").write_text("index,prediction\na,NA\nb,\n")
    completed, missing = complete(read_predictions(tmp_path / "p.csv"), SAMPLES, "p.csv")
    assert completed["index"].tolist() == ["b", "a", "c"]
    assert completed["prediction"].tolist() == [None, "NA", None]
    assert completed["status"].tolist() == ["model_error", "ok", "model_error"]
    assert missing == 1


def test_a_prediction_of_an_unknown_sample_is_named(tmp_path):
    (tmp_path / "p.csv").write_text("index,prediction\na,x\nz,y\n")
    with pytest.raises(VlmakeError, match=r"p\.csv: index 'z' is not in the dataset"):
        complete(read_predictions(tmp_path / "p.csv"), SAMPLES, "p.csv")


def test_nan_is_no_prediction(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"index": 1, "prediction": NaN}\n', encoding="utf-8")
    pd.DataFrame({"index": [1], "prediction": [float("nan")]}).to_parquet(tmp_path / "p.parquet")
    for name in ("p.jsonl", "p.parquet"):
        (row,) = read_predictions(tmp_path / name).to_dict("records")
        assert (row["prediction"], row["status"]) == (None, "model_error")


def test_a_score_says_what_the_file_lost_of_the_answers(tmp_path: Path) -> None:
    tsv = BENCHMARKS / "ShapesMME.tsv"
    book = Workbook()
    long = "x" * 32_767
    for line in (("index", "prediction"), (0, long), (1, "Yes"), (2, 7), (3, "=1+1"), (4, None), (5, long)):
        book.active.append(line)
    book.save(tmp_path / "p.xlsx")
    files = ["--tsv", str(tsv), "--predictions", str(tmp_path / "p.xlsx"), "--out", str(tmp_path / "t.csv")]
    done = CliRunner().invoke(score_command, ["--data", "ShapesMME@5", *files], catch_exceptions=False)
    said = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))["notes"]
    assert [note.split(":")[0] for note in said] == ["1 cut", "1 emptied", "1 renumbered", "1 formula"]
    assert "(index 0)" in said[0], "the sixth row is not scored"
    assert done.stderr.splitlines() == said
