"""Finished predictions of other tools: files as those tools write them, read and doubted row by row."""

import json
import pickle
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import BENCHMARKS
from vlmake.backends.replay import load
from vlmake.commands.import_predictions import command
from vlmake.errors import VlmakeError
from vlmake.importing.doubts import ImportedRow, imported_rows
from vlmake.importing.entry import entry_file, refuse_name, write_entry
from vlmake.importing.finding import Findings, find
from vlmake.importing.imported import read_rows, write_import
from vlmake.importing.importer import Benchmark, import_files, known_benchmark, report_lines
from vlmake.importing.sample_logs import UnmatchedError, log_name, read_sample_log
from vlmake.inference.answering import Pace, answer
from vlmake.inference.journal import JournalWriter
from vlmake.inference.shard import Asking, accepted_predictions, make_question
from vlmake.models import model_spec
from vlmake.models.model_spec import RuntimeOptions
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.loading import Registry
from vlmake.registry.model_entries import ReplayEntry, TransformersEntry
from vlmake.tables.predictions_io import Record, read_predictions, read_records
from vlmake.tables.spreadsheet_cells import CELL_UNITS

MME = DatasetEntry(path=str(BENCHMARKS / "ShapesMME.tsv"), task="yes_no", metric="mme")
CHOICE = DatasetEntry(url="http://127.0.0.1/x.tsv", task="multiple_choice", metric="choice")
REGISTRY = Registry(
    {
        **dict.fromkeys(("MME", "POPE"), MME),
        **dict.fromkeys(("MMBench_DEV_EN", "MMBench_DEV_EN_V11", "MMStar", "MMMB_en"), CHOICE),
        "MMMB": CHOICE.model_copy(update={"parts": ("MMMB_en",)}),
    },
    {"Taken": TransformersEntry(path="/nowhere")},
    {"dataset:MME_Perception": "MME", "model:taken-too": "Taken"},
)
UNKNOWN = Benchmark(None, None)


