"""What a run of a benchmark ends in, and what is said where that is no score."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.conftest import REPOSITORY
from vlmake.commands.list import command as list_command
from vlmake.errors import VlmakeError
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.loading import Registry, load_registry
from vlmake.registry.model_entries import TransformersEntry
from vlmake.registry.readiness import readiness
from vlmake.runs.planning import Plan
from vlmake.runs.run_config import RunConfig
from vlmake.submissions.registry import SUBMISSIONS

SHIPPED = load_registry([REPOSITORY / "config"])


def entry(**values: object) -> DatasetEntry:
    return DatasetEntry.model_validate(
        {"task": "multiple_choice", "metric": "choice", "url": "file:///x.tsv", **values}
    )


def plan(**datasets: DatasetEntry) -> Plan:
    return Plan(Registry(datasets, {"M": TransformersEntry(repository="a/b")}, {}), RunConfig())


HIDDEN = entry(answers=False, submission="mmbench")
UNKNOWN = entry(metric=None, scoring="none")
GRADED = entry(task="vqa", metric="mmvet")


@pytest.mark.parametrize(
    ("dataset", "result", "reason"),
    [
        ("MMBench_DEV_EN", "score", ""),
        ("MMMB", "score", ""),
        ("MMBench_TEST_EN", "submission", "https://mmbench.opencompass.org.cn/mmbench-submission"),
        ("MMBench_V11", "submission", "https://mmbench.opencompass.org.cn/mmbench-submission"),
        ("DocVQA_TEST", "submission", "https://rrc.cvc.uab.es/?ch=17"),
        ("MMMU_TEST", "submission", "https://eval.ai/web/challenges/challenge-page/2179/"),
        ("MMT-Bench_ALL_MI", "submission", "https://eval.ai/web/challenges/challenge-page/2328/"),
        ("A-Bench_TEST", "submission", "https://github.com/Q-Future/A-Bench"),
        ("Q-Bench1_TEST", "submission", "https://github.com/Q-Future/Q-Bench"),
        ("AesBench_TEST", "submission", "https://github.com/yipoh/AesBench"),
        ("MMVet", "predictions", "an LLM judge has to read its answers: name one with --judge"),
        ("MLLMGuard_DS", "predictions", "no metric is known"),
        ("M4Bench", "predictions", "no metric is known"),
        ("MVBench", "nothing", "videos cannot be run yet"),
        ("MMLongBench_DOC", "nothing", "documents of many pages cannot be run yet"),
        ("MMDU", "nothing", "conversations of several turns cannot be run yet"),
    ],
)
def test_registered_benchmarks_end_as_they_can(dataset: str, result: str, reason: str) -> None:
    ready = readiness(SHIPPED.dataset(dataset))
    assert ready.result == result
    assert reason in ready.reason
    assert bool(reason) == bool(ready.reason)


def test_every_hidden_test_set_says_who_wants_it() -> None:
    formats = {name: known.submission for name, known in SHIPPED.datasets.items() if known.submission}
    assert set(formats.values()) == set(SUBMISSIONS)
    for name in formats:
        assert not SHIPPED.datasets[name].answers
        assert SUBMISSIONS[formats[name] or ""].server in readiness(SHIPPED.datasets[name]).reason


def test_hidden_answers_without_a_server_leave_predictions() -> None:
    ready = readiness(entry(answers=False))
    assert ready.result == "predictions"
    assert "no server takes submissions" in ready.reason


def test_an_own_tsv_without_answers_is_told_what_gives_it_a_score() -> None:
    ready = readiness(entry(answers=False, path="/somewhere/Mine.tsv"))
    assert ready.result == "predictions"
    assert ready.reason == "Mine.tsv has no right answers: add a column `answer` to it for a score"


def test_answers_laid_over_the_entry_give_a_score() -> None:
    assert readiness(HIDDEN.model_copy(update={"answers": True})) == ("score", "")


def test_results_are_what_a_run_ends_in() -> None:
    it = plan(Open=entry(), Hidden=HIDDEN, Unknown=UNKNOWN, Graded=GRADED, Both=entry(parts=("Open",)))
    assert it.results("M", "Open@3") == ["results/M/Open@3_score.csv"]
    assert it.results("M", "Hidden@3") == ["results/M/Hidden@3_submission.xlsx"]
    assert it.results("M", "Unknown") == ["results/M/Unknown_predictions.parquet"]
    assert it.results("M", "Graded") == ["results/M/Graded_predictions.parquet"]
    assert it.results("M", "Both") == ["results/M/Both_score.csv"]


def test_parts_carry_the_limit_and_know_their_wholes() -> None:
    it = plan(A=UNKNOWN, B=UNKNOWN, All=entry(metric=None, scoring="none", parts=("A", "B")), C=entry())
    assert it.parts("All@6") == ["A@6", "B@6"]
    assert it.results("M", "All@6") == [f"results/M/{part}@6_predictions.parquet" for part in "AB"]
    assert it.made_of("B@6") == ["All@6"]
    assert it.made_of("C") == []


@pytest.mark.parametrize("part", [HIDDEN, UNKNOWN, GRADED])
def test_a_score_of_parts_needs_scores_of_parts(part: DatasetEntry) -> None:
    it = plan(A=entry(), B=part, Both=entry(parts=("A", "B")))
    with pytest.raises(VlmakeError, match="dataset 'Both' is scored by its parts, and 'B' is not: "):
        it.results("M", "Both")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            "results/M/Hidden_score.csv",
            "results/M/Hidden_score.csv: dataset 'Hidden' has no score: its right answers are not public: hand the "
            "submission file in at https://mmbench.opencompass.org.cn/mmbench-submission; make "
            "results/M/Hidden_submission.xlsx",
        ),
        (
            "results/M/Unknown@4_judged.parquet",
            "results/M/Unknown@4_judged.parquet: dataset 'Unknown@4' has no score: no metric is known for it; make "
            "results/M/Unknown@4_predictions.parquet",
        ),
        (
            "results/M/Open_submission.xlsx",
            "results/M/Open_submission.xlsx: dataset 'Open' has no such file to hand in; make results/M/Open_score.csv",
        ),
        (
            "results/M/Hidden_submission.json",
            "results/M/Hidden_submission.json: dataset 'Hidden' has no such file to hand in; make "
            "results/M/Hidden_submission.xlsx",
        ),
        (
            "results/M/Both@2_predictions.parquet",
            "results/M/Both@2_predictions.parquet: dataset 'Both@2' has no such file: it is made of Open@2",
        ),
        (
            "data/Both/samples.parquet",
            "data/Both/samples.parquet: dataset 'Both' has no data of its own: it is made of Open",
        ),
        (
            "data/Video/samples.parquet",
            "data/Video/samples.parquet: dataset 'Video': videos cannot be run yet",
        ),
        (
            "results/M/Video_predictions.parquet",
            "results/M/Video_predictions.parquet: dataset 'Video': videos cannot be run yet",
        ),
    ],
)
def test_a_target_that_cannot_be_says_what_can(target: str, expected: str) -> None:
    it = plan(
        Open=entry(), Hidden=HIDDEN, Unknown=UNKNOWN, Both=entry(parts=("Open",)), Video=entry(input="video")
    )  # fmt: skip
    with pytest.raises(VlmakeError) as caught:
        it.check_targets([target])
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    "target", ["Hidden_submission.xlsx", "Both@2_score.csv", "Both_score.json", "Open@2_score.csv"]
)
def test_targets_that_can_be_pass(target: str) -> None:
    it = plan(Open=entry(), Hidden=HIDDEN, Both=entry(parts=("Open",)))
    it.check_targets([f"results/M/{target}"])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ("[One, Twoo]", "parts: unknown dataset 'Twoo'; did you mean 'Two'?"),
        ("[Nest]", "'Nest' is made of parts itself"),
    ],
)
def test_parts_must_be_there_and_whole(tmp_path: Path, parts: str, expected: str) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "own.yaml").write_text(
        "defaults: {task: yes_no, metric: mme}\n"
        f"datasets:\n  One: {{url: 'file:///1'}}\n  Two: {{url: 'file:///2'}}\n  Nest: {{parts: [One]}}\n"
        f"  Whole: {{parts: {parts}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(VlmakeError) as caught:
        load_registry([tmp_path])
    assert expected in str(caught.value)
    assert "own.yaml" in str(caught.value)


def test_the_list_says_what_a_run_ends_in_and_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LMUData", str(tmp_path))
    listed = json.loads(CliRunner().invoke(list_command, ["datasets", "--family", "mmmu", "--json"]).output)
    ending = {entry["name"]: (entry["ends_in"], entry["reason"]) for entry in listed}
    assert ending["MMMU_DEV_VAL"] == ("score", "")
    assert ending["MMMU_TEST"] == tuple(readiness(SHIPPED.dataset("MMMU_TEST")))
    lines = CliRunner().invoke(list_command, ["datasets", "--family", "graded"]).output.splitlines()
    row = next(line for line in lines if line.split()[0] == "MMVet")
    assert "predictions" in row
    assert "gpt-4-turbo (needed)" in row
