import pytest

from vlmake.commands.arguments import has_option, split_targets, spread_values, with_config
from vlmake.errors import VlmakeError
from vlmake.runs.work_dir import is_dry_run

SCORE = "results/M/MME_score.csv"


@pytest.mark.parametrize(
    "words",
    [
        ["--cores", "8", "--resources", "gpu=4", SCORE],
        [SCORE, "--cores", "8", "--resources", "gpu=4"],
        ["--cores", "8", "--resources", "gpu=4", "--", SCORE],
        ["--cores", "8", SCORE, "--resources", "gpu=4"],
    ],
)
def test_targets_are_found_in_any_order(words: list[str]) -> None:
    passed = split_targets(words)
    assert passed.targets == (SCORE,)
    assert passed.options == ("--cores", "8", "--resources", "gpu=4")


def test_several_values_of_one_option() -> None:
    words = ["--model", "A", "B", "--data", "MME", "POPE", "--limit", "20", "--verbose"]
    assert spread_values(words) == [
        "--model", "A", "--model", "B", "--data", "MME", "--data", "POPE", "--limit", "20", "--verbose",
    ]  # fmt: skip


def test_values_end_at_a_target_and_at_the_dashes() -> None:
    assert spread_values(["--model", "A", SCORE, "x"]) == ["--model", "A", SCORE, "x"]
    assert spread_values(["--data", "A", "--", "--data", "B", "C"]) == ["--data", "A", "--", "--data", "B", "C"]


@pytest.mark.parametrize(
    "words",
    [
        ["--model"],
        ["--model", "--data", "MME"],
        ["--data", "MME", "--model"],
        ["--model", "--", SCORE],
        ["--model", SCORE],
        ["--model="],
        ["--model", ""],
    ],
)
def test_an_option_that_names_nothing_is_refused(words: list[str]) -> None:
    with pytest.raises(VlmakeError, match=r"^--model names nothing; .*`vlmake list models`"):
        spread_values(words)


@pytest.mark.parametrize("words", [["-n"], ["-np"], ["--dry-run"], ["--cores", "2", "--dryrun"], ["-pn"]])
def test_plans_are_recognised(words: list[str]) -> None:
    assert is_dry_run(words)


@pytest.mark.parametrize("words", [["--cores", "2"], ["-c2"], ["-R", "infer"], ["--nolock"], ["--configfile", "n"]])
def test_runs_are_not_plans(words: list[str]) -> None:
    assert not is_dry_run(words)


def test_config_is_given_once() -> None:
    assert with_config(["--config", "a=1", "--cores", "2"], ["b=2"]) == ["--config", "b=2", "a=1", "--cores", "2"]
    assert with_config(["--cores", "2"], ["b=2"]) == ["--cores", "2", "--config", "b=2"]


@pytest.mark.parametrize("word", ["--cores", "--cores=4", "-c", "-c4", "-call"])
def test_cores_in_every_spelling(word: str) -> None:
    assert has_option([word], "--cores", "-c")
    assert not has_option([word], "--jobs", "-j")
