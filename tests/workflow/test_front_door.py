"""The commands as a user types them."""

import csv
import json
import math
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Workplace
from tests.workflow.conftest import SCORE

PARITY = REPOSITORY / "tests" / "data" / "parity"


@pytest.mark.parametrize(
    "words",
    [
        ("--cores", "2", "--resources", "gpu=4", SCORE),
        ("run", SCORE, "--resources", "gpu=4", "--cores", "2"),
        ("run", "--resources", "gpu=4", "--cores", "2", "--", SCORE),
    ],
)
def test_targets_in_any_order(finished: Workplace, words: tuple[str, ...]) -> None:
    finished.result("TinyVLM", "Mini_score.csv").unlink()
    ran = finished.vlmake(*words)
    assert ran.code == 0, ran.output
    assert finished.result("TinyVLM", "Mini_score.csv").is_file()
    assert "protocol vlmevalkit-main" in ran.output
    assert "perception" in ran.output


def test_snakemake_takes_the_target_after_dashes(finished: Workplace) -> None:
    finished.result("TinyVLM", "Mini_score.csv").unlink()
    ran = finished.snakemake("--resources", "gpu=4", "--", SCORE)
    assert (ran.code, ran.jobs) == (0, ["score TinyVLM/Mini"]), ran.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("results/TinyVML/Mini_score.csv",), "unknown model 'TinyVML'; did you mean 'TinyVLM'?"),
        (("results/TinyVLM/Minni_score.csv",), "unknown dataset 'Minni'; did you mean 'Mini'?"),
        (("run", "--model", "TinyVML"), "unknown model 'TinyVML'; did you mean 'TinyVLM'?"),
        (("run", "--data", "Minni@3"), "unknown dataset 'Minni'; did you mean 'Mini'?"),
        (("run", "--model", "--data", "Mini"), "--model names nothing; give it names (see `vlmake list models`)"),
        (("run", "--modell", "TinyVLM"), "unknown option '--modell'; did you mean '--model'?"),
        (("runn",), "unknown command 'runn'; did you mean 'run'?"),
        (("run", SCORE, "--limit", "3"), "a target's limit is in it: MME@20"),
        (("results/TinyVLM/Mini_scroe.csv",), "no file of this workflow has such a name"),
        (("data/Minni/samples.parquet",), "unknown dataset 'Minni'; did you mean 'Mini'?"),
        (("run", "--fresh", "results/summary.csv"), "--fresh asks models again"),
        (("run", "--config", "protocol=vlmevalkit-mian"), "did you mean 'vlmevalkit-main'?"),
    ],
)
def test_wrong_names_end_in_one_line(finished: Workplace, words: tuple[str, ...], expected: str) -> None:
    ran = finished.vlmake(*words)
    assert ran.code != 0
    assert len(ran.output.strip().splitlines()) == 1, ran.output
    assert expected in ran.output


@pytest.mark.parametrize("target", ["results/TinyVML/Mini_score.csv", "results/TinyVLM/Minni@2_predictions.parquet"])
def test_snakemake_says_it_as_well(finished: Workplace, target: str) -> None:
    ran = finished.snakemake("--", target)
    assert ran.code != 0
    assert "did you mean" in ran.output
    assert "Traceback" not in ran.output


@pytest.mark.parametrize("program", ["vlmake", "snakemake"])
def test_a_wrong_model_path_is_found_before_anything_is_fetched(workplace: Workplace, program: str) -> None:
    workplace.models["Nope"] = {"path": "/nope"}
    ran = getattr(workplace, program)("--", "results/Nope/Mini_score.csv")
    assert ran.code != 0
    said = [line for line in ran.output.splitlines() if not line.startswith("Using workflow specific profile")]
    assert said == ["vlmake: model 'Nope': /nope is no checkpoint: there is no such folder"]
    assert not (workplace.folder / "data").exists()


