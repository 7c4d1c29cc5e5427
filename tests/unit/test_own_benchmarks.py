"""What a TSV without an entry, or without a task in it, is recognised as; and every fault, by row and column."""

import base64
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import BENCHMARKS
from vlmake import paths
from vlmake.commands import export, import_predictions
from vlmake.errors import VlmakeError
from vlmake.extract import yes_no_any_case
from vlmake.extract.answer import PROTOCOLS
from vlmake.inference.predictions import PREDICTIONS
from vlmake.registry import own_benchmarks
from vlmake.registry.loading import Registry, load_registry, registry_folders
from vlmake.registry.recognition import Examined, examine, recognise
from vlmake.scoring.protocols import ScoringSpec, score


def picture(colour: str = "red") -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 10), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


RED = picture()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(file: Path, header: str, rows: Sequence[Sequence[str]]) -> Path:
    """Write a TSV; ``header`` has blanks between its names. The file is as old as one that nobody is writing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines, delimiter="\t", lineterminator="\n").writerows([header.split(), *rows])
    os.utime(file, (1_700_000_000, 1_700_000_000))
    return file


def faults(found: Examined) -> list[str]:
    assert found.fault_count == len(found.faults)
    return [str(fault) for fault in found.faults]


def asked(task: str, metric: str, folder: Path, header: str, rows: Sequence[Sequence[str]]) -> None:
    found = recognise(write(folder / "X.tsv", header, rows))
    assert (found.task, found.metric, found.rows) == (task, metric, len(rows))


class TestRecognition:
    def test_options_make_a_choice_set(self, tmp_path: Path) -> None:
        rows = [["0", RED, "What?", "cat", "dog", "", "B"], ["1", RED, "What?", "cat", "dog", "cow", "C"]]
        asked("multiple_choice", "choice", tmp_path, "index image question A B C answer", rows)

    def test_rotated_indexes_make_it_circular(self, tmp_path: Path) -> None:
        rows = [["7", RED, "What?", "cat", "dog", "B"], ["1000007", RED, "What?", "dog", "cat", "A"]]
        asked("multiple_choice", "choice_circular", tmp_path, "index image question A B answer", rows)

    @pytest.mark.parametrize(
        "second",
        [("1000008", "What?"), ("1000007", "Where?"), ("x7", "What?"), ("9" * 30, "What?")],
        ids=["no main row", "another question", "no number", "a huge number"],
    )
    def test_large_indexes_alone_do_not(self, tmp_path: Path, second: tuple[str, str]) -> None:
        rows = [["7", RED, "What?", "cat", "dog", "B"], [second[0], RED, second[1], "dog", "cat", "A"]]
        asked("multiple_choice", "choice", tmp_path, "index image question A B answer", rows)

    @pytest.mark.parametrize(
        ("answers", "metric"),
        [(("Yes", "No"), "yes_no"), (("yes", "NO"), "yes_no_any_case"), (("是", "否"), "yes_no_any_case")],
    )
    def test_answers_that_are_all_yes_or_no(self, tmp_path: Path, answers: tuple[str, str], metric: str) -> None:
        rows = [[str(row), RED, "Is it?", answer] for row, answer in enumerate(answers)]
        asked("yes_no", metric, tmp_path, "index image question answer", rows)

    def test_any_other_answer_makes_them_open(self, tmp_path: Path) -> None:
        rows = [[str(row), RED, "Is it?", answer] for row, answer in enumerate(("Yes", "No", "Perhaps"))]
        asked("vqa", "vqa_exact", tmp_path, "index image question answer", rows)

    @pytest.mark.parametrize(("column", "read"), [("options", False), ("choices", False), ("category", True)])
    def test_a_list_of_options_is_said_not_to_be_read(self, tmp_path: Path, column: str, read: bool) -> None:
        header = f"index image question answer {column}"
        found = recognise(write(tmp_path / "X.tsv", header, [["0", RED, "What?", "A", "['cat', 'dog']"]]))
        assert found.task == "vqa" and (f"column '{column}' is not read" not in found.says) == read

    @pytest.mark.parametrize("header", ["index image question", "index image question answer"])
    def test_without_answers_there_is_no_score(self, tmp_path: Path, header: str) -> None:
        found = recognise(write(tmp_path / "X.tsv", header, [["0", RED, "What?", ""][: len(header.split())]]))
        assert (found.task, found.answers) == ("vqa", False)

    def test_several_images_and_paths(self, tmp_path: Path) -> None:
        rows = [["0", f"['{RED}', '{RED}']", "", "What?", "it"], ["1", "", "one.png", "What?", "it"]]
        found = recognise(write(tmp_path / "X.tsv", "index image image_path question answer", rows))
        assert found.images == "several"

    @pytest.mark.parametrize(
        ("name", "task", "metric"),
        [
            ("ShapesMME", "yes_no", "yes_no"),
            ("ShapesBench", "multiple_choice", "choice_circular"),
            ("ShapesPOPE", "yes_no", "yes_no"),
            ("ShapesOCR", "vqa", "vqa_exact"),
        ],
    )
    def test_shipped_benchmarks(self, name: str, task: str, metric: str) -> None:
        found = recognise(BENCHMARKS / f"{name}.tsv")
        assert (found.task, found.metric) == (task, metric)


class TestFaults:
    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            (["", RED, "What?", "cat", "dog", "cow", "A"], "row 2 (line 3), column 'index': empty"),
            (["0", RED, "What?", "cat", "dog", "cow", "A"], "column 'index': '0' is the index of row 1 already"),
            (["1", "", "What?", "cat", "dog", "cow", "A"], "row 2 (line 3), column 'image': empty"),
            (["1", " ", "What?", "cat", "dog", "cow", "A"], "row 2 (line 3), column 'image': empty"),
            (["1", RED, "", "cat", "dog", "cow", "A"], "row 2 (line 3), column 'question': empty"),
            (["1", RED, "What?", "cat", "", "cow", "A"], "column 'B': empty, though there is an option C"),
            (["1", RED, "What?", "", "", "", "A"], "row 2 (line 3), column 'A': empty, as all options"),
            (["1", RED, "What?", "cat", "dog", "", "C"], "column 'answer': 'C' is no letter of its options (A, B)"),
            (["1", RED, "What?", "cat", "dog", "", "b"], "letters are capitals"),
            (["1", RED, "What?", "cat", "dog", "", "dog"], "it is the text of option B"),
            (["1", RED, "What?", "cat", "dog", "", "AB"], "'AB' is no letter"),
            (["1", RED, "What?", "cat", "dog", "", ""], "column 'answer': empty, though other rows have one"),
        ],
    )  # fmt: skip
    def test_of_a_choice_set(self, tmp_path: Path, row: list[str], expected: str) -> None:
        rows = [["0", RED, "What?", "cat", "dog", "cow", "B"], row]
        found = examine(write(tmp_path / "X.tsv", "index image question A B C answer", rows))
        (line,) = faults(found)
        assert expected in line

    @pytest.mark.parametrize(
        ("header", "column"),
        [
            ("image question answer", "index"),
            ("index question answer", "image"),
            ("index image answer", "question"),
        ],
    )
    def test_of_the_header(self, tmp_path: Path, header: str, column: str) -> None:
        (line,) = faults(examine(write(tmp_path / "X.tsv", header, [["0", RED, "yes"]])))
        assert line.startswith(f"column '{column}': missing")

    def test_all_of_them_are_named_in_row_order(self, tmp_path: Path) -> None:
        rows = [["0", RED, "", "x"], ["1", "", "What?", "x"], ["1", RED, "", ""]]
        lines = faults(examine(write(tmp_path / "X.tsv", "index image question answer", rows)))
        assert [line.split(":")[0] for line in lines] == [
            "row 1 (line 2), column 'question'",
            "row 2 (line 3), column 'image'",
            "row 3 (line 4), column 'index'",
            "row 3 (line 4), column 'question'",
            "row 3 (line 4), column 'answer'",
        ]

    def test_a_run_names_the_first_and_the_number_of_the_others(self, tmp_path: Path) -> None:
        rows = [["0", RED, "", "x"], ["1", "", "What?", "x"]]
        tsv = write(tmp_path / "X.tsv", "index image question answer", rows)
        for _ in range(2):  # found, then remembered
            with pytest.raises(VlmakeError, match=r"row 1 \(line 2\), column 'question': .* \(and 1 more\)") as caught:
                recognise(tsv)
            assert "\n" not in str(caught.value)

    def test_a_table_without_rows_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(VlmakeError, match="a header and no rows"):
            recognise(write(tmp_path / "X.tsv", "index image question answer", []))

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
    def test_whatever_is_in_the_file(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "X.tsv"
        file.write_bytes(b"index\timage\tquestion\tA\tB\tanswer\n" * (len(content) % 2) + content)
        try:
            recognise(file)
        except VlmakeError as error:
            assert "\n" not in str(error)


class TestMemory:
    def test_a_file_is_read_once(self, tmp_path: Path) -> None:
        tsv = write(tmp_path / "X.tsv", "index image question answer", [["0", RED, "Is it?", "Yes"]])
        first = recognise(tsv)
        content, times = tsv.read_bytes(), tsv.stat()
        tsv.write_bytes(b"?" * len(content))
        os.utime(tsv, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert recognise(tsv) == first, "the same path, size and time: nobody looked inside"

    def test_another_file_is_noticed(self, tmp_path: Path) -> None:
        tsv = write(tmp_path / "X.tsv", "index image question answer", [["0", RED, "Is it?", "Yes"]])
        assert recognise(tsv).task == "yes_no"
        write(tsv, "index image question answer", [["0", RED, "What is it?", "a cat"]])
        assert recognise(tsv).task == "vqa"

    def test_a_damaged_memory_is_no_memory(self, tmp_path: Path) -> None:
        tsv = write(tmp_path / "X.tsv", "index image question answer", [["0", RED, "Is it?", "Yes"]])
        first = recognise(tsv)
        (memory,) = (tmp_path / "cache").rglob("*.json")
        for damage in ("", "[]", memory.read_text().replace('"recognised":{', '"recognised":{"x":1,'), '{"found":3}'):
            memory.write_text(damage, encoding="utf-8")
            assert recognise(tsv) == first

    def test_without_a_home_it_works_as_well(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("no folder", encoding="utf-8")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        tsv = write(tmp_path / "X.tsv", "index image question answer", [["0", RED, "Is it?", "Yes"]])
        assert recognise(tsv).task == "yes_no"


def registry(folder: Path, **datasets: object) -> Registry:
    (folder / "datasets").mkdir(parents=True, exist_ok=True)
    (folder / "datasets" / "here.yaml").write_text(yaml.safe_dump({"datasets": datasets}), encoding="utf-8")
    return load_registry([folder])


class TestEntries:
    @pytest.fixture
    def tsv(self, tmp_path: Path) -> Path:
        return write(tmp_path / "lmu" / "Mine.tsv", "index image question answer", [["0", RED, "Is it?", "Yes"]])

    def found(self, known: Registry, tsv: Path, *names: str) -> own_benchmarks.Found:
        return own_benchmarks.look_up(known, names, tsv.parent, tsv.parents[1] / "memory")

    def test_a_tsv_in_the_data_folder_needs_none(self, tmp_path: Path, tsv: Path) -> None:
        found = self.found(registry(tmp_path / "config"), tsv, "Mine@3")
        entry = found.registry.dataset("Mine@3")
        assert (entry.path, entry.task, entry.metric, entry.rows) == (str(tsv), "yes_no", "yes_no", 1)
        assert found.lines == ("Mine: recognised by its TSV: every answer is yes or no; 1 row; scored by yes_no",)

    def test_only_what_is_asked_for_is_looked_at(self, tmp_path: Path, tsv: Path) -> None:
        write(tsv.parent / "Broken.tsv", "nothing", [["0"]])
        found = self.found(registry(tmp_path / "config"), tsv, "Mine")
        assert set(found.registry.datasets) == {"Mine"}
        with pytest.raises(VlmakeError, match="unknown dataset 'Brokn'; did you mean 'Broken'"):
            found.registry.dataset("Brokn")

    def test_a_path_is_enough(self, tmp_path: Path, tsv: Path) -> None:
        known = registry(tmp_path / "config", Other={"path": str(tsv), "max_new_tokens": 7, "aliases": "also"})
        entry = self.found(known, tsv, "also").registry.dataset("also")
        assert (entry.task, entry.metric, entry.rows, entry.max_new_tokens) == ("yes_no", "yes_no", 1, 7)

    @pytest.mark.parametrize("metric", ["anls", "coco_caption", "mme"])
    def test_a_metric_says_the_task(self, tmp_path: Path, tsv: Path, metric: str) -> None:
        known = registry(tmp_path / "config", Other={"path": str(tsv), "metric": metric})
        assert known.unrecognised == frozenset()
        assert known.dataset("Other").task == {"anls": "vqa", "coco_caption": "caption", "mme": "yes_no"}[metric]

    def test_what_the_entry_says_stays(self, tmp_path: Path, tsv: Path) -> None:
        said = {"path": str(tsv), "rows": 5, "scoring": "none", "description": "mine", "answers": True}
        entry = self.found(registry(tmp_path / "config", Other=said), tsv, "Other").registry.dataset("Other")
        assert (entry.rows, entry.metric, entry.description, entry.answers) == (5, None, "mine", True)

    def test_a_fixed_question_needs_no_column(self, tmp_path: Path) -> None:
        tsv = write(tmp_path / "lmu" / "X.tsv", "index image answer", [["0", RED, "Yes"]])
        known = registry(tmp_path / "config", Other={"path": str(tsv), "question": "Is it?"})
        assert self.found(known, tsv, "Other").registry.dataset("Other").task == "yes_no"
        with pytest.raises(VlmakeError, match="column 'question': missing"):
            self.found(known, tsv, "X")

    def test_a_registered_name_is_never_recognised(self, tmp_path: Path) -> None:
        tsv = write(tmp_path / "lmu" / "MME.tsv", "index image question answer", [["0", RED, "What?", "a cat"]])
        known = load_registry(registry_folders(current=Path("/")))
        found = self.found(known, tsv, "MME")
        assert found.entries == {}
        assert found.registry.dataset("MME") == known.dataset("MME")

    def test_every_job_reads_the_same_from_the_folder(self, tmp_path: Path, tsv: Path) -> None:
        known = registry(tmp_path / "config", Other={"path": str(tsv), "max_new_tokens": 7})
        found = self.found(known, tsv, "Mine", "Other")
        memory = tmp_path / "memory"
        own_benchmarks.write(found.entries, memory)
        seen = load_registry([tmp_path / "config", memory])
        assert seen.unrecognised == frozenset()
        assert seen.datasets == dict(found.registry.datasets)

    def test_what_was_recognised_outlives_the_tsv_but_not_an_entry(self, tmp_path: Path, tsv: Path) -> None:
        known = registry(tmp_path / "config", Other={"path": str(tsv)})
        memory = tmp_path / "memory"
        own_benchmarks.write(self.found(known, tsv, "Mine", "Other").entries, memory)
        tsv.unlink()
        found = self.found(known, tsv, "Mine", "Other")
        assert [found.registry.dataset(name).task for name in ("Mine", "Other")] == ["yes_no", "yes_no"]
        known = registry(tmp_path / "config", Other={"path": str(tsv), "metric": "anls"})
        own_benchmarks.write(self.found(known, tsv, "Other").entries, memory)
        assert load_registry([tmp_path / "config", memory]).dataset("Other").metric == "anls"

    def test_a_path_that_leads_nowhere_is_one_line(self, tmp_path: Path, tsv: Path) -> None:
        known = registry(tmp_path / "config", Other={"path": str(tmp_path / "gone.tsv")})
        with pytest.raises(VlmakeError, match=r"dataset 'Other': .*gone\.tsv is not there"):
            self.found(known, tsv, "Other")

    def test_names_that_cannot_be_one_are_none(self, tmp_path: Path, tsv: Path) -> None:
        for name in ("a b", "report", ".hidden", "ü"):
            write(tsv.parent / f"{name}.tsv", "index image question answer", [["0", RED, "Is it?", "Yes"]])
        (tsv.parent / "Folder.tsv").mkdir()
        assert list(own_benchmarks.in_folder(registry(tmp_path / "config"), tsv.parent)) == ["Mine"]

    def test_without_task_metric_and_path_it_is_said_what_to_add(self, tmp_path: Path) -> None:
        with pytest.raises(VlmakeError, match=r"Other: give `task` .* and `metric`, or `scoring: none`"):
            registry(tmp_path / "config", Other={"url": "https://example.org/x.tsv"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_yes_and_no_count_however_they_are_spelt(protocol: str) -> None:
    golds = ["yes", "NO", "是", "否", "No"]
    said = ["Yes.", "No, it is not.", "是的", "否", "Yes"]
    rows = pd.DataFrame({"index": list("01234"), "question": "Is it?", "answer": golds, "image_error": None})
    answers = pd.DataFrame({"index": list("01234"), "prediction": said, "status": "ok", "repeat": 0})
    result = score(rows, answers, ScoringSpec("x", "yes_no", "yes_no_any_case", protocol))
    assert result.tables[protocol].rows[0][0] == pytest.approx(80)
    assert yes_no_any_case.gold(rows, protocol) == ["Yes", "No", "Yes", "No", "No"]


class TestCommands:
    """A TSV in the data folder is known to the commands that look at results, too; no run has to be told of it."""

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        write(tmp_path / "lmu" / "Dropped.tsv", "index image question answer", [["0", RED, "Is it?", "Yes"]])
        monkeypatch.setenv("LMUData", str(tmp_path / "lmu"))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_its_predictions_are_exported(self, place: Path) -> None:
        for file, columns in (
            (paths.samples("Dropped"), {"index": ["0"], "question": ["Is it?"], "answer": ["Yes"]}),
            (paths.predictions("TinyVLM", "Dropped"), {"index": ["0"], "prediction": ["Yes"], "status": ["ok"]}),
        ):
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            blank = {name: [None] for name in PREDICTIONS.names} if "prediction" in columns else {}
            pq.write_table(pa.table(blank | columns), file)
        words = ["--model", "TinyVLM", "--data", "Dropped", "--out", "x.csv"]
        done = CliRunner().invoke(export.command, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert "Is it?,Yes,Yes" in Path("x.csv").read_text(encoding="utf-8")

    @pytest.mark.parametrize("words", [["Peer"], ["Peer/Peer_Dropped.json"], ["Peer", "--dataset", "Dropped"]])
    def test_its_predictions_are_imported(self, place: Path, words: list[str]) -> None:
        Path("Peer").mkdir()
        Path("Peer/Peer_Dropped.json").write_text('[{"index": 0, "prediction": "Yes"}]', encoding="utf-8")
        done = CliRunner().invoke(import_predictions.command, [*words, "--as", "Peer"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert "Dropped: 1 prediction from Peer_Dropped.json (1 ok)\nWritten" in done.output

    def test_a_misspelt_name_is_still_one_line_with_the_right_one(self, place: Path) -> None:
        words = ["--model", "TinyVLM", "--data", "Droped", "--out", "x.csv"]
        done = CliRunner().invoke(export.command, words)
        assert str(done.exception).startswith("unknown dataset 'Droped'; did you mean 'Dropped'")
