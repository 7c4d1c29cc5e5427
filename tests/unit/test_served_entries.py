"""Entries of served models: what they refuse, and what becomes of an entry of another backend below them."""

from pathlib import Path

import pytest
import yaml

from vlmake.errors import VlmakeError
from vlmake.registry.command_keys import secret_place
from vlmake.registry.loading import Registry, load_registry, registry_folders
from vlmake.registry.model_entries import EndpointEntry, ServerEntry, TransformersEntry

COMMAND = "vllm serve {path} --port {port}"


def over_shipped(tmp_path: Path, models: dict[str, object], *folders: str) -> Registry:
    """The shipped registry and over it one more folder with these models."""
    write(tmp_path / "mine", models)
    return load_registry([*registry_folders(current=tmp_path), *map(Path, folders), tmp_path / "mine"])


def write(folder: Path, models: dict[str, object]) -> None:
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "here.yaml").write_text(yaml.safe_dump({"models": models}), encoding="utf-8")


def fault(tmp_path: Path, models: dict[str, object]) -> str:
    with pytest.raises(VlmakeError) as raised:
        over_shipped(tmp_path, models)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# -- pixels


@pytest.mark.parametrize(
    "given", [{"pixels": {"max_pixels": 9}}, {"benchmarks": [{"datasets": ["*"], "pixels": {"max_pixels": 9}}]}]
)
@pytest.mark.parametrize(
    "entry",
    [
        {"backend": "server", "path": "/x", "command": COMMAND},
        {"backend": "endpoint", "api_base": "http://h", "served_model": "m"},
    ],
)
def test_a_pixel_budget_is_refused_with_the_key_to_give_instead(tmp_path: Path, entry: dict, given: dict) -> None:
    said = fault(tmp_path, {"Mine": {**entry, **given}})
    assert "here.yaml: Mine: a server prepares images itself, `pixels` has no effect on it: give `img_size`" in said


# -- another backend over an entry


@pytest.mark.parametrize("name", ["Qwen2.5-VL-3B-Instruct", "InternVL2-2B", "glm-4v-9b"])
@pytest.mark.parametrize("laid", ["based_on", "over"])
def test_a_checkpoint_is_served_by_its_own_name_or_another(tmp_path: Path, name: str, laid: str) -> None:
    served = {"backend": "server", "command": COMMAND}
    mine = name if laid == "over" else "Mine"
    registry = over_shipped(tmp_path, {mine: served if laid == "over" else {**served, "based_on": name}})
    below, entry = load_registry(registry_folders(current=tmp_path)).model(name), registry.model(mine)
    assert isinstance(below, TransformersEntry)
    assert isinstance(entry, ServerEntry)
    assert (entry.repository, entry.revision, entry.system) == (below.repository, below.revision, below.system)
    assert not entry.limits_pixels()
    assert [rule.prompt for rule in entry.benchmarks] == [rule.prompt for rule in below.benchmarks]


def test_a_key_of_another_backend_is_refused_where_it_is_given(tmp_path: Path) -> None:
    served = {"backend": "server", "command": COMMAND, "based_on": "Qwen2.5-VL-3B-Instruct"}
    assert "Mine: unknown key 'dtype'" in fault(tmp_path, {"Mine": {**served, "dtype": "float16"}})


def test_a_key_of_another_backend_is_refused_in_a_later_folder_too(tmp_path: Path) -> None:
    write(tmp_path / "lower", {"Mine": {"backend": "server", "path": "/x", "command": COMMAND}})
    with pytest.raises(VlmakeError, match="Mine: unknown key 'dtype'"):
        over_shipped(tmp_path, {"Mine": {"dtype": "float16"}}, str(tmp_path / "lower"))


def test_a_misspelt_key_below_is_refused(tmp_path: Path) -> None:
    models = {"Base": {"path": "/x", "architektur": "X"}, "Mine": {"based_on": "Base", "backend": "server"}}
    assert "unknown key 'architektur'" in fault(tmp_path, models)


def test_a_rented_model_may_be_run_from_its_weights(tmp_path: Path) -> None:
    rented = {"backend": "endpoint", "api_base": "http://h", "served_model": "m", "system": "Be brief."}
    registry = over_shipped(
        tmp_path,
        {"Rented": rented, "Mine": {"based_on": "Rented", "backend": "transformers", "path": "/x"}},
    )
    assert isinstance(registry.model("Rented"), EndpointEntry)
    mine = registry.model("Mine")
    assert isinstance(mine, TransformersEntry)
    assert mine.system == "Be brief."


# -- keys of a request's body