def as_vlmevalkit(file: Path, predictions: list[object], indices: list[object] | None = None, **more: object) -> Path:
    """Write a prediction file with the calls that VLMEvalKit's main branch makes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    index = list(range(len(predictions))) if indices is None else indices
    frame = pd.DataFrame({"index": index, "question": "Is it?", "answer": "Yes", "prediction": predictions, **more})
    if file.suffix == ".xlsx":
        options = {"options": {"strings_to_formulas": False}}
        with pd.ExcelWriter(file, engine="xlsxwriter", engine_kwargs=options) as writer:
            frame.to_excel(writer, index=False)
    elif file.suffix == ".json":
        file.write_text(json.dumps(frame.to_dict("records"), indent=4, ensure_ascii=False), encoding="utf-8")
    else:
        frame.to_csv(file, sep="\t", index=False, encoding="utf-8", quoting=1)
    return file


def as_ms_vlmeval(file: Path, predictions: list[object]) -> Path:
    """Write a spreadsheet as the release ms-vlmeval does: a text that starts with = becomes a formula."""
    frame = pd.DataFrame({"index": range(len(predictions)), "prediction": predictions})
    frame.to_excel(file, index=False, engine="xlsxwriter")
    return file


def rows_of(file: Path) -> list[ImportedRow]:
    return imported_rows(read_records(file), file.suffix)


def doubts_of(file: Path) -> list[tuple[str | None, tuple[str, ...]]]:
    return [(row.prediction, row.doubts) for row in rows_of(file)]


@pytest.mark.parametrize("ending", [".xlsx", ".tsv", ".json"])
def test_plain_texts_come_through_without_a_doubt(tmp_path: Path, ending: str) -> None:
    texts = ["Yes", "NA", "None", "nan", "007", "7.0", "=1+1", 'say "no"', "a\nb", "真\U0001f600", "True"]
    file = as_vlmevalkit(tmp_path / f"M_MME{ending}", list(texts), thinking="Hm.")
    assert doubts_of(file) == [(text, ()) for text in texts]
    assert {(row.status, row.thinking) for row in rows_of(file)} == {("ok", "Hm.")}


@pytest.mark.filterwarnings("ignore:Cell contents too long")
def test_a_cut_cell_is_told_from_one_that_is_shorter_by_one(tmp_path: Path) -> None:
    texts = ["x" * 40_000, "x" * (CELL_UNITS - 1), "\U0001f600" * 20_000]
    found = doubts_of(as_vlmevalkit(tmp_path / "M_MME.xlsx", list(texts)))
    assert [doubts for _, doubts in found] == [("cut",), (), ("cut",)]
    assert found[0][0] == "x" * CELL_UNITS
    long_in_a_table = doubts_of(as_vlmevalkit(tmp_path / "M_MME.tsv", list(texts)))
    assert long_in_a_table == [(text, ()) for text in texts]


def test_what_pandas_wrote_back_is_doubted(tmp_path: Path) -> None:
    """A spreadsheet that was read and written again: blanks, numbers, truth values."""
    first = as_vlmevalkit(tmp_path / "first.xlsx", ["", "007", "8"])
    pd.read_excel(first).to_excel(tmp_path / "M_MME.xlsx", index=False)
    assert doubts_of(tmp_path / "M_MME.xlsx") == [("", ("emptied",)), ("7", ("renumbered",)), ("8", ("renumbered",))]
    pd.read_excel(first).to_csv(tmp_path / "M_MME.tsv", index=False, sep="\t")
    assert doubts_of(tmp_path / "M_MME.tsv") == [("", ("emptied",)), ("7.0", ("renumbered",)), ("8.0", ("renumbered",))]
    truths = as_vlmevalkit(tmp_path / "truths.xlsx", ["True", "False"])
    pd.read_excel(truths).to_excel(tmp_path / "M_POPE.xlsx", index=False)
    assert doubts_of(tmp_path / "M_POPE.xlsx") == [("True", ("boolean",)), ("False", ("boolean",))]


def test_a_formula_gives_back_its_text(tmp_path: Path) -> None:
    file = as_ms_vlmeval(tmp_path / "M_MME.xlsx", ["=1+1", "{=A1}", "plain = text"])
    assert pd.read_excel(file)["prediction"].tolist()[0] == 0
    assert doubts_of(file) == [("=1+1", ("formula",)), ("{=A1}", ("formula",)), ("plain = text", ())]


def test_escaped_control_characters_are_restored(tmp_path: Path) -> None:
    file = as_vlmevalkit(tmp_path / "M_MME.xlsx", ["Yes\r\nNo", "\x01", "_x000D_eF and _xZ_"])
    assert "_x000D_" in pd.read_excel(file)["prediction"][0]
    assert [row.prediction for row in rows_of(file)[:2]] == ["Yes\r\nNo", "\x01"]
    assert rows_of(file)[0].doubts == ("escaped",)


def test_texts_of_calls_that_failed_stay_texts_with_a_doubt(tmp_path: Path) -> None:
    texts = [
        "Failed to obtain answer via API. ",
        "[LMMS_EVAL_REQUEST_FAILED after 5] 500",
        "I failed to get it",
    ]
    file = as_vlmevalkit(tmp_path / "M_MME.xlsx", list(texts))
    assert [(row.prediction, row.status, row.doubts) for row in rows_of(file)] == [
        (texts[0], "ok", ("failed",)),
        (texts[1], "ok", ("failed",)),
        (texts[2], "ok", ()),
    ]
    scored = read_predictions(file)
    assert [(row.prediction, row.status) for row in rows_of(file)] == list(
        zip(scored["prediction"], scored["status"], strict=True)
    )


def test_of_a_repeated_index_the_first_row_stays(tmp_path: Path) -> None:
    file = as_vlmevalkit(tmp_path / "M_MME.xlsx", ["a", "b", "c"], indices=["0", 0, "1"])
    assert [(row.index, row.prediction, row.doubts) for row in rows_of(file)] == [
        ("0", "a", ("duplicate",)),
        ("1", "c", ()),
    ]


def test_a_null_in_json_is_no_prediction_and_an_empty_text_is_one(tmp_path: Path) -> None:
    (tmp_path / "MME.json").write_text('[{"index": 0, "prediction": null}, {"index": 1, "prediction": ""}]')
    assert [(row.prediction, row.status) for row in rows_of(tmp_path / "MME.json")] == [
        (None, "model_error"),
        ("", "empty"),
    ]


def test_the_predictions_of_a_vlmevalkit_folder_are_told_from_what_lies_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "My_Model"
    old, new = folder / "T20250101-010101", folder / "T20260101_Gabc"
    for run, text in ((old, "old"), (new, "new")):
        as_vlmevalkit(run / "My_Model_MME.xlsx", [text])
    as_vlmevalkit(new / "My_Model_MMBench_DEV_EN_V11.tsv", ["A"])
    as_vlmevalkit(new / "My_Model_MMBench_DEV_EN_V11.xlsx", ["cut"])
    as_vlmevalkit(new / "My_Model_MMMB.xlsx", ["A"])
    as_vlmevalkit(new / "My_Model_MMMB_en.xlsx", ["A"])
    for extra in ("MME_auxmatch.xlsx", "MME_exact_matching_result.xlsx", "MME_score.csv", "MME_acc.csv", "MME_x.json"):
        (new / f"My_Model_{extra}").write_text("damaged")
    for extra in ("My_Model_MME.pkl", "My_Model_MME_checkpoint.pkl", "01_MME.pkl"):
        (new / extra).write_bytes(b"\x80\x04")
    (new / "status.json").write_text("{}")
    findings = find(folder, REGISTRY, None, "auto")
    assert {name: one.file for name, one in findings.files.items()} == {
        "MME": new / "My_Model_MME.xlsx",
        "MMBench_DEV_EN_V11": new / "My_Model_MMBench_DEV_EN_V11.tsv",
        "MMMB_en": new / "My_Model_MMMB_en.xlsx",
    }
    assert findings.left_out == ["My_Model_MMMB.xlsx: MMMB is made of parts; import the files of MMMB_en"]
    (folder / "My_Model_MME.xlsx").symlink_to(old / "My_Model_MME.xlsx")
    assert find(folder, REGISTRY, "MME", "vlmevalkit").files["MME"].file == folder / "My_Model_MME.xlsx"


class Bomb:
    """An object whose pickle writes a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.file), "w")


