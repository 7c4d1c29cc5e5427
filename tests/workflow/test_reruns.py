"""What runs again and what does not, told by the real Snakemake on the real TinyVLM."""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import BENCHMARKS, Workplace, make_benchmark, read_tsv, write_tsv
from tests.workflow.conftest import SCORE
from vlmake.inference.journal import start_epoch


def tiny_vlm(place: Workplace) -> str:
    return str(place.product / "resources" / "models" / "TinyVLM")


def test_full_run_leaves_every_file(finished: Workplace) -> None:
    assert [row["index"] for row in finished.predictions("TinyVLM", "Mini")] == [str(i) for i in range(24)]
    for name in ("Mini_score.csv", "Mini_score.json", "Mini_judged.parquet", "Mini_timing.parquet"):
        assert finished.result("TinyVLM", name).is_file()
    assert (finished.folder / "results" / "summary.csv").is_file()
    assert (finished.folder / "results" / "report" / "index.html").is_file()
    assert not list(finished.folder.rglob("*.part"))
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 24


def test_second_run_runs_nothing(finished: Workplace) -> None:
    ran = finished.snakemake()
    assert (ran.code, ran.jobs) == (0, []), ran.output
    assert "Nothing to be done" in ran.output


def test_second_model_runs_only_itself_and_the_summary(finished: Workplace) -> None:
    finished.models["Second"] = {
        "path": tiny_vlm(finished),
        "device": "cpu",
        "gpus": 0,
        "system": "Look.",
        "dtype": "float32",
    }
    finished.config["models"] = ["TinyVLM", "Second"]
    ran = finished.snakemake()
    assert ran.jobs == ["all", "infer Second/Mini", "report", "score Second/Mini", "summary"], ran.output
    summary = (finished.folder / "results" / "summary.csv").read_text(encoding="utf-8")
    assert "TinyVLM,Mini" in summary
    assert "Second,Mini" in summary


