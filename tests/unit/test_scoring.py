import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vlmake
from vlmake.errors import VlmakeError
from vlmake.extract.answer import PROTOCOLS
from vlmake.inference.statuses import STATUSES
from vlmake.metrics.registry import METRICS
from vlmake.scoring.protocols import JUDGED_COLUMNS, ScoringSpec, score
from vlmake.scoring.score_files import JUDGED, detail_json, items_jsonl, judged_table, table_csv
from vlmake.scoring.scoring_digest import source_digest

ROOT = Path(__file__).parents[2]
MME = ScoringSpec("MME", "yes_no", "mme")
CHOICE = ScoringSpec("Animals", "multiple_choice", "choice")


def questions(n=4, **columns):
    base = {
        "index": [str(i) for i in range(n)],
        "question": ["Is it a dog?"] * n,
        "answer": ["Yes", "No"] * (n // 2) + ["Yes"] * (n % 2),
        "category": ["OCR"] * n,
        "image_path": [f"{i // 2}.jpg" for i in range(n)],
        "images": [["x"]] * n,
        "image_error": [None] * n,
        "group": [f"{i // 2}" for i in range(n)],
    }
    return pd.DataFrame(base | columns)


def animals(n=3, **columns):
    base = {
        "index": [str(i) for i in range(n)],
        "A": ["dog"] * n,
        "B": ["cat"] * n,
        "C": ["horse"] * n,
        "answer": ["B"] * n,
    }
    return pd.DataFrame(base | columns)


def answers(texts, indices=None, status=None):
    return pd.DataFrame(
        {
            "index": indices or [str(i) for i in range(len(texts))],
            "prediction": pd.Series(texts, dtype=object),
            "status": status or ["model_error" if text is None else "ok" if text else "empty" for text in texts],
        }
    )


def rows(result, protocol):
    return result.judged[result.judged["protocol"] == protocol].set_index("index")


def test_one_set_of_predictions_is_read_in_three_protocols():
    result = score(animals(), answers(["The answer is cat", "答案是B", "B"]), CHOICE)
    assert {name: rows(result, name)["extracted"].tolist() for name in PROTOCOLS} == {
        "vlmevalkit-main": ["C", None, "B"],
        "vlmevalkit-ms": ["B", None, "B"],
        "strict": ["B", "B", "B"],
    }
    assert {name: numbers["overall"]["value"] for name, numbers in result.detail["protocols"].items()} == {
        "vlmevalkit-main": pytest.approx(1 / 3),
        "vlmevalkit-ms": pytest.approx(2 / 3),
        "strict": 1.0,
    }


def test_judged_has_a_row_a_sample_and_protocol_in_order():
    result = score(questions(), answers(["Yes", "No", None, "**Yes**"]), MME)
    assert tuple(result.judged.columns) == JUDGED_COLUMNS
    assert result.judged["protocol"].tolist() == [name for name in PROTOCOLS for _ in range(4)]
    assert result.judged["index"].tolist() == ["0", "1", "2", "3"] * 3
    main = rows(result, "vlmevalkit-main")
    assert main["hit"].tolist() == [1, 1, 0, 0]
    assert main["extracted"].tolist() == ["Yes", "No", "Unknown", "Unknown"]
    assert main["extraction_status"].tolist() == ["found", "found", "unresolved", "unresolved"]
    assert (main["span_start"]["0"], main["span_end"]["0"]) == (0, 3)
    strict = rows(result, "strict")
    assert strict["extracted"].tolist() == ["Yes", "No", None, "Yes"]
    assert strict["rule"]["2"] == "no_prediction"
    assert (strict["span_start"]["3"], strict["span_end"]["3"]) == (2, 5)


def test_the_published_shape_of_the_detail():
    result = score(questions(), answers(["Yes", "No", None, "No"]), MME)
    detail = json.loads(detail_json(result, {"made": "here"}))
    assert list(detail) == ["dataset", "metric", "protocol", "judge", "protocols", "samples", "provenance"]
    assert list(detail["protocols"]) == list(PROTOCOLS)
    main = detail["protocols"]["vlmevalkit-main"]
    assert main["columns"] == ["perception", "reasoning", "OCR"]
    assert main["rows"] == [[125.0, None, 125.0]]
    assert main["overall"] == {"name": "perception + reasoning", "value": 125.0, "n": 4}
    assert main["accuracy"]["value"] == 0.75 and main["accuracy"]["n"] == 4
    assert main["accuracy"]["low"] < 0.75 < main["accuracy"]["high"] and main["accuracy"]["method"] == "wilson-95"
    assert main["bounds"] == [0.75, 1.0]
    assert main["extraction"] == {"found": 3, "unresolved": 1}
    counts = dict.fromkeys(STATUSES, 0) | {"ok": 3, "model_error": 1}
    assert detail["samples"] == {"total": 4, "no_image": 0, "by_status": counts}
    assert detail["provenance"] == {"made": "here"}


def test_the_csv_is_the_configured_protocols_and_keeps_every_digit():
    texts = answers(["答案是B", "cat", "dog"])
    assert table_csv(score(animals(), texts, CHOICE)) == '"split","Overall"\n"none","0.3333333333333333"\n'
    strict = ScoringSpec("Animals", "multiple_choice", "choice", "strict")
    assert table_csv(score(animals(), texts, strict)) == '"split","Overall"\n"none","0.6666666666666666"\n'


def test_circular_rows_keep_their_own_hit_and_main_rows_get_the_groups():
    samples = animals(4, index=["1", "2", "1000001", "1000002"])
    spec = ScoringSpec("MMBench", "multiple_choice", "choice_circular")
    result = score(samples, answers(["B", "B", "B", "hm"], ["1", "2", "1000001", "1000002"]), spec)
    main = rows(result, "vlmevalkit-main")
    assert main["hit"].tolist() == [1, 1, 1, 0]
    assert main["group_hit"].tolist()[:2] == [1, 0] and main["group_hit"].isna().tolist() == [False, False, True, True]
    numbers = result.detail["protocols"]["vlmevalkit-main"]
    assert (numbers["accuracy"]["n"], numbers["accuracy"]["value"], numbers["bounds"]) == (2, 0.5, [0.5, 1.0])
    assert [row[:2] for row in numbers["vanilla"]["rows"]] == [
        ["vanilla_0_none", 1.0],
        ["vanilla_all_none", 0.75],
        ["circular_none", 0.5],
    ]
    first, *_, last = map(json.loads, items_jsonl(result).splitlines())
    assert first == {
        "index": "1",
        "extracted": "B",
        "hit": 1,
        "status": "ok",
        "rule": "letter_near_end",
        "confidence": None,
        "group_hit": 1,
    }
    assert last["hit"] == 0 and last["group_hit"] is None


def test_items():
    lines = items_jsonl(score(animals(2, index=["007", "b"]), answers(["B", None], ["007", "b"]), CHOICE)).splitlines()
    assert json.loads(lines[0]) == {
        "index": "007",
        "extracted": "B",
        "hit": 1,
        "status": "ok",
        "rule": "letter_near_end",
        "confidence": None,
    }
    assert json.loads(lines[1]) == {
        "index": "b",
        "extracted": None,
        "hit": 0,
        "status": "model_error",
        "rule": "none",
        "confidence": None,
    }


def test_only_the_strict_protocol_knows_a_confidence():
    result = score(animals(2), answers(["B", "nothing"], ["0", "1"]), CHOICE)
    assert rows(result, "strict")["confidence"].tolist() == ["high", None]
    assert rows(result, "vlmevalkit-main")["confidence"].tolist() == [None, None]


def test_rows_without_an_image_are_counted_and_left_out_of_the_tables():
    samples = questions(image_error=[None, "no image", "truncated file", None])
    statuses = ["ok", "bad_image", "bad_image", "ok"]
    result = score(samples, answers(["Yes", None, None, "No"], status=statuses), MME)
    main = result.detail["protocols"]["vlmevalkit-main"]
    assert (main["accuracy"]["n"], main["accuracy"]["value"]) == (3, pytest.approx(2 / 3))
    assert result.detail["samples"]["no_image"] == 1 and result.detail["samples"]["total"] == 4
    row = rows(result, "vlmevalkit-main").loc["1"]
    assert (row["rule"], row["extraction_status"]) == ("no_image", "unresolved") and pd.isna(row["hit"])
    assert len(result.judged) == 12


def test_unanswered_samples_are_not_right_and_widen_the_bounds():
    samples = animals(3, A=["n"] * 3, B=["xyz"] * 3, answer=["A"] * 3)
    result = score(samples, answers(["A", "A"], ["0", "1"], ["ok", "model_error"]), CHOICE)
    main, strict = (result.detail["protocols"][name] for name in ("vlmevalkit-main", "strict"))
    # An empty prediction reads as nan, which holds the text of option A: the peer's quirk gives a hit, the bounds none.
    assert main["accuracy"]["value"] == 1.0 and main["bounds"] == [pytest.approx(1 / 3), 1.0]
    assert strict["accuracy"]["value"] == pytest.approx(1 / 3) and strict["bounds"] == [pytest.approx(1 / 3), 1.0]
    assert result.detail["samples"]["by_status"]["model_error"] == 2


def test_a_choice_set_without_option_columns_is_refused():
    samples = animals(2)[["index", "answer"]].assign(options="['dog', 'cat']")
    with pytest.raises(VlmakeError, match="'Animals' has no option columns A, B"):
        score(samples, answers(["B", "B"]), CHOICE)
    open_questions = ScoringSpec("Studies", "multiple_choice", "mmmu")
    assert score(samples, answers(["B", "B"]), open_questions).table.rows


def test_a_spreadsheets_view_is_the_peers_and_not_strict():
    samples = animals(2, A=["4", "5"], B=[None, "6"], C=["x", "y"], answer=["A", "B"])
    result = score(samples, answers(["4.0", "6"]), CHOICE)
    # Beside a hole 6 is 6.0, and so are both columns; the text of A, 4, is in 4.0.
    assert rows(result, "vlmevalkit-main")["extracted"].tolist() == ["A", "B"]
    assert rows(result, "strict")["extracted"].tolist() == [None, "B"]
    formula = score(animals(2, A=["0", "1"], answer=["A", "A"]), answers(["=1+1", "x"]), CHOICE)
    assert rows(formula, "vlmevalkit-ms")["extracted"].tolist()[0] == "A"
    assert rows(formula, "vlmevalkit-main")["extracted"].tolist()[0] is None


@pytest.mark.parametrize(
    "metric",
    # HallusionBench needs indices of its own, vcr_zh a language model that is not on PyPI.
    [name for name, entry in METRICS.items() if entry.module and name not in ("hallusion", "vcr_zh")],
)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_any_metric_bears_any_subset_and_no_predictions(metric, n):
    task = METRICS[metric].task
    samples = animals(n) if task == "multiple_choice" else questions(n)[["index", "answer"]]
    for predictions in (answers(["B", "", "答案"][:n]), answers([None] * n), answers([])):
        result = score(samples, predictions, ScoringSpec("x", task, metric))
        detail_json(result, {})
        table_csv(result)
        assert len(judged_table(result)) == 3 * n


def test_every_row_without_an_image():
    result = score(questions(2, image_error=["no image"] * 2), answers([None, None]), MME)
    assert result.detail["protocols"]["strict"]["accuracy"]["value"] is None
    assert json.loads(detail_json(result, {}))["protocols"]["strict"]["bounds"] == [None, None]


@pytest.mark.parametrize(
    ("samples", "predictions", "message"),
    [
        (questions().drop(columns="answer"), answers(["Yes"]), "dataset 'MME' has no answers"),
        (questions(answer=[None] * 4), answers(["Yes"]), "dataset 'MME' has no answers"),
        (questions(), answers(["Yes"], ["9"]), "index '9' is not in the dataset"),
        (questions(), answers(["Yes", "No"], ["1", "1"]), "index '1' is there more than once"),
        (questions(), answers(["Yes"], status=["fine"]), "unknown status 'fine'"),
    ],
)
def test_errors_are_one_line(samples, predictions, message):
    with pytest.raises(VlmakeError, match=message) as caught:
        score(samples, predictions, MME)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"task": "yes_no", "metric": "choice"}, "metric 'choice' counts answers of 'multiple_choice'"),
        ({"task": "yes_no", "metric": "nope"}, "unknown metric 'nope'"),
        ({"task": "yes_no", "metric": "mme", "protocol": "loose"}, "unknown protocol 'loose'"),
        ({"task": "yes_no"}, "lacks 'metric'"),
    ],
)
def test_a_wrong_spec_is_refused(values, message):
    with pytest.raises(VlmakeError, match=message):
        ScoringSpec.from_mapping({"dataset": "x"} | values)