def test_fresh_supersedes_and_deletes_nothing(finished: Workplace) -> None:
    words = ("run", "--model", "TinyVLM", "--data", "Mini", "--mode", "infer")
    before = finished.result("TinyVLM", "Mini_predictions.parquet").read_bytes()
    assert finished.vlmake(*words, "--fresh").code == 0
    lines = [json.loads(line) for line in finished.journal_lines("TinyVLM", "Mini")]
    assert sorted(line["epoch"] for line in lines) == [0] * 24 + [1] * 24
    assert finished.result("TinyVLM", "Mini_predictions.parquet").read_bytes() == before, "greedy fp32 says the same"
    assert finished.vlmake(*words).code == 0
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 48


def test_work_dir_with_the_configuration_of_this_folder(finished: Workplace, tmp_path: Path) -> None:
    target = tmp_path / "some where" / "else"
    ran = finished.vlmake("run", "--data", "Mini@2", "--work-dir", str(target))
    assert ran.code == 0, ran.output
    assert (target / "results" / "TinyVLM" / "Mini@2_score.csv").is_file()
    assert (target / "results" / "report" / "index.html").is_file()


def test_a_file_in_the_place_of_a_result_folder_is_one_line(workplace: Workplace) -> None:
    (workplace.folder / "results").mkdir()
    (workplace.folder / "results" / "TinyVLM").touch()
    ran = workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini@2")
    assert ran.code == 1
    assert (
        ran.output == "vlmake: results/TinyVLM is a file where a folder should be; name another --work-dir or move it\n"
    )


def test_a_terminal_without_the_letters_gets_the_scores(finished: Workplace) -> None:
    words = ("run", "--model", "TinyVLM", "--data", "Mini")
    ran = finished.vlmake(*words, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ran.code == 0, ran.output
    assert "Mini  protocol vlmevalkit-main ? n = 24" in ran.output


def test_nothing_to_do_prints_the_scores_and_leaves_the_report(finished: Workplace) -> None:
    words = ("run", "--model", "TinyVLM", "--data", "Mini")
    assert finished.vlmake(*words).code == 0
    page = finished.folder / "results" / "report" / "index.html"
    before = page.stat().st_mtime_ns
    ran = finished.vlmake(*words)
    assert ran.code == 0
    assert "perception" in ran.output
    assert page.stat().st_mtime_ns == before


def test_dry_run_changes_nothing(workplace: Workplace) -> None:
    ran = workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini", "-n")
    assert ran.code == 0, ran.output
    assert "infer" in ran.output
    assert not (workplace.folder / "results").exists()


def test_missing_local_tsv_is_one_line(workplace: Workplace) -> None:
    Path(str(workplace.datasets["Mini"]["path"])).unlink()
    ran = workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini")
    assert ran.code != 0
    assert "Mini.tsv" in ran.output
    assert "Traceback" not in ran.output


def test_score_contract(workplace: Workplace, tmp_path: Path) -> None:
    out, items = tmp_path / "MME.csv", tmp_path / "items.jsonl"
    files = ("--tsv", str(PARITY / "MME.tsv"), "--predictions", str(PARITY / "MME.pred.jsonl"))
    ran = workplace.vlmake(
        "score", "--dataset", "MME", *files, "--protocol", "vlmevalkit-ms", "--out", str(out), "--items", str(items)
    )
    assert ran.code == 0, ran.output
    expected = json.loads((PARITY / "MME.ms.json").read_text(encoding="utf-8"))
    with out.open(newline="", encoding="utf-8") as lines:
        header, row = csv.reader(lines)
    wanted = dict(zip(expected["result"]["columns"], expected["result"]["rows"][0], strict=True))
    assert {name: float(value) for name, value in zip(header, row, strict=True)} == pytest.approx(wanted, abs=1e-9)
    detail = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert detail["dataset"] == "MME"
    assert set(detail["protocols"]) == {"vlmevalkit-main", "vlmevalkit-ms", "strict"}
    assert all({"columns", "rows"} <= set(part) for part in detail["protocols"].values())
    assert detail["samples"]["total"] == sum(detail["samples"]["by_status"].values()) == len(expected["items"])
    listed = [json.loads(line) for line in items.read_text(encoding="utf-8").splitlines()]
    assert len(listed) == len(expected["items"])
    assert all(set(line) == {"index", "extracted", "hit", "status", "rule", "confidence"} for line in listed)
    for line in listed:
        hit, extracted = expected["items"][line["index"]]
        assert math.isclose(line["hit"], hit)
        assert line["extracted"] == extracted


def test_a_hidden_choice_set_is_scored_where_its_tsv_has_every_letter(workplace: Workplace, tmp_path: Path) -> None:
    full, out = PARITY / "MMBench_DEV_EN.tsv", tmp_path / "T.csv"
    with full.open(newline="", encoding="utf-8") as lines:
        header, *rows = csv.reader(lines, delimiter="\t")
    for row, letter in zip(rows, ["?", *[""] * len(rows)], strict=False):
        row[header.index("answer")] = letter or row[header.index("answer")]
    with (tmp_path / "gap.tsv").open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines, delimiter="\t").writerows([header, *rows])
    asked = ("--dataset", "MMBench_TEST_EN", "--predictions", str(PARITY / "MMBench_DEV_EN.pred.jsonl"))
    ran = workplace.vlmake("score", *asked, "--tsv", str(tmp_path / "gap.tsv"), "--out", str(out))
    assert ran.code == 1 and "hand the submission file in at https://mmbench" in ran.output
    ran = workplace.vlmake("score", *asked, "--tsv", str(full), "--out", str(out))
    assert ran.code == 0, ran.output
    expected = json.loads((PARITY / "MMBench_DEV_EN.main.json").read_text(encoding="utf-8"))["result"]
    with out.open(newline="", encoding="utf-8") as lines:
        header, *rows = csv.reader(lines)
    place = expected["columns"].index("Overall")
    assert float(rows[0][header.index("Overall")]) == pytest.approx(expected["rows"][0][place], abs=1e-9)