def test_pickles_are_refused_and_never_opened(tmp_path: Path) -> None:
    folder, proof = tmp_path / "M", tmp_path / "opened"
    folder.mkdir()
    (folder / "M_MME.pkl").write_bytes(pickle.dumps(Bomb(proof)))
    for source in (folder, folder / "M_MME.pkl"):
        with pytest.raises(VlmakeError, match=r"M_MME\.pkl: a pickle, which is never opened"):
            find(source, REGISTRY, None, "auto")
    as_vlmevalkit(folder / "M_POPE.xlsx", ["Yes"])
    findings = find(folder, REGISTRY, None, "auto")
    assert list(findings.files) == ["POPE"]
    assert findings.left_out[0].startswith("M_MME.pkl: a pickle")
    assert not proof.exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no predictions of a registered dataset: expected MODEL_DATASET.xlsx"),
        (["M/M_MMEE.xlsx"], "'MMEE' is no registered dataset; did you mean 'MME'"),
        (["M/M_MMBench_DEV_EN_V12.xlsx"], "did you mean 'MMBench_DEV_EN_V11'"),
        (["samples_mmee_2026-01-02T03-04-05.6.jsonl"], "'mmee' is no registered dataset; did you mean 'mme'"),
        (["A_MME.xlsx", "B_MME.xlsx"], r"several models \(A, B\)"),
        (["M_MMMB.xlsx"], "M_MMMB.xlsx: MMMB is made of parts; import the files of MMMB_en"),
        (["M_MME.xlsx", "samples_mme.jsonl"], "MME as a sample log and as a table; choose by --format"),
    ],
)
def test_a_folder_without_one_models_predictions_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        file = tmp_path / name
        as_vlmevalkit(file, ["x"]) if file.suffix == ".xlsx" else file.write_text("{}")
    with pytest.raises(VlmakeError, match=message) as caught:
        find(tmp_path, REGISTRY, None, "auto")
    assert "\n" not in str(caught.value)


