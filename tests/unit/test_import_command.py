"""`vlmake import` beside other imports, other rows and other runs: what it says, and what it leaves."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from vlmake.commands.import_predictions import command
from vlmake.errors import VlmakeError
from vlmake.importing.doubts import Asked, imported_rows
from vlmake.importing.entry import entry_file, lock_of, write_entry
from vlmake.importing.finding import find
from vlmake.importing.imported import notes_of, read_rows, write_import
from vlmake.importing.importer import known_benchmark
from vlmake.importing.sample_logs import read_sample_log
from vlmake.locks import hold
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.loading import Registry
from vlmake.registry.model_entries import ReplayEntry, TransformersEntry
from vlmake.runs.planning import Plan
from vlmake.runs.run_config import RunConfig
from vlmake.tables.predictions_io import Record, read_records
from vlmake.tables.spreadsheet_cells import CELL_UNITS

MME = DatasetEntry(path="MME.tsv", task="yes_no", metric="mme")


def write_json(file: Path, rows: list[dict[str, object]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def answers(count: int = 3, **more: object) -> list[dict[str, object]]:
    return [{"index": number, "prediction": "Yes", **more} for number in range(count)]


def decoded(work_dir: Path, questions: list[str], right: list[str]) -> None:
    folder = work_dir / "data" / "MME"
    folder.mkdir(parents=True)
    indices = [str(number) for number in range(len(questions))]
    pq.write_table(pa.table({"index": indices, "question": questions, "answer": right}), folder / "samples.parquet")


def start_import(place: Path, name: str) -> subprocess.Popen[str]:
    program = "from vlmake.cli import main; main()"
    words = [sys.executable, "-c", program, "import", "MME.json", "--as", name]
    return subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_an_import_waits_for_another_and_keeps_its_entry(tmp_path: Path) -> None:
    write_json(tmp_path / "MME.json", answers())
    file = entry_file(tmp_path)
    with hold(lock_of(file), "waiting"):
        imports = [start_import(tmp_path, name) for name in ("Mine", "First")]
        for process in imports:
            assert process.stderr is not None
            assert "another import is being written" in process.stderr.readline()
        write_entry("First", tmp_path / "imports" / "First", "Imported from another", file)
        rows = imported_rows([Record("row 1", "0", "No")], ".json")
        write_import(tmp_path / "imports" / "First", {"MME": rows}, {})
    said = [process.communicate() for process in imports]
    assert [process.returncode for process in imports] == [0, 1], said
    assert "'First' is imported already" in said[1][1]
    assert list(yaml.safe_load(file.read_text(encoding="utf-8"))["models"]) == ["First", "Mine"]
    assert read_rows(tmp_path / "imports" / "First", "MME")["0"].prediction == "No"


def test_what_a_killed_replacement_left_is_removed_and_no_neighbour(tmp_path: Path) -> None:
    rows = imported_rows([Record("row 1", "0", "Yes")], ".json")
    for leftover in (".M.abcd1234", ".M.x.abcd1234"):
        (tmp_path / leftover / "earlier").mkdir(parents=True)
        (tmp_path / leftover / "earlier" / "MME.parquet").write_bytes(b"old")
    write_import(tmp_path / "M", {"MME": rows}, {})
    assert sorted(file.name for file in tmp_path.iterdir()) == [".M.x.abcd1234", "M"]


def test_predictions_of_other_questions_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    decoded(tmp_path, ["Is it red?", "Is it\r\n blue?", "Is it big?"], ["Yes", "No", "Yes"])
    rows = [
        {"index": 0, "prediction": "Yes", "question": "Is it red?"},
        {"index": 1, "prediction": "Yes", "question": "Is it\nblue?"},
        {"index": 2, "prediction": "Yes", "question": "Is it a dog?"},
    ]
    write_json(tmp_path / "MME.json", rows)
    command.main(["MME.json", "--as", "M"], standalone_mode=False)
    assert "  1 other_question: asked about something else than the benchmark's row" in capsys.readouterr().out
    assert [row.doubts for row in read_rows(tmp_path / "imports" / "M", "MME").values()] == [
        (),
        (),
        ("other_question",),
    ]


@pytest.mark.parametrize(
    ("mine", "theirs", "other"),
    [("7.0", "7", False), ("TRUE", "True", False), ("A", "B", True), (None, "B", False), ("nan", "nan", False)],
)
def test_without_questions_the_right_answers_are_compared(mine: str | None, theirs: str, other: bool) -> None:
    rows = imported_rows([Record("row 1", "0", "Yes", answer=mine)], ".json", {"0": Asked(answer=theirs)})
    assert rows[0].doubts == (("other_question",) if other else ())


def test_doubts_are_notes_of_the_rows_that_are_scored(tmp_path: Path) -> None:
    records = [Record("row 1", "0", "7", came_as="number"), Record("row 2", "1", "x" * CELL_UNITS)]
    write_import(tmp_path / "M", {"MME": imported_rows(records, ".xlsx")}, {})
    first, *others = notes_of(tmp_path / "M", "MME", ["0", "1", "2"])
    assert first.startswith("1 cut: ") and "(index 1)" in first
    assert notes_of(tmp_path / "M", "MME", ["0"]) == others
    (gone,) = notes_of(tmp_path / "N", "MME", ["0"])
    assert "is gone" in gone


def test_decoded_data_that_fit_no_more_stop_no_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    decoded(tmp_path, ["Is it red?"], ["Yes"])
    write_json(tmp_path / "MME.json", [{"index": "new", "prediction": "Yes"}])
    command.main(["MME.json", "--as", "M"], standalone_mode=False)
    assert "none of the 1 indices is one of MME as it is decoded here" in capsys.readouterr().out
    (tmp_path / "data" / "MME" / "samples.parquet").write_bytes(b"PAR1 cut")
    command.main(["MME.json", "--as", "M", "--replace"], standalone_mode=False)
    assert "samples.parquet is damaged" in capsys.readouterr().out
    assert known_benchmark("MME", MME, tmp_path / "data").asked is None


def own_folder(folder: Path) -> Path:
    """Leave what a run of the first three rows leaves."""
    folder.mkdir(parents=True)
    rows = {"index": ["0", "1", "2"], "repeat": [0] * 3, "prediction": ["Yes"] * 3, "status": ["ok"] * 3}
    pq.write_table(pa.table(rows), folder / "MME@3_predictions.parquet")
    for other in ("judged.parquet", "timing.parquet", "score.csv", "score.json", "submission.json"):
        (folder / f"MME@3_{other}").write_bytes(b"no predictions")
        (folder / f"MME_{other}").write_bytes(b"no predictions")
    return folder


def test_own_results_are_imported_with_their_limit_and_nothing_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    own_folder(tmp_path / "results" / "Mine")
    command.main(["results/Mine", "--as", "Again"], standalone_mode=False)
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "Score them: vlmake run --model Again --data MME@3"
    assert said.err == ""


@pytest.mark.parametrize("source", ["MME.json", "."])
def test_a_limit_of_the_dataset_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    decoded(tmp_path, ["Is it?"] * 9, ["Yes"] * 9)
    write_json(tmp_path / "MME.json", answers(5))
    command.main([source, "--as", "M", "--dataset", "MME@5"], standalone_mode=False)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "MME: 5 predictions from MME.json (5 ok)"
    assert not any("that the benchmark does not have" in line for line in said)
    assert said[-1] == "Score them: vlmake run --model M --data MME@5"


def test_a_null_in_a_sample_log_is_that_rows_failure(tmp_path: Path) -> None:
    lines = [
        {"doc_id": number, "doc": {"index": number}, "filtered_resps": [text], "resps": [[text]]}
        for number, text in enumerate(["A", None, "B"])
    ]
    file = tmp_path / "samples_mmstar.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    rows = imported_rows(read_sample_log(file, ("doc.index",), ""), ".jsonl")
    assert [(row.prediction, row.status) for row in rows] == [("A", "ok"), (None, "model_error"), ("B", "ok")]


def test_values_of_json_are_shown_as_python_shows_them(tmp_path: Path) -> None:
    file = write_json(
        tmp_path / "MME.json", [{"index": n, "prediction": value} for n, value in enumerate([True, 7.0, 7, "x"])]
    )
    assert [record.prediction for record in read_records(file)] == ["True", "7.0", "7", "x"]


def test_a_number_too_long_to_read_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "MME.json"
    file.write_text(f'[{{"index": {"1" * 5000}, "prediction": "x"}}]')
    with pytest.raises(VlmakeError, match=r"MME\.json: the file is not JSON: Exceeds the limit") as caught:
        list(read_records(file))
    assert "\n" not in str(caught.value)


def test_a_dataset_that_was_not_imported_is_refused_before_anything_runs(tmp_path: Path) -> None:
    folder = tmp_path / "imports" / "M"
    write_import(folder, {"MME": imported_rows([Record("row 1", "0", "Yes")], ".json")}, {})
    datasets = {"MME": MME, "POPE": MME, "Whole": DatasetEntry(task="yes_no", parts=("MME", "POPE"))}
    models = {"M": ReplayEntry(backend="replay", path=str(folder)), "T": TransformersEntry(path=str(folder))}
    plan = Plan(Registry(datasets, models, {}), RunConfig())
    assert plan.results("M", "MME@5") == ["results/M/MME@5_score.csv"]
    assert plan.results("T", "POPE") == ["results/T/POPE_score.csv"]
    for dataset in ("POPE", "POPE@5", "Whole"):
        with pytest.raises(VlmakeError, match=r"no predictions of POPE, only of MME; .* --as M --replace") as caught:
            plan.results("M", dataset)
        assert "\n" not in str(caught.value)


def test_hints_of_misspelt_datasets_stay(tmp_path: Path) -> None:
    registry = Registry({"MME": MME}, {}, {})
    own_folder(tmp_path / "Mine")
    write_json(tmp_path / "Mine" / "Mine_MMEE.json", answers())
    findings = find(tmp_path / "Mine", registry, None, "auto")
    assert [line.split(":")[0] for line in findings.left_out] == ["Mine_MMEE.json"]