def test_only_the_first_repeat_is_scored():
    predictions = answers(["Yes", "No"], ["0", "0"]).assign(repeat=[0, 1])
    assert rows(score(questions(2), predictions, MME), "strict")["extracted"]["0"] == "Yes"


def test_the_judged_table_has_its_schema():
    assert judged_table(score(questions(), answers(["Yes"] * 4), MME)).schema.equals(JUDGED)


CHOICE_READERS = {name for name, entry in METRICS.items() if entry.task == "multiple_choice"} | {
    "mathvista",
    "mathvision",
}


@pytest.fixture
def package(tmp_path):
    copy = tmp_path / "vlmake"
    shutil.copytree(Path(vlmake.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("metrics/mme.py", {"mme"}),
        ("metrics/confusion.py", {"pope", "vsr"}),
        ("extract/strict/choice.py", CHOICE_READERS),
        ("extract/mmmu.py", {"mmmu", "mmmu_reasoned"}),
        ("extract/yes_no.py", {"mme", "pope", "hallusion", "amber", "vsr", "yes_no", "yes_no_any_case"}),
        ("scoring/protocols.py", set(METRICS)),
        ("extract/strict/reading.py", set(METRICS) - {"mmvet", "llavabench"}),  # judges read those
        ("extract/vlmevalkit_view.py", set(METRICS)),
        ("judges/settling.py", set(METRICS)),
        ("judges/kinds/choice.py", set()),
        ("judges/deciding.py", set()),
        ("metrics/registry.py", set()),
        ("inference/prompts.py", set()),
        ("inference/journal.py", set()),
        ("scoring/score_files.py", set()),
    ],
)
def test_a_changed_module_changes_the_digests_of_what_uses_it(package, tmp_path, file, changed):
    before = {name: source_digest(name, package) for name in METRICS}
    assert before["mme"] == source_digest("mme")
    other = tmp_path / "other"
    shutil.copytree(package, other)
    (other / file).write_text((other / file).read_text("utf-8") + "\n# changed\n", "utf-8")
    assert {name for name in METRICS if source_digest(name, other) != before[name]} == changed