def test_prompts_are_not_shown_where_they_are_not_known(workplace: Workplace) -> None:
    ran = workplace.vlmake("prompts", "--dataset", "DUDE", "--tsv", str(PARITY / "MME.tsv"))
    assert ran.code == 1
    assert ran.output.strip() == "vlmake: dataset 'DUDE': documents of many pages cannot be run yet"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--dataset", "MMe"), "unknown dataset 'MMe'; did you mean 'MME'?"),
        (("--dataset", "MMEE"), "unknown dataset 'MMEE'; did you mean 'MME'?"),
        (("--predictions", "model.pkl"), "pickles are not read"),
        (("--predictions", "nowhere.jsonl"), "no such file"),
        (("--tsv", "nowhere.tsv"), "nowhere.tsv"),
    ],
)
def test_score_faults_are_one_line(workplace: Workplace, words: tuple[str, str], expected: str) -> None:
    asked = {
        "--dataset": "MME", "--tsv": str(PARITY / "MME.tsv"), "--predictions": str(PARITY / "MME.pred.jsonl"),
        "--out": "out.csv",
    }  # fmt: skip
    asked[words[0]] = words[1]
    (workplace.folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    ran = workplace.vlmake("score", *(word for pair in asked.items() for word in pair))
    assert ran.code == 1
    assert len(ran.output.strip().splitlines()) == 1, ran.output
    assert expected in ran.output
    assert not (workplace.folder / "owned").exists()


@pytest.mark.parametrize("out", ["mine.csv", "mine.json", "table.xlsx", "/dev/null"])
def test_score_overwrites_no_input_and_no_device(workplace: Workplace, out: str) -> None:
    given = workplace.folder / "mine.csv"
    given.write_text("index,prediction\n0,Yes\n", encoding="utf-8")
    files = ("--tsv", str(PARITY / "MME.tsv"), "--predictions", str(given), "--out", out)
    ran = workplace.vlmake("score", "--dataset", "MME", *files)
    assert ran.code == 1
    assert len(ran.output.strip().splitlines()) == 1, ran.output
    assert given.read_text(encoding="utf-8") == "index,prediction\n0,Yes\n"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"metric": "mmee", "task": "yes_no", "path": "x.tsv"}, "unknown metric 'mmee'; did you mean 'mme'?"),
        ({"metric": "mme", "task": "vqa", "path": "x.tsv"}, "metric 'mme' counts answers of task 'yes_no', not 'vqa'"),
        ({"metric": "mme", "task": "yesno", "path": "x.tsv"}, "did you mean 'yes_no'?"),
        ({"metric": "mme", "task": "yes_no"}, "give `url` or `path`"),
    ],
)
def test_wrong_entries_are_found_before_any_work(workplace: Workplace, entry: dict[str, object], expected: str) -> None:
    workplace.datasets["Wrong"] = entry
    ran = workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini")
    assert ran.code == 1
    assert len(ran.output.strip().splitlines()) == 1, ran.output
    assert expected in ran.output


