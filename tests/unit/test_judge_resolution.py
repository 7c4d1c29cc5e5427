"""Who judges: what is named, what was settled, what there is a key for, and where a judge's address comes from."""

import json
from pathlib import Path

import pytest

from vlmake.errors import VlmakeError
from vlmake.judges.resolution import Choice, choose, entry_of, keep
from vlmake.registry.judge_entries import JudgeEndpointEntry
from vlmake.registry.loading import Registry, load_registry, registry_folders

VARIABLES = ("OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL", "LOCAL_LLM")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(registry_folders())


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_a_key_nobody_judges(registry: Registry, tmp_path: Path) -> None:
    assert choose("auto", registry, tmp_path) == Choice("exact", "neither OPENAI_API_KEY nor LOCAL_LLM is set")
    assert choose("exact_matching", registry, tmp_path).judge == "exact"


def test_a_key_means_each_benchmarks_own_judge(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "anything")
    choice = choose("auto", registry, tmp_path)
    assert choice.judge == "own"
    assert choice.judge_of(registry.dataset("MME")) == "gpt-4o-mini"
    assert choice.judge_of(registry.dataset("MMVet")) == "gpt-4-turbo"
    assert choice.judge_of(registry.dataset("TextVQA_VAL")) is None, "rules leave a judge nothing to do"


def test_a_local_judge_comes_first_and_is_kept_with_its_model(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-123456\nLOCAL_LLM='/models/a b'\nOPENAI_API_BASE=http://h:1/v1\n")
    choice = choose("auto", registry, tmp_path)
    assert (choice.judge, choice.served_model) == ("LOCAL_LLM", "/models/a b")
    keep(choice, tmp_path)
    (tmp_path / ".env").write_text("OPENAI_API_BASE=http://h:1/v1\n")
    again = choose("auto", registry, tmp_path)
    assert (again.judge, again.served_model) == ("LOCAL_LLM", "/models/a b")
    assert "settled in judge.lock" in again.because
    entry = entry_of("LOCAL_LLM", again, registry, tmp_path)
    assert isinstance(entry, JudgeEndpointEntry)
    assert (entry.served_model, entry.api_base, entry.api_key) == ("/models/a b", "http://h:1/v1", None)
    assert choose("auto", registry, tmp_path, anew=True).judge == "exact"


def test_what_was_settled_stays_settled_with_a_key(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(choose("auto", registry, tmp_path), tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "anything")
    assert choose("auto", registry, tmp_path).judge == "exact"
    assert choose("gpt-4o", registry, tmp_path).judge == "gpt-4o", "a name is a name"
    assert json.loads((tmp_path / "judge.lock").read_text())["judge"] == "exact", "and only `keep` writes"


@pytest.mark.parametrize("content", ["", "{", "[]", '"gpt-4o"', '{"judge"}'])
def test_a_damaged_lock_is_one_line(registry: Registry, tmp_path: Path, content: str) -> None:
    (tmp_path / "judge.lock").write_text(content)
    with pytest.raises(VlmakeError, match=r"judge.lock is damaged: delete it, or name a judge with --judge"):
        choose("auto", registry, tmp_path)


def test_a_locked_judge_that_is_gone_names_the_lock(registry: Registry, tmp_path: Path) -> None:
    keep(Choice("gpt-0"), tmp_path)
    with pytest.raises(VlmakeError, match=r"judge.lock: unknown judge 'gpt-0'.*name another with --judge"):
        choose("auto", registry, tmp_path)


def test_a_local_judge_without_an_address_never_goes_to_openai(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(VlmakeError, match="judge 'LOCAL_LLM': set OPENAI_API_BASE"):
        entry_of("LOCAL_LLM", Choice("LOCAL_LLM", "", "m"), registry, tmp_path)


def test_a_judge_bears_no_other_judges_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "judges.yaml").write_text(
        "defaults: {api_base: 'http://h:1'}\njudges:\n  a: {served_model_variable: MODEL_A}\n"
        "  b: {served_model_variable: MODEL_B}\n"
    )
    registry = load_registry([*registry_folders(), tmp_path])
    monkeypatch.setenv("MODEL_A", "model-a")
    monkeypatch.setenv("MODEL_B", "model-b")
    choice = choose("a", registry, tmp_path)
    models = [entry_of(name, choice, registry, tmp_path).served_model for name in ("a", "b")]
    assert models == ["model-a", "model-b"]


@pytest.mark.parametrize("name", ["auto", "exact", "own", "exact_matching"])
def test_a_judges_name_is_no_way_to_choose_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "judges.yaml").write_text(f"judges:\n  {name}: {{served_model: m}}\n")
    with pytest.raises(VlmakeError, match="means something else; give the judge another name"):
        load_registry([*registry_folders(), tmp_path])


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("temperature: 0.7", "a judge that draws lots is none"),
        ("img_size: 512", "leave `img_size` out"),
        ("extra_body: {n: 5}", "`n` is not for a judge's extra_body"),
        ("extra_body: {user: sk-canary0123456789abcdef}", "extra_body holds a secret"),
        ("extra_body: {metadata: {api_key: abcdef123}}", "extra_body holds a secret"),
        ("max_cost: 1", "max_cost needs a price"),
        ("backend: plugin", "a judge's backend is endpoint or server"),
        ("structured: yes please", "structured"),
    ],
)
def test_keys_that_no_judge_may_have_are_refused(tmp_path: Path, keys: str, says: str) -> None:
    (tmp_path / "judges.yaml").write_text(f"judges:\n  mine:\n    served_model: m\n    {keys}\n")
    with pytest.raises(VlmakeError, match=says) as refused:
        load_registry([*registry_folders(), tmp_path])
    assert "canary" not in str(refused.value)