def test_digests_are_fast_and_load_no_pandas():
    program = (
        "import sys, time; from vlmake.scoring.scoring_digest import source_digest;"
        "from vlmake.metrics.registry import METRICS;"
        "start = time.process_time(); [source_digest(name) for name in METRICS]; spent = time.process_time() - start;"
        "print(spent, *(name for name in ('pandas', 'numpy', 'torch', 'pyarrow') if name in sys.modules))"
    )
    spent, *loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert loaded == []
    assert float(spent) < 0.5


def run_script(*arguments):
    script = ROOT / "workflow" / "scripts" / "score.py"
    return subprocess.run([sys.executable, script, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture
def job(tmp_path):
    samples, predictions = tmp_path / "samples.parquet", tmp_path / "predictions.parquet"
    pq.write_table(pa.Table.from_pandas(questions(), preserve_index=False), samples)
    table = pa.Table.from_pandas(answers(["Yes", "No", "NA", None]), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"vlmake": '{"model":"tiny"}'}), predictions)
    names = ("judged.parquet", "score.csv", "score.json")
    outputs = {name: tmp_path / "out" / name for name in names}
    options = zip(("--judged", "--table", "--detail"), outputs.values(), strict=True)
    return ["--samples", samples, "--predictions", predictions, *(part for pair in options for part in pair)], outputs


