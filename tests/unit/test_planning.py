import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmake import paths
from vlmake.errors import VlmakeError
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.loading import Registry
from vlmake.registry.model_entries import TransformersEntry
from vlmake.runs.patterns import numbers_up_to
from vlmake.runs.planning import Plan
from vlmake.runs.run_config import RunConfig


def plan(**datasets: int | None) -> Plan:
    entries = {
        name.replace("_dot_", "."): DatasetEntry(task="yes_no", metric="mme", rows=rows, rows_per_shard=100)
        for name, rows in datasets.items()
    }
    models = {name: TransformersEntry(repository="a/b") for name in ("Qwen2.5-VL-7B", "Qwen2.5-VL-7B_AWQ")}
    return Plan(Registry(entries, models, {}), RunConfig())


@given(st.integers(1, 100_000), st.integers(0, 200_000))
def test_number_pattern_is_a_comparison(most: int, number: int) -> None:
    assert bool(re.fullmatch(numbers_up_to(most), str(number))) == (1 <= number <= most)


@pytest.mark.parametrize(
    ("name", "one_shard"),
    [
        ("Big", False), ("Big@100", True), ("Big@101", False), ("Big@7", True), ("Small", True), ("Small@999", True),
        ("Big_V11", True), ("Unknown", True), ("Unknown@5", True), ("Bigger", False),
    ],
)  # fmt: skip
def test_one_job_or_many_is_never_ambiguous(name: str, one_shard: bool) -> None:
    it = plan(Big=250, Bigger=101, Small=100, Big_V11=3, Unknown=None)
    file = f"{name}_predictions.parquet"
    assert bool(re.fullmatch(f"(?:{it.one_shard_pattern()})_predictions.parquet", file)) == one_shard
    assert bool(re.fullmatch(f"(?:{it.many_shards_pattern()})_predictions.parquet", file)) != one_shard
    assert (it.shards(name) == 1) == one_shard


@pytest.mark.parametrize("name", ["Small@", "Small@0", "Small@05", "Smal", "Small@1x"])
def test_other_names_match_nothing(name: str) -> None:
    it = plan(Small=100, Big=250)
    assert not re.fullmatch(it.one_shard_pattern(), name)
    assert not re.fullmatch(it.dataset_pattern(), name)


def test_names_with_common_beginnings_parse() -> None:
    it = plan(MMBench_DEV_EN=5, MMBench_DEV_EN_V11=5)
    path = "results/Qwen2.5-VL-7B_AWQ/MMBench_DEV_EN_V11_score.csv"
    match = re.fullmatch(rf"results/(?P<m>{it.model_pattern()})/(?P<d>{it.dataset_pattern()})_score\.csv", path)
    assert match is not None
    assert (match["m"], match["d"]) == ("Qwen2.5-VL-7B_AWQ", "MMBench_DEV_EN_V11")


def test_spec_knows_what_changes_answers_and_only_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def spec(model: dict[str, object], dataset: dict[str, object]) -> str:
        entries = {"D": DatasetEntry.model_validate({"task": "yes_no", "metric": "mme", **dataset})}
        return Plan(
            Registry(entries, {"M": TransformersEntry.model_validate({"repository": "a/b", **model})}, {}), RunConfig()
        ).inference_spec("M", "D")

    same = spec({}, {})
    for model in ({"batch_size": 1}, {"gpus": 4}, {"description": "x"}, {"aliases": "y"}):
        assert spec(model, {}) == same
    for dataset in ({"metric": "pope"}, {"rows": 5}, {"rows_per_shard": 7}, {"md5": "x"}):
        assert spec({}, dataset) == same
    for model in (
        {"dtype": "float32"},
        {"revision": "v2"},
        {"system": "x"},
        {"pixels": {"max_pixels": 9}},
        {"max_new_tokens": 9},
    ):
        assert spec(model, {}) != same
    for dataset in ({"prompt": "{question}!"}, {"max_new_tokens": 3}, {"task": "vqa"}):
        assert spec({}, dataset) != same


def test_only_a_model_that_is_to_answer_must_be_there(tmp_path: Path) -> None:
    entries = {name: DatasetEntry(task="yes_no", metric="mme", url=("http://x",)) for name in ("One", "Two")}
    entries["Both"] = DatasetEntry(task="yes_no", metric="mme", parts=("One", "Two"))
    models = {
        "Gone": TransformersEntry(path=str(tmp_path / "gone")),
        "Adapted": TransformersEntry(repository="a/b", adapters=(str(tmp_path / "adapter"),)),
        "Hub": TransformersEntry(repository="a/b"),
        "Newer": TransformersEntry(repository="a/b", environment=("transformers==1.0",)),
    }
    it = Plan(Registry(entries, models, {}), RunConfig())
    it.check_models([("Hub", "Both")], tmp_path)
    for model, expected in (("Gone", "there is no such folder"), ("Adapted", "PEFT adapter"), ("Newer", "needs")):
        with pytest.raises(VlmakeError, match=f"model '{model}'.*{expected}"):
            it.check_models([(model, "Both")], tmp_path)
    (tmp_path / "results" / "Gone").mkdir(parents=True)
    (tmp_path / paths.predictions("Gone", "One")).touch()
    it.check_models([("Gone", "One")], tmp_path)
    for pair, anew in ((("Gone", "One"), True), (("Gone", "Both"), False), (("Gone", "One@5"), False)):
        with pytest.raises(VlmakeError, match="model 'Gone'"):
            it.check_models([pair], tmp_path, anew=anew)
    local = Plan(Registry(entries, models, {}), RunConfig(hub="path"))
    with pytest.raises(VlmakeError, match=r"model 'Hub': .* allows local folders only"):
        local.check_models([("Hub", "One")], tmp_path)
