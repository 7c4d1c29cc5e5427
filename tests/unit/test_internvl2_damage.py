"""A damaged or unknown InternVL checkpoint is refused in one line, and nothing is published."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.checkpoints import internvl2_original as original
from tests.checkpoints.internvl2_original import edit_json, replace_weights, tensors
from vlmake.converters import convert
from vlmake.errors import VlmakeError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return original.write(tmp_path / "source", "2B")


def change_weights(source: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    content = tensors(source)
    change(content)
    replace_weights(source, content)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm-done",)


def pickled_code(source: Path) -> None:
    for file in (*source.glob("*.safetensors"), *source.glob("*.index.json")):
        file.unlink()
    with (source / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"a": Harmful()}, file)


LAYER_9 = "language_model.model.layers.9.attention_norm.weight"
PACKED = "language_model.model.layers.0.attention.wqkv.weight"
SHARD = "model-00002-of-00002.safetensors"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated shard": (lambda source: os.truncate(source / SHARD, 5000), f"{SHARD} is damaged"),
    "missing shard": (lambda source: (source / SHARD).unlink(), f"{SHARD} is missing"),
    "index promises more": (
        lambda source: edit_json(
            source / "model.safetensors.index.json", lambda index: index["weight_map"].update({"mlp1.7.weight": SHARD})
        ),
        "promises tensor mlp1.7.weight",
    ),
    "missing tensor": (
        lambda source: change_weights(source, lambda content: content.pop("language_model.model.norm.weight")),
        "lack what model.language_model.norm.weight is made of",
    ),
    "unknown tensor": (
        lambda source: change_weights(source, lambda content: content.update({"vision_model.odd": torch.zeros(1)})),
        "tensor vision_model.odd is not one",
    ),
    "one layer too many": (
        lambda source: change_weights(
            source, lambda content: content.update({LAYER_9: torch.zeros(32)})
        ),
        f"tensor {LAYER_9} has no place",
    ),
    "wrong shape": (
        lambda source: change_weights(source, lambda content: content.update({"mlp1.3.bias": torch.zeros(31)})),
        "tensor mlp1.3.bias has shape (31,)",
    ),
    "wrong packing": (
        lambda source: change_weights(
            source,
            lambda content: content.update({PACKED: torch.zeros(63, 32)}),
        ),
        f"{PACKED} has shape (63, 32)",
    ),
    "unknown language model": (
        lambda source: edit_json(
            source / "config.json", lambda config: config["llm_config"].update(architectures=["GPT2LMHeadModel"])
        ),
        "language model 'GPT2LMHeadModel' is none of",
    ),
    "another model type": (
        lambda source: edit_json(source / "config.json", lambda config: config.update(model_type="llava")),
        "model_type is 'llava'",
    ),
    "columns first": (
        lambda source: edit_json(source / "config.json", lambda config: config.update(ps_version="v1")), "ps_version"
    ),
    "unknown scaling": (
        lambda source: edit_json(
            source / "config.json",
            lambda config: config["llm_config"].update(rope_scaling={"type": "yarn", "factor": 2.0}),
        ),
        "rope_scaling 'yarn' is not supported",
    ),
    "unknown template": (
        lambda source: edit_json(source / "config.json", lambda config: config.update(template="phi9")),
        "conversation template 'phi9' is not known",
    ),
    "impossible value": (
        lambda source: edit_json(
            source / "config.json", lambda config: config["llm_config"].update(num_hidden_layers="two")
        ),
        "config.json describes no model that can be built",
    ),
    "missing value": (
        lambda source: edit_json(
            source / "config.json", lambda config: config["llm_config"].pop("num_attention_heads")
        ),
        "config.json",
    ),
    "broken configuration": (
        lambda source: (source / "config.json").write_text("{", encoding="utf-8"), "config.json is damaged"
    ),
    "truncated tokenizer": (
        lambda source: os.truncate(source / "tokenizer.model", 3000), "tokenizer.model is damaged"
    ),
    "no image tokens": (
        lambda source: [
            edit_json(source / "added_tokens.json", lambda tokens: tokens.clear()),
            edit_json(source / "tokenizer_config.json", lambda config: config.pop("added_tokens_decoder")),
        ],
        "the tokenizer has no token <img>",
    ),
    "vocabulary too small": (
        lambda source: edit_json(source / "config.json", lambda config: config["llm_config"].update(vocab_size=500)),
        "token <IMG_CONTEXT> has id 528, beyond vocab_size",
    ),
    "code in a pickle": (pickled_code, "pytorch_model.bin is damaged"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_source_is_refused_in_one_line(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.chdir(tmp_path)
    harm, told = DAMAGE[damage]
    harm(source)
    with pytest.raises(VlmakeError) as refused:
        convert("internvl2", source, "k", tmp_path / "cache")
    assert told in str(refused.value) and "\n" not in str(refused.value)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [".internvl2-v1-k.lock"]
    assert not (tmp_path / "harm-done").exists()
