"""Imported predictions run as a model: by the real commands, where torch cannot be imported."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Ran, Workplace, read_tsv, write_tsv

TEXTS = ("Yes", "No.", "Yes, there is", "=no", "007", "NA", "", "Failed to obtain answer via API. Yes")


@pytest.fixture
def bench(workplace: Workplace) -> Workplace:
    """A benchmark of 24 rows of which the first two ask the same about the same picture."""
    tsv = Path(str(workplace.datasets["Mini"]["path"]))
    header, first, _, *rows = read_tsv(tsv)
    write_tsv(tsv, [header, first, ["1", *first[1:]], *rows])
    workplace.config.update(models=[], datasets=[])
    return workplace


def predictions(rows: int = 24) -> list[str]:
    return [TEXTS[number % len(TEXTS)] for number in range(rows)]


def write_results(folder: Path, texts: list[str], indices: list[object] | None = None, dataset: str = "Mini") -> Path:
    """Leave what VLMEvalKit leaves after a run."""
    run = folder / "T20260102-030405"
    run.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame({"index": indices or list(range(len(texts))), "question": "?", "prediction": texts})
    with pd.ExcelWriter(
        run / f"{folder.name}_{dataset}.xlsx",
        engine="xlsxwriter",
        engine_kwargs={"options": {"strings_to_formulas": False}},
    ) as writer:
        frame.to_excel(writer, index=False)
    (run / f"{folder.name}_{dataset}.pkl").write_bytes(b"never read")
    frame.assign(extracted="Yes", score=1).to_excel(run / f"{folder.name}_{dataset}_auxmatch.xlsx", index=False)
    return folder


def vlmake(place: Workplace, without_torch: str, *words: str) -> Ran:
    return place.vlmake(*words, PYTHONPATH=f"{without_torch}:{place.product / 'src'}")


@pytest.mark.slow
def test_imported_results_are_scored_as_the_same_predictions_directly(bench: Workplace, without_torch: str) -> None:
    results = write_results(bench.folder / "outputs" / "Peer", predictions())
    done = vlmake(bench, without_torch, "import", str(results), "--as", "Peer")
    assert done.code == 0, done.output
    assert "Mini: 24 predictions from Peer_Mini.xlsx (3 empty, 21 ok)" in done.output
    assert "3 emptied" in done.output
    assert "3 failed: the tool's text for a call that failed: imported as the text it is" in done.output
    ran = vlmake(bench, without_torch, "run", "--model", "Peer", "--data", "Mini", "Mini@10")
    assert ran.code == 0, ran.output
    assert len(bench.predictions("Peer", "Mini@10")) == 10
    assert len(bench.journal_lines("Peer", "Mini")) == 24
    kept = bench.predictions("Peer", "Mini")
    assert [row["prediction"] for row in kept] == predictions(), "also where two rows ask the same"
    assert [row["status"] for row in kept] == ["empty" if text == "" else "ok" for text in predictions()]

    lines = [json.dumps({"index": n, "prediction": text}) for n, text in enumerate(predictions())]
    (bench.folder / "direct.jsonl").write_text("\n".join(lines), encoding="utf-8")
    tsv = str(bench.datasets["Mini"]["path"])
    direct = ("--dataset", "Mini", "--tsv", tsv, "--predictions", "direct.jsonl", "--out", "direct.csv")
    scored = vlmake(bench, without_torch, "score", *direct)
    assert scored.code == 0, scored.output
    assert bench.result("Peer", "Mini_score.csv").read_bytes() == (bench.folder / "direct.csv").read_bytes()
    mine = json.loads(bench.result("Peer", "Mini_score.json").read_text(encoding="utf-8"))
    theirs = json.loads((bench.folder / "direct.json").read_text(encoding="utf-8"))
    assert mine["protocols"] == theirs["protocols"]
    assert [note.split(":")[0] for note in mine["notes"]] == ["3 emptied", "3 failed"]
    assert "3 failed: the tool's text for a call that failed" in ran.output, "beside the score as well"
    assert "Peer,Mini" in (bench.folder / "results" / "summary.csv").read_text(encoding="utf-8")


@pytest.mark.slow
def test_rows_that_are_not_in_the_file_stop_the_run_until_a_whole_file_replaces_it(
    bench: Workplace, without_torch: str
) -> None:
    bench.datasets["Mini"]["rows_per_shard"] = 12
    results = write_results(bench.folder / "Peer", predictions(23))
    importing = ("import", str(results), "--as", "Peer", "--work-dir", "there")
    run = ("run", "--model", "Peer", "--data", "Mini", "--mode", "infer", "--work-dir", "there")
    assert vlmake(bench, without_torch, *importing).code == 0
    ran = vlmake(bench, without_torch, *run)
    assert ran.code != 0
    assert "1 of 12 samples failed (model_error), the first at index 23" in ran.output
    assert "index '23' is not in the imported file" in ran.output
    assert "import a file that has them with `vlmake import ... --replace`" in ran.output
    assert "run the same command again" not in ran.output
    bench.datasets["Other"] = bench.datasets["Mini"]
    refused = vlmake(bench, without_torch, *run, "--data", "Other")
    assert (refused.code, len(refused.output.splitlines())) == (1, 1)
    assert "no predictions of Other, only of Mini" in refused.output

    write_results(results, ["No", *predictions()[1:]])
    refused = vlmake(bench, without_torch, *importing)
    assert (refused.code, len(refused.output.splitlines())) == (1, 1)
    assert "'Peer' is imported already" in refused.output
    assert "--replace" in refused.output
    replaced = vlmake(bench, without_torch, *importing, "--replace")
    assert replaced.code == 0, replaced.output
    assert "without a prediction" not in replaced.output, "the decoded benchmark has these rows and no other"
    ran = vlmake(bench, without_torch, *run)
    assert ran.code == 0, ran.output
    table = bench.folder / "there" / "results" / "Peer" / "Mini_predictions.parquet"
    assert pd.read_parquet(table)["prediction"].tolist() == ["No", *predictions()[1:]]
