"""`vlmake new-dataset`: from a table with images to a TSV without faults, or to a line for each fault."""

import base64
import csv
import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import read_tsv
from vlmake.commands.new_dataset import command
from vlmake.data.decode import decode
from vlmake.data.download import hash_file
from vlmake.errors import VlmakeError
from vlmake.new_dataset.layout import find_layout
from vlmake.new_dataset.making import FaultyTableError, Made, make_tsv
from vlmake.new_dataset.tables import open_table
from vlmake.registry.loading import load_registry

Record = dict[str, Any]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def picture(colour: str, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (16, 12), colour).save(buffer, kind)
    return buffer.getvalue()


RED, BLUE = picture("red"), picture("blue", "JPEG")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images/red.png and images/deep/blue.jpg, which is where commands run."""
    (tmp_path / "images" / "deep").mkdir(parents=True)
    (tmp_path / "images" / "red.png").write_bytes(RED)
    (tmp_path / "images" / "deep" / "blue.jpg").write_bytes(BLUE)
    (tmp_path / "images" / "page.png").write_text("<html>no picture</html>", encoding="utf-8")
    (tmp_path / "secret.png").write_bytes(RED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LMUData", str(tmp_path / "lmu"))
    return tmp_path


def write_csv(file: Path, header: str, rows: Sequence[Sequence[str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([header.split(), *rows])
    return file


def write_jsonl(file: Path, records: Sequence[Record]) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def write_parquet(file: Path, records: Sequence[Record], **types: pa.DataType) -> Path:
    names = list(dict.fromkeys(name for record in records for name in record))
    arrays = [pa.array([record.get(name) for record in records], types.get(name)) for name in names]
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays, names=names), file, row_group_size=2)
    return file


def make(place: Path, table: Path, **options: Any) -> tuple[Made, list[Record]]:
    """Make a TSV; return what was made and its rows by column."""
    made = make_tsv(open_table(table), place / "out.tsv", columns=options.pop("columns", {}), **options)
    header, *rows = read_tsv(place / "out.tsv")
    return made, [dict(zip(header, row, strict=True)) for row in rows]


def lines(place: Path, table: Path, **options: Any) -> list[str]:
    """Return the faults for which a table is refused; nothing is written then."""
    with pytest.raises(FaultyTableError) as caught:
        make(place, table, **options)
    assert not list(place.glob("*out.tsv*"))
    assert caught.value.count == len(caught.value.faults)
    return [str(fault) for fault in caught.value.faults]


def data(cell: str) -> bytes:
    return base64.b64decode(cell)


class TestTableWithFolder:
    def test_choices_from_a_csv(self, place: Path) -> None:
        rows = [
            ["red.png", "What is\tit,\n\"really\"?", "cat", "dog", "B", "animals"],
            ["deep/blue.jpg", "And this?", "sun", "moon", "A", "sky"],
        ]  # fmt: skip
        table = write_csv(place / "t.csv", "image question A B answer category", rows)
        made, made_rows = make(place, table, images=place / "images")
        assert [(row["index"], row["question"], row["answer"], row["category"]) for row in made_rows] == [
            ("0", "What is\tit,\n\"really\"?", "B", "animals"), ("1", "And this?", "A", "sky"),
        ]  # fmt: skip
        assert [data(row["image"]) for row in made_rows] == [RED, BLUE], "the files' own bytes"
        assert (made.recognised.task, made.recognised.metric, made.digests) == (
            "multiple_choice", "choice", hash_file(place / "out.tsv"),
        )  # fmt: skip

    def test_what_was_made_decodes(self, place: Path) -> None:
        records = [
            {"images": ["red.png", "deep/blue.jpg"], "question": "Same?", "answer": "no", "id": "a"},
            {"images": "red.png", "question": "Red?", "answer": "YES", "id": "b"},
            {"images": ["red.png"], "question": "Blue?", "answer": "No", "id": "c"},
        ]
        made, rows = make(place, write_jsonl(place / "t.jsonl", records), images=place / "images")
        assert rows[2]["image"] == "b", "an image that was there before is referred to"
        assert [row["answer"] for row in rows] == ["No", "Yes", "No"]
        assert (made.recognised.metric, made.recognised.images) == ("yes_no", "several")
        samples, images = place / "s.parquet", place / "i.arrow"
        done = decode(place / "out.tsv", hash_file(place / "out.tsv")._asdict(), place, samples, images)
        assert (done.rows, done.images, done.broken) == (3, 2, 0)
        assert [len(ids) for ids in pq.read_table(samples).column("images").to_pylist()] == [2, 1, 1]

    def test_columns_by_another_name(self, place: Path) -> None:
        table = write_csv(place / "t.csv", "file prompt truth question", [["red.png", "What?", "a cat", "kept"]])
        said = {"image": "file", "question": "prompt", "answer": "truth", "category": "question"}
        _, rows = make(place, table, images=place / "images", columns=said)
        assert (rows[0]["question"], rows[0]["answer"], rows[0]["category"]) == ("What?", "a cat", "kept")

    def test_other_columns_are_kept_and_never_in_the_way(self, place: Path) -> None:
        table = write_csv(place / "t.csv", "image question answer E source", [["red.png", "What?", "x", "1", "web"]])
        _, rows = make(place, table, images=place / "images")
        assert (rows[0]["original:E"], rows[0]["source"]) == ("1", "web")

    @pytest.mark.parametrize(
        ("options", "answers", "letters"),
        [
            (["cat", "dog"], [1, 0], ["B", "A"]),
            (["cat", "dog"], ["1", "0"], ["B", "A"]),
            (["cat", "dog"], ["dog", "cat"], ["B", "A"]),
            (["cat", "dog"], ["(B)", "A."], ["B", "A"]),
            (["1", "0"], ["1", "0"], ["A", "B"]),
            ("['cat', \"dog\"]", ["B", "A"], ["B", "A"]),
            ('["cat", "dog"]', [["B"], ["A"]], ["B", "A"]),
            ({"A": "cat", "B": "dog"}, ["dog", "cat"], ["B", "A"]),
        ],
        ids=str,
    )
    def test_options_in_one_column(self, place: Path, options: Any, answers: list[Any], letters: list[str]) -> None:
        records = [{"image": "red.png", "question": "?", "options": options, "answer": answer} for answer in answers]
        made, rows = make(place, write_jsonl(place / "t.jsonl", records), images=place / "images")
        assert [row["answer"] for row in rows] == letters
        assert {row["A"] for row in rows} == ({"1"} if options == ["1", "0"] else {"cat"})
        assert made.recognised.task == "multiple_choice"

    @pytest.mark.parametrize(
        ("answers", "letters"),
        [
            (["0", "1", "1"], ["A", "B", "B"]),
            (["1", "2", "3"], ["A", "B", "C"]),
            (["2", "3", "2"], ["B", "C", "B"]),
            (["1.0", "3.0", "2.0"], ["A", "C", "B"]),
        ],
    )
    def test_numbers_are_counted_from_where_they_prove(
        self, place: Path, answers: list[str], letters: list[str]
    ) -> None:
        rows = [["red.png", "?", "cat", "dog", "cow", answer] for answer in answers]
        table = write_csv(place / "t.csv", "image question A B C answer", rows)
        _, made_rows = make(place, table, images=place / "images")
        assert [row["answer"] for row in made_rows] == letters

    def test_numbers_that_are_none_of_an_option(self, place: Path) -> None:
        table = write_csv(place / "t.csv", "image question A B right", [["red.png", "?", "cat", "dog", "0"]])
        (line,) = lines(place, table, images=place / "images", columns={"answer": "right"}, first_option=1)
        assert line == "row 1, column 'right': '0' is no number of an option: they are counted from 1 to 2"

    def test_faults_name_the_columns_of_the_table(self, place: Path) -> None:
        rows = [["a", "red.png", "?", "x", "y", "A"], ["a", "gone.png", "", "", "y", "C"]]
        table = write_csv(place / "t.csv", "key file ask choice_a choice_b truth", rows)
        said = {"index": "key", "image": "file", "question": "ask", "answer": "truth"}
        found = lines(place, table, images=place / "images", columns=said)
        assert {line.split(":")[0] for line in found} == {
            f"row 2, column '{name}'" for name in ("key", "file", "ask", "choice_a", "truth")
        }

    def test_an_id_that_repeats_is_no_index(self, place: Path) -> None:
        records = [{"image": "red.png", "question_id": "x", "question": "?", "answer": "a"}] * 2
        _, rows = make(place, write_jsonl(place / "t.jsonl", records), images=place / "images")
        assert [(row["index"], row["question_id"]) for row in rows] == [("0", "x"), ("1", "x")]

    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            (["gone.png", "?", "a", "b", "A"], "row 2, column 'image': missing file"),
            (["../secret.png", "?", "a", "b", "A"], "row 2, column 'image': image_path '../secret.png' leads out"),
            (["page.png", "?", "a", "b", "A"], "row 2, column 'image': "),
            (["deep", "?", "a", "b", "A"], "row 2, column 'image': "),
            (["", "?", "a", "b", "A"], "row 2, column 'image': empty"),
            (["[red.png]", "?", "a", "b", "A"], "row 2, column 'image': the list of images is not written"),
            (["red.png", "", "a", "b", "A"], "row 2, column 'question': empty"),
            (["red.png", "?", "a", "", "B"], "row 2, column 'answer': 'B' is no letter"),
            (["red.png", "?", "", "b", "B"], "row 2, column 'A': empty, though there is an option B"),
            (["red.png", "?", "a", "b", "E"], "row 2, column 'answer': 'E' is no letter of its options (A, B)"),
            (["red.png", "?", "a", "b", ""], "row 2, column 'answer': empty"),
        ],
    )
    def test_every_fault_has_row_and_column(self, place: Path, row: list[str], expected: str) -> None:
        rows = [["red.png", "?", "a", "b", "B"], row]
        (line,) = lines(place, write_csv(place / "t.csv", "image question A B answer", rows), images=place / "images")
        assert line.startswith(expected)

    def test_an_absolute_name_is_no_way_out(self, place: Path) -> None:
        table = write_csv(place / "t.csv", "image question answer", [[str(place / "secret.png"), "?", "a"]])
        (line,) = lines(place, table, images=place / "images")
        assert "leads out" in line

    def test_all_faults_are_named(self, place: Path) -> None:
        records = [
            {"image": "gone.png", "question": "\ud800", "options": "no list", "answer": "A"},
            {"image": 7, "question": "x\0y", "options": ["a", "b"], "answer": "z"},
            {"image": "red.png", "question": "fine?", "options": ["a", "b"], "answer": "A"},
        ]
        found = lines(place, write_jsonl(place / "t.jsonl", records), images=place / "images")
        assert [line.split(":")[0] for line in found] == [
            *("row 1, column 'options'", "row 1, column 'image'", "row 1, column 'question'"),
            *("row 2, column 'image'", "row 2, column 'question'", "row 2, column 'answer'"),
        ]

    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("t.csv", "", "no header"),
            ("t.csv", "image,question,image\n", "column 3 has the name 'image' again"),
            ("t.csv", "image,,question\n", "column 2 has no name"),
            ("t.csv", "image,question\nred.png\n", "row 1 has 1 cell and the header 2"),
            ("t.csv", "image,question\nred.png,?,!\n", "row 1 has 3 cells and the header 2"),
            ("t.csv", 'image,question\nred.png,"open\n', "line 2"),
            ("t.csv", "image,question\nred.png,\0\n", "line 2 holds a NUL byte"),
            ("t.csv", "image,question\n", "without rows"),
            ("t.csv", "image,answer\nred.png,a\n", "no column with questions"),
            ("t.csv", "question,answer\n?,a\n", "no column with images"),
            ("t.jsonl", "{}\n", "no column with images"),
            ("t.jsonl", "[1]\n", "row 1 is no JSON object"),
            ("t.jsonl", '{"image": "red.png"}\n{"image\n', "row 2: no JSON object"),
            ("t.jsonl", "[" * 100_000, "row 1: no JSON object"),
            ("t.xlsx", "x", "a table is a .csv, .tsv, .jsonl or .parquet file"),
            ("t.parquet", "x", "no parquet file"),
        ],
    )
    def test_files_that_are_no_tables(self, place: Path, name: str, content: str, expected: str) -> None:
        (place / name).write_text(content, encoding="utf-8")
        with pytest.raises(VlmakeError) as caught:
            make(place, place / name, images=place / "images")
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_other_encodings_are_refused_and_a_bom_is_not(self, place: Path) -> None:
        (place / "t.csv").write_bytes(b"image,question,answer\r\nred.png,caf\xe9?,a\r\n")
        with pytest.raises(VlmakeError, match="no UTF-8 text"):
            make(place, place / "t.csv", images=place / "images")
        (place / "t.csv").write_bytes("﻿image,question,answer\r\nred.png,café?,a\r\n".encode())
        _, rows = make(place, place / "t.csv", images=place / "images")
        assert rows[0]["question"] == "café?"

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(texts=st.lists(st.tuples(st.text(max_size=40), st.text(max_size=20)), min_size=1, max_size=4))
    def test_texts_arrive_as_they_are_or_are_refused(self, place: Path, texts: list[tuple[str, str]]) -> None:
        records = [{"image": "red.png", "question": question, "answer": answer} for question, answer in texts]
        table = write_jsonl(place / "t.jsonl", records)
        try:
            _, rows = make(place, table, images=place / "images")
        except VlmakeError as error:
            assert "\n" not in str(error)
            return
        assert [row["question"] for row in rows] == [question for question, _ in texts]
        if not {answer.strip().lower() for _, answer in texts} <= {"yes", "no"}:
            assert [row["answer"] for row in rows] == [answer for _, answer in texts]


class TestParquet:
    def test_the_layout_of_the_hub(self, place: Path) -> None:
        records = [
            {"question_id": 7, "image": {"bytes": RED, "path": None}, "question": "What?", "answer": ["a", "it's"]},
            {"question_id": 8, "image": {"bytes": BLUE, "path": "b.jpg"}, "question": "What?", "answer": ["b"]},
        ]
        made, rows = make(place, write_parquet(place / "t.parquet", records, image=IMAGE))
        assert [(row["index"], data(row["image"]), row["answer"]) for row in rows] == [
            ("7", RED, "['a', \"it's\"]"), ("8", BLUE, "b"),
        ]  # fmt: skip
        assert made.recognised.task == "vqa"

    def test_numbered_images_and_a_list_of_options_as_text(self, place: Path) -> None:
        none = {"image_1": None, "image_2": None, "image_3": None}
        records = [
            {"id": "v_1", "question": "<image 1> or <image 2>?", "options": "['a', 'b']", "answer": "B", **none},
            {"id": "v_2", "question": "<image 1>?", "options": "['a', 'b', 'c']", "answer": "C", **none},
        ]
        records[0] |= {"image_1": {"bytes": RED, "path": "1"}, "image_2": {"bytes": BLUE, "path": "2"}}
        records[1] |= {"image_1": {"bytes": BLUE, "path": "1"}}
        types = dict.fromkeys(("image_1", "image_2", "image_3"), IMAGE)
        _, rows = make(place, write_parquet(place / "t.parquet", records, **types))
        assert rows[0]["image"].count("', '") == 1
        assert data(rows[1]["image"]) == BLUE
        assert [(row["A"], row["C"], row["answer"]) for row in rows] == [("a", "", "B"), ("a", "c", "C")]
        records[0]["image_1"] = None
        (place / "out.tsv").unlink()
        (line,) = lines(place, write_parquet(place / "u.parquet", records, **types))
        assert line.startswith("row 1, column 'image_1 … image_3': image 1 of 2 is empty")

    def test_lists_of_images_binary_columns_and_class_labels(self, place: Path) -> None:
        labels = {"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}
        schema = pa.schema(
            [("images", pa.list_(IMAGE)), ("question", pa.string()), ("label", pa.int64()), ("raw", pa.binary())],
            metadata={"huggingface": json.dumps(labels)},
        )
        rows = [{"images": [{"bytes": RED, "path": None}] * 2, "question": "Same?", "label": 1, "raw": b"x"}]
        pq.write_table(pa.Table.from_pylist(rows, schema), place / "t.parquet")
        _, made_rows = make(place, place / "t.parquet")
        assert made_rows[0]["answer"] == "Yes"
        assert "raw" not in made_rows[0], "other binary columns are left out"

    def test_memory_is_that_of_a_batch(self, place: Path) -> None:
        table = open_table(write_parquet(place / "t.parquet", [{"image": None, "question": "?"}] * 100, image=IMAGE))
        rows = table.rows({"question"})
        assert next(rows) == {"question": "?"}, "only the columns that are asked for are read"
        assert find_layout(table, {}, None).images == ("image",)

    def test_a_file_that_is_cut_short(self, place: Path) -> None:
        file = write_parquet(place / "t.parquet", [{"image": {"bytes": RED, "path": ""}, "question": "?"}], image=IMAGE)
        whole = file.read_bytes()
        for part in (whole[:-3], whole[: len(whole) // 2], whole[:100].ljust(len(whole), b"\0") + whole[-200:]):
            file.write_bytes(part)
            with pytest.raises(VlmakeError) as caught:
                make(place, file)
            assert "\n" not in str(caught.value)


class TestCommand:
    @pytest.fixture
    def run(self, place: Path) -> Callable[..., Result]:
        def run(*words: str) -> Result:
            return CliRunner().invoke(command, words)

        return run

    def test_the_printed_entry_is_one(self, place: Path, run: Callable[..., Result]) -> None:
        write_csv(place / "t.csv", "image question A B answer", [["red.png", "?", "a", "b", "B"]])
        done = run("Mine", "--images", "images", "--table", "t.csv", "--out", "made/Mine.tsv")
        assert done.exit_code == 0, done.output
        (place / "config" / "datasets").mkdir(parents=True)
        (place / "config" / "datasets" / "mine.yaml").write_text(done.stdout, encoding="utf-8")
        entry = load_registry([place / "config"]).dataset("Mine")
        assert entry.path == str(place / "made" / "Mine.tsv")
        assert entry.md5 == (hash_file(place / "made" / "Mine.tsv").md5,)
        assert (entry.rows, entry.task, entry.metric) == (1, "multiple_choice", "choice")
        again = run("Mine", "--images", "images", "--table", "t.csv", "--out", "made/Mine.tsv")
        assert again.stdout == done.stdout, "the same input gives the same bytes"

    def test_without_out_it_goes_to_the_data_folder(self, place: Path, run: Callable[..., Result]) -> None:
        write_parquet(
            place / "t.parquet", [{"image": {"bytes": RED, "path": ""}, "q": "?", "answer": "x"}], image=IMAGE
        )
        done = run("Mine", "--parquet", "t.parquet", "--column", "question=q")
        assert done.exit_code == 0, done.output
        assert yaml.safe_load(done.stdout)["datasets"]["Mine"]["metric"] == "vqa_exact"
        assert (place / "lmu" / "Mine.tsv").is_file()

    def test_faults_are_a_line_each_and_leave_the_old_file(self, place: Path, run: Callable[..., Result]) -> None:
        (place / "lmu").mkdir()
        (place / "lmu" / "Mine.tsv").write_text("the old one", encoding="utf-8")
        write_csv(place / "t.csv", "image question answer", [["gone.png", "?", "a"], ["red.png", "", "a"]])
        words = ("Mine", "--images", "images", "--table", "t.csv")
        assert "is there already" in str(run(*words).exception)
        done = run(*words, "--out", "lmu/Mine.tsv")
        assert done.exit_code == 1
        assert [line.split(": ")[1] for line in done.stderr.splitlines()[:2]] == [
            "row 1, column 'image'", "row 2, column 'question'",
        ]  # fmt: skip
        assert "2 faults in t.csv; nothing was written" in done.stderr
        assert (place / "lmu" / "Mine.tsv").read_text(encoding="utf-8") == "the old one"

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ((), "name the benchmark"),
            (("Mine",), "give either --table"),
            (("Mine", "--table", "t.csv"), "say with --images in which folder"),
            (("Mine", "--table", "t.csv", "--parquet", "t.parquet"), "give either --table"),
            (("Mine", "--table", "t.csv", "--images", "nowhere"), "nowhere is no folder"),
            (("MME", "--table", "t.csv", "--images", "images"), "'MME' is registered already"),
            (("a/b", "--table", "t.csv", "--images", "images"), "no dataset name"),
            (("report", "--table", "t.csv", "--images", "images"), "cannot be a benchmark's name"),
            (("Mine", "--table", "t.csv", "--images", "images", "--out", "x.csv"), "is a .tsv file"),
            (("Mine", "--table", "t.csv", "--images", "images", "--column", "question"), "it is NAME=COLUMN"),
            (("Mine", "--table", "t.csv", "--images", "images", "--column", "hint=answr"), "did you mean 'answer'"),
            (("Mine", "--table", "t.tsv", "--images", "images", "--out", "t.tsv"), "that is the table itself"),
            (("--check", "nowhere.tsv"), "cannot read nowhere.tsv"),
            (("Mine", "--check", "x.tsv"), "takes nothing else"),
        ],
    )  # fmt: skip
    def test_wrong_words(self, place: Path, run: Callable[..., Result], words: tuple[str, ...], expected: str) -> None:
        write_csv(place / "t.csv", "image question answer", [["red.png", "?", "a"]])
        done = run(*words)
        assert isinstance(done.exception, VlmakeError)
        assert expected in str(done.exception)

    def test_check_names_every_fault_of_a_tsv(self, place: Path, run: Callable[..., Result]) -> None:
        bad = base64.b64encode(b"<svg>no raster image, and long enough not to be a reference</svg>").decode()
        good = base64.b64encode(RED).decode()
        text = f"index\timage\tquestion\tanswer\n0\t{bad}\t?\ta\n1\t{good}\t\ta\n2\t\t?\ta\n"
        (place / "lmu").mkdir()
        (place / "lmu" / "Mine.tsv").write_text(text, encoding="utf-8")
        done = run("--check", "Mine.tsv")
        assert done.exit_code == 1
        assert [line.partition("Mine.tsv: ")[2].split(":")[0] for line in done.stderr.splitlines()[:-1]] == [
            "row 1 (line 2), column 'image'", "row 2 (line 3), column 'question'", "row 3 (line 4), column 'image'",
        ]  # fmt: skip
        (place / "lmu" / "Mine.tsv").write_text(text.replace(bad, good).replace("\t\t", "\t?\t"), encoding="utf-8")
        done = run("--check", "Mine.tsv")
        assert "row 3 (line 4), column 'image': '?' is no row's index" in done.stderr

    def test_check_hides_no_fault_behind_another(self, place: Path, run: Callable[..., Result]) -> None:
        html = base64.b64encode(b"<html>no picture, and long enough not to be a reference at all</html>").decode()
        rows = [("0", "9", "?"), ("1", html, "?"), ("2", "3", ""), ("3", "2", "?"), ("3", "x.png", "?"), ("", "0", "?")]
        text = "".join("\t".join(row) + "\n" for row in (("index", "image", "question"), *rows))
        (place / "Mine.tsv").write_text(text, encoding="utf-8")
        done = run("--check", "Mine.tsv")
        assert done.exit_code == 1
        assert [line.partition("Mine.tsv: ")[2] for line in done.stderr.splitlines()[:-1]] == [
            "row 1 (line 2), column 'image': '9' is no row's index (a cell of up to 64 characters is one)",
            "row 2 (line 3), column 'image': not an image: an HTML page",
            "row 3 (line 4), column 'question': empty: nothing is asked",
            "row 3 (line 4), column 'image': '3' leads back to this row: a circle of indexes without an image",
            "row 5 (line 6), column 'index': '3' is the index of row 4 already",
            "row 5 (line 6), column 'image': 'x.png' is no row's index (a cell of up to 64 characters is one)",
            "row 6 (line 7), column 'index': empty",
        ]

    def test_the_number_of_the_first_option(self, place: Path, run: Callable[..., Result]) -> None:
        write_csv(place / "t.csv", "image question A B C right", [["red.png", "?", "a", "b", "c", "1"]] * 2)
        words = ("Mine", "--images", "images", "--table", "t.csv", "--out", "Mine.tsv", "--column", "answer=right")
        refused = str(run(*words).exception)
        assert refused.startswith("t.csv, column 'right': numbers of options, counted from 0 or from 1")
        assert "--first-option 0 or --first-option 1" in refused
        for first, letter in (("0", "B"), ("1", "A")):
            assert run(*words, "--first-option", first).exit_code == 0
            assert [row[-1] for row in read_tsv(place / "Mine.tsv")[1:]] == [letter] * 2

    def test_check_is_content_with_what_new_dataset_makes(self, place: Path, run: Callable[..., Result]) -> None:
        write_csv(place / "t.csv", "image question A B answer", [["red.png", "?", "a", "b", "B"]])
        assert run("Mine", "--images", "images", "--table", "t.csv").exit_code == 0
        done = run("--check", "Mine.tsv")
        assert (done.exit_code, done.stderr.count("\n")) == (0, 1), done.output
        assert "no faults; Mine: recognised by its TSV: multiple choice, options A to B; 1 row" in done.stderr