ENDPOINT = {"backend": "endpoint", "api_base": "http://h", "served_model": "m"}


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("max_tokens", "give the key `max_tokens`"),
        ("max_new_tokens", "give the key `max_new_tokens`"),
        ("max_completion_tokens", "give the keys `max_tokens` and `limit_key: max_completion_tokens`"),
        ("temperature", "give the key `temperature`"),
        ("top_p", "give the key `top_p`"),
        ("model", "give the key `served_model`"),
    ],
)
def test_what_has_a_key_of_its_own_is_refused_in_extra_body(tmp_path: Path, key: str, advice: str) -> None:
    said = fault(tmp_path, {"Mine": {**ENDPOINT, "extra_body": {"seed": 1, key: 0.5}}})
    assert f"here.yaml: Mine: extra_body: Value error, `{key}` is not for extra_body: {advice}" in said


def test_images_without_a_side_are_refused(tmp_path: Path) -> None:
    assert "write -1 for the original bytes, or the longest side" in fault(
        tmp_path, {"Mine": {**ENDPOINT, "img_size": 0}}
    )


# -- keys in place of their names

KEYS = ["sk-0123456789abcdef", "sk_test_1234", "AIzaSyA1b2C3d4E5f6G7h8I9", "gsk_" + "a1" * 20, "12ab.cdEF", "a1" * 16]


@pytest.mark.parametrize("entry", [ENDPOINT, {"backend": "server", "path": "/x", "command": COMMAND}])
@pytest.mark.parametrize("key", [*KEYS, "", "two words", 1234567, ["sk-0123456789abcdef"]])
def test_a_key_in_place_of_its_name_is_refused_and_not_repeated(tmp_path: Path, entry: dict, key: object) -> None:
    said = fault(tmp_path, {"Mine": {**entry, "api_key": key}})
    assert said.endswith(
        "here.yaml: Mine: api_key: write the NAME of the environment variable that holds the key, not the key itself"
    )


def test_a_judges_key_in_place_of_its_name_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    content = yaml.safe_dump({"judges": {"mine": {"api_base": "http://h", "api_key": KEYS[0]}}})
    (tmp_path / "mine" / "judges.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(VlmakeError, match="mine: api_key: write the NAME") as raised:
        load_registry([tmp_path / "mine"])
    assert KEYS[0] not in str(raised.value)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "my_key_of_the_year_2026", "_k", "MYVERYLONGCOMPANYNAME2026KEY"])
def test_names_of_variables_are_taken_whatever_is_set(tmp_path: Path, name: str) -> None:
    assert over_shipped(tmp_path, {"Mine": {**ENDPOINT, "api_key": name}}).model("Mine").api_key == name


# -- secrets in a command


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("--api-key abc123", "--api-key"),
        ("--api-key=abc123", "--api-key"),
        ("--api_key 'a b'", "--api_key"),
        ("--api-keys abc def", "--api-keys"),
        ("--admin-api-key abc", "--admin-api-key"),
        ("--hf-token abc", "--hf-token"),
        ("--token abc", "--token"),
        ("--ssl-keyfile-password abc", "--ssl-keyfile-password"),
        ("--api-key $VLLM_API_KEY", "--api-key"),
        ("--header 'Authorization: Bearer abcdefg'", "a value"),
        ("--anything sk-0123456789abcdef", "a value"),
    ],
)
def test_a_secret_in_a_command_is_refused_and_not_repeated(tmp_path: Path, words: str, place: str) -> None:
    assert secret_place(f"{COMMAND} {words}") == place
    entry = {"backend": "server", "path": "/x", "command": f"{COMMAND} {words}"}
    said = fault(tmp_path, {"Mine": entry})
    assert f"here.yaml: Mine: command holds a secret ({place}), and is written into results" in said
    assert "`api_key: NAME`" in said
    assert "abc" not in said
    assert "0123456789" not in said


def test_a_secret_that_is_set_before_the_program_is_refused() -> None:
    assert secret_place("env VLLM_API_KEY=abc vllm serve {path}") == "VLLM_API_KEY"
    assert secret_place("env HF_TOKEN=abc vllm serve {path}") == "HF_TOKEN"


@pytest.mark.parametrize(
    "words",
    [
        "--max-num-batched-tokens 8192",
        "--max-total-tokens 9000 --eos-token 2",
        "--tokenizer /data/tokenizer --tokenizer-mode auto",
        "--api-key EMPTY",
        "--ssl-keyfile /etc/key.pem",
        "--hf-token --port 1",
        "--mm-processor-kwargs '{\"max_pixels\": 1003520}'",
        "--disk-cache sk-short",
    ],
)
def test_ordinary_options_are_no_secrets(words: str) -> None:
    assert secret_place(f"{COMMAND} {words}") is None


def test_a_command_that_cannot_be_split_is_refused_before_anything_runs(tmp_path: Path) -> None:
    said = fault(tmp_path, {"Mine": {"backend": "server", "path": "/x", "command": "vllm 'serve {port}"}})
    assert "here.yaml: Mine: command cannot be split into arguments: No closing quotation" in said