def test_a_file_of_any_name_is_what_the_user_says(tmp_path: Path) -> None:
    file = as_vlmevalkit(tmp_path / "final2.xlsx", ["x"])
    assert find(file, REGISTRY, "MME", "auto").files["MME"].file == file
    with pytest.raises(VlmakeError, match=r"final2\.xlsx: its name ends with no registered dataset; say what it is"):
        find(file, REGISTRY, None, "auto")
    with pytest.raises(VlmakeError, match="holds no POPE; it holds MME"):
        find(as_vlmevalkit(tmp_path / "M" / "M_MME.xlsx", ["x"]).parent, REGISTRY, "POPE", "auto")
    with pytest.raises(VlmakeError, match="unknown format"):
        find(Path(__file__), REGISTRY, "MME", "auto")
    with pytest.raises(VlmakeError, match="no such file or folder"):
        find(tmp_path / "gone", REGISTRY, None, "auto")


def log_line(doc_id: int, answer: str, **more: object) -> dict[str, object]:
    return {"doc_id": doc_id, "target": "A", "doc_hash": "0", "filtered_resps": [answer], **more}


def write_log(file: Path, lines: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def test_names_of_sample_logs() -> None:
    assert log_name(Path("samples_mmmu_val_2026-01-02T03-04-05.678901.jsonl")) == (
        "mmmu_val",
        "2026-01-02T03-04-05.678901",
    )
    assert log_name(Path("20260102_030405_samples_mmbench_en_dev.jsonl")) == ("mmbench_en_dev", "20260102_030405")
    assert log_name(Path("20260102_030405_results.json")) is None


def test_a_log_of_lm_eval_gives_raw_answers_once_a_document(tmp_path: Path) -> None:
    lines = [
        log_line(n, "B", doc={"index": 10 + n}, resps=[[f"The answer is B, {n}."]], filter=kind)
        for kind in ("none", "letter")
        for n in (0, 1)
    ]
    records = read_sample_log(write_log(tmp_path / "samples_mmstar.jsonl", lines), ("doc.index",), "")
    assert [(record.index, record.prediction) for record in records] == [
        ("10", "The answer is B, 0."),
        ("11", "The answer is B, 1."),
    ]


def test_a_log_of_lmms_eval_without_documents_is_matched_by_its_metrics(tmp_path: Path) -> None:
    lines = [
        {**log_line(0, "x"), "filtered_resps": "A", "submission": {"index": 241}},
        {**log_line(1, "x"), "resps": ["<think>\nHm. A? No.\n</think>\n\nB"], "filtered_resps": "B"}
        | {"submission": {"index": 1_000_241}},
    ]
    write_log(tmp_path / "20260102_030405_samples_mmbench_en_dev.jsonl", lines)
    done, _ = import_files(find(tmp_path, REGISTRY, None, "auto"), {"MMBench_DEV_EN": UNKNOWN}, None)
    rows = done["MMBench_DEV_EN"].rows
    assert [(row.index, row.prediction) for row in rows] == [("241", "A"), ("1000241", "B")]
    assert rows[1].thinking == "<think>\nHm. A? No.\n</think>"


def test_a_log_of_an_unknown_task_is_what_the_user_says(tmp_path: Path) -> None:
    file = write_log(tmp_path / "answers.jsonl", [log_line(n, f"No {n}", doc={"key": f"k{n}"}) for n in (0, 1)])
    done, _ = import_files(find(file, REGISTRY, "POPE", "auto"), {"POPE": UNKNOWN}, "doc.key")
    assert [(row.index, row.prediction) for row in done["POPE"].rows] == [("k0", "No 0"), ("k1", "No 1")]


def test_rows_that_cannot_be_matched_are_said_in_one_line_with_the_fields_there_are(tmp_path: Path) -> None:
    lines = [log_line(n, "Yes", doc={"question_id": "color/1.png", "no": n}) for n in (0, 1)]
    file = write_log(tmp_path / "samples_mme_2026-01-02T03-04-05.6.jsonl", lines)
    findings = find(tmp_path, REGISTRY, None, "samples")
    with pytest.raises(UnmatchedError, match=r"two questions; name the field .*doc\.question_id, doc\.no"):
        import_files(findings, {"MME": UNKNOWN}, None)
    with pytest.raises(UnmatchedError, match=r"documents 0 and 1 share the doc\.question_id 'color/1\.png'"):
        import_files(findings, {"MME": UNKNOWN}, "doc.question_id")
    with pytest.raises(UnmatchedError, match=r"there is no 'doc\.question'; did you mean 'doc\.question_id'"):
        import_files(findings, {"MME": UNKNOWN}, "doc.question")
    done, _ = import_files(findings, {"MME": UNKNOWN}, "doc.no")
    assert [row.index for row in done["MME"].rows] == ["0", "1"]
    as_vlmevalkit(tmp_path / "M" / "M_POPE.xlsx", ["Yes"])
    both = {**findings.files, **find(tmp_path / "M", REGISTRY, None, "auto").files}
    done, unmatched = import_files(Findings(both, []), {"MME": UNKNOWN, "POPE": UNKNOWN}, None)
    assert list(done) == ["POPE"]
    assert str(file) in unmatched[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"doc_id": 0, "filtered_resps": ["a"]', "line 1 is not JSON; the log is damaged or cut short"),
        ('{"doc_id": 0, "answer": "a"}', "no 'doc_id' or no 'filtered_resps'"),
        ('{"doc_id": 0, "filtered_resps": [], "doc": {"index": 1}}', "holds no text"),
        (
            '{"doc_id": 0, "doc": {"index": 1}, "resps": [[["-1.5", "False"]], [["-0.5", "True"]]],'
            ' "filtered_resps": [["-1.5", "False"], ["-0.5", "True"]]}',
            "a task of likelihoods has no predictions",
        ),
        ("", "is empty"),
    ],
)
def test_a_damaged_log_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "samples_mmstar.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(VlmakeError, match=message) as caught:
        read_sample_log(file, ("doc.index",), "")
    assert "\n" not in str(caught.value)