def test_changed_scorer_scores_again_and_infers_nothing(own_product: Workplace) -> None:
    scorer = own_product.product / "src" / "vlmake" / "metrics" / "mme.py"
    scorer.write_text(scorer.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    ran = own_product.snakemake("--", SCORE)
    assert ran.jobs == ["score TinyVLM/Mini"], ran.output


def test_scorer_of_another_metric_changes_nothing(own_product: Workplace) -> None:
    scorer = own_product.product / "src" / "vlmake" / "metrics" / "pope.py"
    scorer.write_text(scorer.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    assert own_product.snakemake("--", SCORE).jobs == []


def test_changed_prompt_infers_only_that_dataset_again(finished: Workplace, tmp_path: Path) -> None:
    finished.datasets["Other"] = make_benchmark(tmp_path / "tsv", "Other", 6)
    finished.config["datasets"] = ["Mini", "Other"]
    assert finished.snakemake().code == 0
    finished.datasets["Other"]["prompt"] = "Look. {question}"
    ran = finished.snakemake()
    assert ran.jobs == ["all", "infer TinyVLM/Other", "report", "score TinyVLM/Other", "summary"], ran.output
    assert len(finished.journal_lines("TinyVLM", "Other")) == 12
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 24


def test_whole_benchmark_after_a_limit_infers_only_the_rest(workplace: Workplace) -> None:
    assert workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini", "--limit", "10").code == 0
    assert len(workplace.journal_lines("TinyVLM", "Mini")) == 10
    assert len(workplace.predictions("TinyVLM", "Mini@10")) == 10
    detail = json.loads(workplace.result("TinyVLM", "Mini@10_score.json").read_text(encoding="utf-8"))
    assert detail["samples"]["total"] == detail["samples"]["by_status"]["ok"] == 10
    assert workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini").code == 0
    keys = [json.loads(line)["key"] for line in workplace.journal_lines("TinyVLM", "Mini")]
    assert len(keys) == len(set(keys)) == 24
    assert workplace.result("TinyVLM", "Mini@10_score.csv").is_file()


def test_two_limits_at_once_ask_nothing_twice(workplace: Workplace) -> None:
    ran = workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini", "Mini@10", "--mode", "infer", "--cores", "2")
    assert ran.code == 0, ran.output
    assert len(workplace.journal_lines("TinyVLM", "Mini")) == 24


@pytest.mark.slow
def test_another_mirror_md5_or_data_folder_stales_nothing(workplace: Workplace, tmp_path: Path) -> None:
    source = Path(str(workplace.datasets["Mini"].pop("path")))
    md5 = hashlib.md5(source.read_bytes()).hexdigest()
    workplace.datasets["Mini"] |= {"url": source.as_uri(), "md5": md5}
    target = "results/TinyVLM/Mini@2_score.csv"
    assert workplace.snakemake("--", target).code == 0
    workplace.datasets["Mini"] |= {"url": ["http://127.0.0.1:9/mirror.tsv", source.as_uri()], "md5": [md5, "0" * 32]}
    ran = workplace.snakemake("--", target, LMUData=str(tmp_path / "elsewhere"))
    assert (ran.code, ran.jobs) == (0, []), ran.output


def test_changed_prompt_and_fresh_with_several_shards(finished: Workplace) -> None:
    finished.datasets["Mini"]["rows_per_shard"] = 12
    target = "results/TinyVLM/Mini_predictions.parquet"
    assert finished.snakemake("--", target).code == 0
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 24, "another cut asks nothing"
    finished.datasets["Mini"]["prompt"] = "Look. {question}"
    finished.result("TinyVLM", "Mini_predictions.parquet").unlink()
    ran = finished.snakemake("--", target)
    assert ran.jobs == [*(f"infer_shard TinyVLM/Mini/00{n}/002" for n in (0, 1)), "merge TinyVLM/Mini"], ran.output
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 48
    assert finished.vlmake("run", "--data", "Mini", "--mode", "infer", "--fresh").code == 0
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 72
    epoch = finished.result("TinyVLM", "Mini/journal") / "Mini.epoch"
    assert epoch.read_text() == "1 settled"


@pytest.mark.slow
def test_killed_request_for_fresh_answers_goes_on_and_the_next_is_fresh_again(finished: Workplace) -> None:
    words = ("run", "--data", "Mini", "--mode", "infer")
    start_epoch(finished.result("TinyVLM", "Mini/journal"), "Mini")  # what a killed --fresh leaves
    assert finished.vlmake(*words).code == 0
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 48
    assert finished.vlmake(*words, "--fresh").code == 0
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 72


@pytest.mark.slow
def test_shards_of_other_settings_are_made_again(finished: Workplace) -> None:
    finished.result("TinyVLM", "Mini_predictions.parquet").unlink()
    finished.datasets["Mini"]["rows_per_shard"] = 12
    shards = [f"results/TinyVLM/Mini/shards/00{number}-of-002.parquet" for number in (0, 1)]
    assert finished.snakemake("--notemp", "--", *shards).code == 0
    odd = finished.folder / shards[1]
    table = pq.read_table(odd)
    spec = json.loads(table.schema.metadata[b"vlmake"])
    for changed, code in (({"versions": {"torch": "9"}}, 0), ({"identity": "another model"}, 1)):
        finished.result("TinyVLM", "Mini_predictions.parquet").unlink(missing_ok=True)
        assert finished.snakemake("--notemp", "--", *shards).code == 0
        pq.write_table(table.replace_schema_metadata({"vlmake": json.dumps(spec | changed)}), odd)
        target = "results/TinyVLM/Mini_predictions.parquet"
        ran = finished.snakemake("--notemp", "--", target)
        assert ran.code == code, ran.output
    assert "the same command makes them from the journal" in ran.output or "are removed" in ran.output
    assert finished.snakemake("--", target).code == 0


def test_summary_shows_scores_that_are_not_configured(finished: Workplace) -> None:
    assert finished.snakemake("--", "results/TinyVLM/Mini@2_score.csv").code == 0
    ran = finished.snakemake("--", "results/summary.csv")
    assert ran.jobs == ["summary"], ran.output
    assert "Mini@2" in (finished.folder / "results" / "summary.csv").read_text(encoding="utf-8")


def test_deleted_intermediates_do_nothing_while_the_score_is_there(finished: Workplace) -> None:
    finished.result("TinyVLM", "Mini_predictions.parquet").unlink()
    shutil.rmtree(finished.folder / "data")
    ran = finished.snakemake("--", SCORE)
    assert (ran.code, ran.jobs) == (0, []), ran.output


def test_other_shards_infer_nothing_and_load_no_model(finished: Workplace, without_torch: str) -> None:
    path = f"{without_torch}{os.pathsep}{finished.product / 'src'}"
    before = finished.result("TinyVLM", "Mini_predictions.parquet").read_bytes()
    finished.result("TinyVLM", "Mini_predictions.parquet").unlink()
    ran = finished.snakemake(
        "--config", "rows_per_shard=7", "--", "results/TinyVLM/Mini_predictions.parquet", PYTHONPATH=path
    )
    assert ran.code == 0, ran.output
    shards = [f"infer_shard TinyVLM/Mini/{number:03d}/004" for number in range(4)]
    assert ran.jobs == [*shards, "merge TinyVLM/Mini"], ran.output
    assert finished.result("TinyVLM", "Mini_predictions.parquet").read_bytes() == before
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 24
    assert not finished.result("TinyVLM", "Mini/shards").exists()


def test_no_model_can_load_without_torch(workplace: Workplace, without_torch: str) -> None:
    path = f"{without_torch}{os.pathsep}{workplace.product / 'src'}"
    ran = workplace.snakemake("--", "results/TinyVLM/Mini@2_predictions.parquet", PYTHONPATH=path)
    assert ran.code != 0
    assert "a model would be loaded" in ran.output


def test_failed_sample_is_asked_again_by_the_same_command_and_only_it(own_product: Workplace) -> None:
    backend = own_product.product / "src" / "vlmake" / "backends" / "transformers.py"
    fault = (
        "        if 'FAULT' in str([request.turns for part in prepared for request in part.requests]):\n"
        "            raise RuntimeError('device fell off the bus')\n"
    )
    whole = backend.read_text(encoding="utf-8")
    marker = "        import torch\n\n        outputs: "
    assert marker in whole
    backend.write_text(whole.replace(marker, fault + marker), encoding="utf-8")

    tsv = Path(str(own_product.datasets["Mini"]["path"])).with_name("Faulty.tsv")
    rows = read_tsv(BENCHMARKS / "ShapesMME.tsv")[:13]
    rows[6][rows[0].index("question")] = "FAULT?"
    write_tsv(tsv, rows)
    own_product.datasets["Faulty"] = {"path": str(tsv), "rows": 12, "task": "yes_no", "metric": "mme"}

    words = ("run", "--model", "TinyVLM", "--data", "Faulty")
    ran = own_product.vlmake(*words)
    assert ran.code != 0
    assert (
        "1 of 12 samples failed (model_error), the first at index 5: RuntimeError: device fell off the bus"
        in ran.output
    )
    assert not own_product.result("TinyVLM", "Faulty_predictions.parquet").exists()
    assert len(own_product.journal_lines("TinyVLM", "Faulty")) == 12

    backend.write_text(whole, encoding="utf-8")
    assert own_product.vlmake(*words).code == 0
    assert len(own_product.journal_lines("TinyVLM", "Faulty")) == 13
    assert {row["status"] for row in own_product.predictions("TinyVLM", "Faulty")} <= {"ok", "truncated"}


def test_failed_run_leaves_no_score_of_predictions_that_are_gone(finished: Workplace, without_torch: str) -> None:
    """The same command after a failure fails again, or makes what is missing; it never shows the old score."""
    words = ("run", "--model", "TinyVLM", "--data", "Mini")
    before = finished.result("TinyVLM", "Mini_score.csv").read_bytes()
    finished.models["TinyVLM"] = {"chat_template": "{% for %}"}
    for _ in range(2):
        ran = finished.vlmake(*words)
        assert ran.code != 0
        assert "its chat template fails" in ran.output
        assert not finished.result("TinyVLM", "Mini_score.csv").exists()
    assert finished.snakemake("--", "results/TinyVLM/Mini_score.csv").code != 0
    del finished.models["TinyVLM"]
    path = f"{without_torch}{os.pathsep}{finished.product / 'src'}"
    ran = finished.vlmake(*words, PYTHONPATH=path)
    assert ran.code == 0, ran.output
    assert finished.result("TinyVLM", "Mini_score.csv").read_bytes() == before


def test_touched_tsv_stales_nothing(finished: Workplace) -> None:
    os.utime(str(finished.datasets["Mini"]["path"]), (time.time(), time.time()))
    ran = finished.snakemake()
    assert (ran.code, ran.jobs) == (0, []), ran.output


@pytest.mark.slow
def test_touched_download_stales_nothing(workplace: Workplace, tmp_path: Path) -> None:
    source = Path(str(workplace.datasets["Mini"].pop("path")))
    workplace.datasets["Mini"]["url"] = source.as_uri()
    target = "results/TinyVLM/Mini@2_score.csv"
    assert workplace.snakemake("--", target).code == 0
    downloaded = workplace.home / "LMUData" / "Mini.tsv"
    assert downloaded.read_bytes() == source.read_bytes()
    os.utime(downloaded, (time.time(), time.time()))
    ran = workplace.snakemake("--", target)
    assert (ran.code, ran.jobs) == (0, []), ran.output


def test_changed_row_infers_that_row_again(finished: Workplace, tmp_path: Path) -> None:
    rows = read_tsv(Path(str(finished.datasets["Mini"]["path"])))
    rows[3][rows[0].index("question")] = "Is there a blue cross in the image? Please answer yes or no."
    write_tsv(tmp_path / "Mini.tsv", rows)
    finished.datasets["Mini"]["path"] = str(tmp_path / "Mini.tsv")
    ran = finished.snakemake("--", SCORE)
    assert ran.jobs == ["decode Mini", "download Mini", "infer TinyVLM/Mini", "score TinyVLM/Mini"], ran.output
    assert len(finished.journal_lines("TinyVLM", "Mini")) == 25


def test_edited_weights_give_other_answers(finished: Workplace, tmp_path: Path) -> None:
    """The table is earned by the weights: zeros in the language head change it."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(tiny_vlm(finished), tmp_path / "TinyVLM")
    weights = load_file(tmp_path / "TinyVLM" / "model.safetensors")
    damaged = {name: value * 0 if "norm" in name else value for name, value in weights.items()}
    save_file(damaged, tmp_path / "TinyVLM" / "model.safetensors", metadata={"format": "pt"})
    before = finished.predictions("TinyVLM", "Mini")
    finished.models["TinyVLM"] = {
        "path": str(tmp_path / "TinyVLM"), "dtype": "float32", "device": "cpu", "gpus": 0, "max_new_tokens": 16,
    }  # fmt: skip
    ran = finished.snakemake("--", SCORE)
    assert ran.jobs == ["infer TinyVLM/Mini", "score TinyVLM/Mini"], ran.output
    after = finished.predictions("TinyVLM", "Mini")
    assert [row["prediction"] for row in before] != [row["prediction"] for row in after]


def test_deleted_weights_stale_nothing(finished: Workplace, tmp_path: Path) -> None:
    shutil.copytree(tiny_vlm(finished), tmp_path / "weights")
    finished.models["Mine"] = {"path": str(tmp_path / "weights"), "device": "cpu", "gpus": 0}
    target = "results/Mine/Mini@2_score.csv"
    assert finished.snakemake("--", target).code == 0
    shutil.rmtree(tmp_path / "weights")
    ran = finished.snakemake("--", target)
    assert (ran.code, ran.jobs) == (0, []), ran.output
    ran = finished.vlmake("results/Mine/Mini_score.csv")
    assert ran.code != 0
    assert len(ran.output.splitlines()) == 1, ran.output
    assert "weights is no checkpoint: there is no such folder" in ran.output
    assert finished.snakemake("--", target).code == 0, "another target's missing weights are no matter"


@pytest.mark.parametrize("batch_size", [1, 5])
def test_batch_size_changes_no_answer(finished: Workplace, batch_size: int) -> None:
    finished.models["Again"] = {
        "path": tiny_vlm(finished), "dtype": "float32", "device": "cpu", "gpus": 0, "batch_size": batch_size,
    }  # fmt: skip
    assert finished.snakemake("--", "results/Again/Mini_predictions.parquet").code == 0
    columns = ("index", "prediction", "status", "key")
    again = [[row[name] for name in columns] for row in finished.predictions("Again", "Mini")]
    assert again == [[row[name] for name in columns] for row in finished.predictions("TinyVLM", "Mini")]


def test_batch_size_stales_nothing(finished: Workplace) -> None:
    finished.models["TinyVLM"] = {
        "path": tiny_vlm(finished), "dtype": "float32", "device": "cpu", "gpus": 0, "batch_size": 3,
    }  # fmt: skip
    assert finished.snakemake("--", SCORE).jobs == []