def test_no_secret_of_a_url_is_written(workplace: Workplace) -> None:
    workplace.datasets["Mini"].pop("path")
    workplace.datasets["Mini"]["url"] = "http://me:HUNTER2@127.0.0.1:9/x.tsv?token=HUNTER2"
    ran = workplace.snakemake("--", "data/Mini/source.json")
    assert ran.code != 0
    assert "HUNTER2" not in ran.output
    written = [file for file in workplace.folder.rglob("*") if file.is_file() and "config" not in file.parts]
    assert not [file for file in written if b"HUNTER2" in file.read_bytes()]


def test_configfile_and_config_are_obeyed(workplace: Workplace) -> None:
    (workplace.folder / "other.yaml").write_text("datasets: [Mini]\nlimit: 3\n", encoding="utf-8")
    ran = workplace.vlmake("run", "-n", "--configfile", "other.yaml")
    assert "results/TinyVLM/Mini@3_score.csv" in ran.output
    ran = workplace.vlmake("run", "-n", "--config", "limit=5")
    assert "results/TinyVLM/Mini@5_score.csv" in ran.output


def test_list_as_json(workplace: Workplace) -> None:
    datasets = json.loads(workplace.vlmake("list", "datasets", "--json").output)
    assert {"MME", "MMBench_DEV_EN", "Mini"} <= {entry["name"] for entry in datasets}
    models = json.loads(workplace.vlmake("list", "models", "--json").output)
    assert next(entry for entry in models if entry["name"] == "TinyVLM")["batch_size"] >= 1


def test_doctor_is_content_and_finds_a_changed_file(workplace: Workplace) -> None:
    ran = workplace.vlmake("doctor")
    assert ran.code == 0, ran.output
    assert "torch loads" in ran.output
    assert f" Snakefile: {workplace.product / 'Snakefile'}\n" in ran.output
    lmu = workplace.home / "LMUData"
    lmu.mkdir()
    (lmu / "MME.tsv").write_text("not what was published", encoding="utf-8")
    ran = workplace.vlmake("doctor")
    assert ran.code == 0, "nobody asked for it"
    assert "      dataset MME: " in ran.output
    workplace.config["datasets"] = ["MME"]
    ran = workplace.vlmake("doctor")
    assert ran.code == 1
    assert ran.output.splitlines()[-1] == "1 finding to attend to"
    assert "WRONG dataset MME" in ran.output
    assert "b36b43c3f09801f5d368627fb92187c3" in ran.output


def test_lmu_data_of_vlmevalkit_users_is_used_as_it_is(workplace: Workplace, tmp_path: Path) -> None:
    """A published TSV that lies in $LMUData already is checked and used; nothing is downloaded."""
    tsv = Path(str(workplace.datasets["Mini"].pop("path")))
    (tmp_path / "LMU").mkdir()
    tsv.rename(tmp_path / "LMU" / "Mini.tsv")
    workplace.datasets["Mini"]["url"] = "http://127.0.0.1:9/never.tsv"
    ran = workplace.snakemake("--", "data/Mini/samples.parquet", LMUData=str(tmp_path / "LMU"))
    assert ran.code == 0, ran.output
    assert json.loads((workplace.folder / "data/Mini/source.json").read_text())["origin"] == "existing file"