def test_our_own_predictions_keep_status_and_thinking(tmp_path: Path) -> None:
    table = pa.table(
        {
            "index": ["0", "1", "2", "2"],
            "repeat": [0, 0, 0, 1],
            "prediction": ["Yes", None, "and so", "other"],
            "thinking": ["Hm.", None, None, None],
            "status": ["ok", "bad_image", "truncated", "ok"],
        }
    )
    (tmp_path / "Model").mkdir()
    pq.write_table(table, tmp_path / "Model" / "MME@3_predictions.parquet")
    found = find(tmp_path / "Model", REGISTRY, None, "vlmake").files["MME"]
    assert found.limit == 3
    assert [(row.prediction, row.status, row.thinking) for row in rows_of(found.file)] == [
        ("Yes", "ok", "Hm."),
        (None, "bad_image", None),
        ("and so", "truncated", None),
    ]


def test_rows_are_compared_with_the_decoded_benchmark(tmp_path: Path) -> None:
    (tmp_path / "data" / "MME").mkdir(parents=True)
    pq.write_table(pa.table({"index": ["0", "1", "2"]}), tmp_path / "data" / "MME" / "samples.parquet")
    benchmark = known_benchmark("MME", MME, tmp_path / "data")
    findings = find(as_vlmevalkit(tmp_path / "M" / "M_MME.xlsx", ["a", "b"], [1, 7]).parent, REGISTRY, None, "auto")
    report = import_files(findings, {"MME": benchmark}, None)[0]["MME"].report
    assert (report["missing"], report["more"]) == ({"rows": 2, "first": ["0", "2"]}, {"rows": 1, "first": ["7"]})
    said = "\n".join(report_lines("MME", report))
    assert "2 rows of the benchmark without a prediction" in said
    assert "1 row that the benchmark does not have, unused (index 7)" in said
    as_vlmevalkit(tmp_path / "M" / "M_MME.xlsx", ["a", "b"], ["x", "y"])
    said = report_lines("MME", import_files(findings, {"MME": benchmark}, None)[0]["MME"].report)
    started = "  none of the 2 indices is one of MME as it is decoded here (index x, y; the benchmark's"
    assert said[1].startswith(started)
    counted = known_benchmark("MME", MME.model_copy(update={"rows": 9}), tmp_path)
    said = report_lines("MME", import_files(findings, {"MME": counted}, None)[0]["MME"].report)
    assert said[-1] == "  the benchmark has 9 rows, the file 2"