def test_the_score_program(job):
    arguments, outputs = job
    spec = {"dataset": "MME@4", "task": "yes_no", "metric": "mme", "protocol": "strict", "source": "abc"}
    done = run_script("--spec", json.dumps(spec), *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert outputs["score.csv"].read_text() == '"perception","reasoning","OCR"\n"100.0","","100.0"\n'
    detail = json.loads(outputs["score.json"].read_text("utf-8"))
    assert detail["provenance"] == {
        "predictions": {"model": "tiny"},
        "scoring": spec,
        "vlmake": vlmake.__version__,
    }
    assert pq.read_schema(outputs["judged.parquet"]).equals(JUDGED)
    first = {name: path.read_bytes() for name, path in outputs.items()}
    assert run_script("--spec", json.dumps(spec), *arguments).returncode == 0
    assert first == {name: path.read_bytes() for name, path in outputs.items()}


@pytest.mark.parametrize(
    ("spec", "message"),
    [("{", "--spec: not JSON"), ("[]", "--spec: not a JSON object"), ("{}", "the scoring spec lacks 'dataset'")],
)
def test_the_score_program_fails_in_one_line_and_writes_nothing(job, spec, message):
    arguments, outputs = job
    done = run_script("--spec", spec, *arguments)
    assert done.returncode == 1 and message in done.stderr and done.stderr.count("\n") == 1
    assert not any(path.exists() for path in outputs.values())


def test_an_open_question_without_an_answer_is_unresolved_in_every_protocol():
    samples = pd.DataFrame({"index": ["0", "1", "2"], "answer": ["ABC", "['x', 'nan']", "ABC"]})
    result = score(samples, answers(["**abc**", None, " "]), ScoringSpec("Shapes", "vqa", "vqa_exact"))
    for protocol, hits in (("vlmevalkit-main", [0, 1, 0]), ("strict", [1, 0, 0])):
        assert rows(result, protocol)["hit"].tolist() == hits
        assert rows(result, protocol)["extraction_status"].tolist() == ["found", "unresolved", "unresolved"]
        assert rows(result, protocol)["rule"].tolist()[1:] == ["no_prediction", "empty"]
    # A missing text reads as nan, which is a gold text here: the peer's hit, but none that the lower bound counts.
    assert result.detail["protocols"]["vlmevalkit-main"]["bounds"] == [0.0, pytest.approx(2 / 3)]
