"""Names and packing of InternVL's tensors: the published layout and transformers' ``InternVLForConditionalGeneration``.

InternLM2 is Llama with other names and a packed ``wqkv``: rows are grouped by key-value head, and in each group lie the
query heads that share it, then its key, then its value (``modeling_internlm2.py``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_VISION = {
    "embeddings.class_embedding": "embeddings.cls_token",
    "embeddings.position_embedding": "embeddings.position_embeddings",
    "embeddings.patch_embedding.weight": "embeddings.patch_embeddings.projection.weight",
    "embeddings.patch_embedding.bias": "embeddings.patch_embeddings.projection.bias",
}
_VISION_LAYER = {
    "ls1": ["lambda_1"],
    "ls2": ["lambda_2"],
    "norm1": ["layernorm_before"],
    "norm2": ["layernorm_after"],
    "attn.qkv": ["attention.q_proj", "attention.k_proj", "attention.v_proj"],
    "attn.q_norm": ["attention.q_norm"],
    "attn.k_norm": ["attention.k_norm"],
    "attn.proj": ["attention.projection_layer"],
    "mlp.fc1": ["mlp.fc1"],
    "mlp.fc2": ["mlp.fc2"],
}
_PROJECTOR = {"0": "layer_norm", "1": "linear_1", "3": "linear_2"}
_INTERNLM2 = {"model.tok_embeddings.weight": "embed_tokens.weight", "model.norm.weight": "norm.weight"}
_INTERNLM2_LAYER = {
    "attention.wqkv": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "attention.wo": ["self_attn.o_proj"],
    "feed_forward.w1": ["mlp.gate_proj"],
    "feed_forward.w3": ["mlp.up_proj"],
    "feed_forward.w2": ["mlp.down_proj"],
    "attention_norm": ["input_layernorm"],
    "ffn_norm": ["post_attention_layernorm"],
}
_LANGUAGE_HEADS = {"InternLM2ForCausalLM": "language_model.output.weight"}
_COMPUTED = re.compile(r"\.rotary_emb\.(inv_freq|cos_cached|sin_cached)$")  # tables, not weights


def new_names(name: str, architecture: str) -> list[str] | None:
    """Return what a published tensor is called natively: several names if it is split, None if it is unknown.

    A table that the model computes by itself has no new name: an empty list.
    """
    if _COMPUTED.search(name):
        return []
    if name == _LANGUAGE_HEADS.get(architecture, "language_model.lm_head.weight"):
        return ["lm_head.weight"]
    part, _, rest = name.partition(".")
    if part == "vision_model":
        return _prefixed("model.vision_tower.", _vision_names(rest))
    if part == "mlp1":
        number, _, kind = rest.partition(".")
        return [f"model.multi_modal_projector.{_PROJECTOR[number]}.{kind}"] if number in _PROJECTOR else None
    if part == "language_model" and architecture == "InternLM2ForCausalLM":
        return _prefixed("model.language_model.", _internlm2_names(rest))
    if part == "language_model" and rest.startswith("model."):
        return [f"model.language_model.{rest.removeprefix('model.')}"]
    return None


def split(name: str, tensor: torch.Tensor, text: Any) -> list[torch.Tensor]:
    """Return a published tensor's parts, in the order of its new names (``text`` is the native ``text_config``)."""
    if ".attn.qkv." in name:
        return list(tensor.chunk(3))
    if ".attention.wqkv." in name:
        return _split_wqkv(tensor, text)
    return [tensor]


def split_shapes(name: str, shape: tuple[int, ...], text: Any) -> list[tuple[int, ...]]:
    """Return the shapes of ``split``'s parts without the data."""
    import torch

    return [tuple(part.shape) for part in split(name, torch.empty(shape, device="meta"), text)]


def _split_wqkv(tensor: torch.Tensor, text: Any) -> list[torch.Tensor]:
    groups = text.num_key_value_heads
    per_group = text.num_attention_heads // groups
    head_dim = text.hidden_size // text.num_attention_heads
    packed = tensor.reshape(groups, per_group + 2, head_dim, *tensor.shape[1:])
    pieces = (packed[:, :per_group], packed[:, per_group], packed[:, per_group + 1])
    return [piece.reshape(-1, *tensor.shape[1:]) for piece in pieces]


def _vision_names(rest: str) -> list[str] | None:
    if rest in _VISION:
        return [_VISION[rest]]
    found = re.fullmatch(r"encoder\.layers\.(\d+)\.(ls[12]|.+?)(\.weight|\.bias)?", rest)
    if found is None or found[2] not in _VISION_LAYER:
        return None
    return [f"encoder.layer.{found[1]}.{new}{found[3] or ''}" for new in _VISION_LAYER[found[2]]]


def _internlm2_names(rest: str) -> list[str] | None:
    if rest in _INTERNLM2:
        return [_INTERNLM2[rest]]
    found = re.fullmatch(r"model\.layers\.(\d+)\.(.+)(\.weight|\.bias)", rest)
    if found is None or found[2] not in _INTERNLM2_LAYER:
        return None
    return [f"layers.{found[1]}.{new}{found[3]}" for new in _INTERNLM2_LAYER[found[2]]]


def _prefixed(prefix: str, names: list[str] | None) -> list[str] | None:
    return names if names is None else [prefix + name for name in names]