def test_every_damaged_file_is_one_line(tmp_path: Path) -> None:
    whole = as_vlmevalkit(tmp_path / "M" / "M_MME.xlsx", ["Yes"] * 500).read_bytes()
    for size in (0, 30, len(whole) // 2, len(whole) - 30):
        (tmp_path / "M" / "M_MME.xlsx").write_bytes(whole[:size])
        with pytest.raises(VlmakeError, match=r"M_MME\.xlsx: not a readable spreadsheet"):
            import_files(find(tmp_path / "M", REGISTRY, None, "auto"), {"MME": UNKNOWN}, None)


def test_an_import_is_whole_or_absent_and_depends_on_the_predictions_only(tmp_path: Path) -> None:
    rows = imported_rows([Record("row 1", "0", "Yes"), Record("row 2", "1", None)], ".xlsx")
    write_import(tmp_path / "a", {"MME": rows}, {"source": "here"})
    write_import(tmp_path / "b", {"MME": rows}, {"source": "there"})
    assert read_rows(tmp_path / "a", "MME") == {row.index: row for row in rows}
    assert (tmp_path / "a" / "MME.parquet").read_bytes() == (tmp_path / "b" / "MME.parquet").read_bytes()
    write_import(tmp_path / "a", {"POPE": rows}, {})
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == ["POPE.parquet", "import.json"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]
    with pytest.raises(VlmakeError, match=r"no predictions of MME were imported .*there is: POPE"):
        read_rows(tmp_path / "a", "MME")
    (tmp_path / "a" / "POPE.parquet").write_bytes(b"cut")
    with pytest.raises(VlmakeError, match=r"is damaged .* import it again with --replace"):
        read_rows(tmp_path / "a", "POPE")


def test_a_name_that_means_something_else_is_refused(tmp_path: Path) -> None:
    file, folder = entry_file(tmp_path), tmp_path / "imports" / "Mine"

    def refuse(name: str, replace: bool = False, place: Path = folder) -> None:
        refuse_name(name, REGISTRY, file, place, replace)

    refuse("Mine")
    write_entry("Other", tmp_path / "imports" / "Other", "Another import", file)
    write_entry("Mine", folder, "An import", file)
    assert "../../imports/Mine" in file.read_text(encoding="utf-8")
    assert "Other:" in file.read_text(encoding="utf-8")
    with pytest.raises(VlmakeError, match=r"imported already .* --replace"):
        refuse("Mine")
    refuse("Mine", replace=True)
    with pytest.raises(VlmakeError, match="'Mine' is another entry"):
        refuse("Mine", replace=True, place=tmp_path / "elsewhere")
    for name in ("Taken", "taken-too"):
        with pytest.raises(VlmakeError, match="is a registered model already"):
            refuse(name, replace=True)
    for name in ("report", "a/b", "../x", ""):
        with pytest.raises(VlmakeError, match="cannot be a name"):
            refuse(name)
    file.write_text("models:\n  Mine: {repository: a/b}\n")
    with pytest.raises(VlmakeError, match="'Mine' is another entry"):
        refuse("Mine", replace=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("empty",), "holds no predictions of a registered dataset"),
        (("M_MME.pkl",), "a pickle, which is never opened"),
        (("Odd",), "did you mean 'MME'"),
        (("Odd", "--as", "TinyVLM"), "'TinyVLM' is a registered model already"),
        (("Odd", "--dataset", "MMEE"), "unknown dataset 'MMEE'; did you mean 'MME'"),
    ],
)
def test_an_import_that_is_refused_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "M_MME.pkl").write_bytes(b"\x80\x04")
    as_vlmevalkit(tmp_path / "Odd" / "Odd_MMEE.xlsx", ["Yes"])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(VlmakeError, match=message) as caught:
        command.main(["--as", "X", *words], standalone_mode=False)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_twenty_thousand_rows_of_a_spreadsheet_are_imported_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [f"Answer {n}" for n in range(20_000)]
    texts[7] = "Failed to obtain answer via API."
    as_vlmevalkit(tmp_path / "out" / "Peer" / "Peer_MME.xlsx", list(texts))
    command.main(["out/Peer", "--as", "Peer"], standalone_mode=False)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "MME: 20,000 predictions from Peer_MME.xlsx (20,000 ok)"
    assert said[1].startswith("  1 failed: ")

    entry = ReplayEntry(backend="replay", path=str(tmp_path / "imports" / "Peer"))
    assert (entry.device, entry.gpus) == ("cpu", 0)
    spec = model_spec.resolve("Peer", entry)
    asking = Asking(spec.digest(), 8, looked_up_in="MME")
    same = [{"type": "text", "text": "The same?"}]
    questions = [make_question(asking, str(n), same, None) for n in range(20_001)]
    journal = tmp_path / "journal"
    answer(
        questions,
        load(spec, RuntimeOptions("cpu")),
        NoImages(),
        JournalWriter(journal),
        asking,
        Pace(entry.batch_size),
        epoch=0,
        advance=lambda count: None,
    )
    answers = accepted_predictions(journal, questions, 0)
    replayed = [answers[question.key] for question in questions]
    assert [item.prediction for item in replayed] == [*texts, None]
    assert [item.status for item in replayed].count("model_error") == 1
    assert "index '20000' is not in the imported file" in str(replayed[20_000].error)


class NoImages:
    """A store of no pictures."""

    def bytes(self, image_id: str) -> bytes:
        raise KeyError(image_id)


def test_the_identity_of_an_import_is_its_predictions(tmp_path: Path) -> None:
    def identity(place: str, text: str, source: str) -> str:
        rows = imported_rows([Record("row 1", "0", text)], ".json")
        write_import(tmp_path / place, {"MME": rows}, {"source": source})
        return model_spec.resolve("Peer", ReplayEntry(backend="replay", path=str(tmp_path / place))).identity

    first = identity("a", "Yes", "here")
    assert identity("b", "Yes", "there") == first
    assert identity("b", "No", "there") != first
    with pytest.raises(VlmakeError, match="nothing is no import: there is no such folder"):
        model_spec.resolve("Peer", ReplayEntry(backend="replay", path=str(tmp_path / "nothing")))
