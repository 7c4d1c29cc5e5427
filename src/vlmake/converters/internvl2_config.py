"""InternVL's published ``config.json`` (``InternVLChatConfig``) as a native ``InternVLConfig``.

Keys that only concern training or a particular attention kernel are dropped; a key that changes the result and has no
native form is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from pathlib import Path

_QK_NORM_EPS = 1e-6  # the native vision tower's query and key norms have no setting for it
_COMMON = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "bos_token_id",
    "eos_token_id",
    "head_dim",
)
_OWN = {
    "InternLM2ForCausalLM": (),
    "LlamaForCausalLM": ("attention_bias", "mlp_bias"),
    "Qwen2ForCausalLM": ("use_sliding_window", "sliding_window", "max_window_layers"),
    "Phi3ForCausalLM": ("original_max_position_embeddings", "sliding_window"),
}
_MODEL_TYPES = {
    "InternLM2ForCausalLM": "llama",
    "LlamaForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Phi3ForCausalLM": "phi3",
}
# What the published configuration classes assume for keys that a file leaves out, where the native ones differ.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "InternLM2ForCausalLM": {"vocab_size": 103168, "max_position_embeddings": 2048, "bias": True},
}
_ROPE_TYPES = {"su": "longrope"}  # the name that Phi-3 had for it first
_ROPE_OPTIONS = {
    "default": set[str](),
    "linear": {"factor"},
    "dynamic": {"factor"},
    "longrope": {"short_factor", "long_factor"},
    "llama3": {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
}


def architecture(published: dict[str, Any], where: Path) -> str:
    """Return the language model's class name; raise VlmakeError if this is no InternVL chat model that can be run."""
    if published.get("model_type") != "internvl_chat":
        raise VlmakeError(f"{where}: model_type is {published.get('model_type')!r}, expected 'internvl_chat'")
    named = (published.get("llm_config") or {}).get("architectures") or [None]
    if named[0] not in _MODEL_TYPES:
        raise VlmakeError(f"{where}: language model {named[0]!r} is none of {', '.join(_MODEL_TYPES)}")
    if published.get("ps_version", "v1") != "v2":
        raise VlmakeError(
            f"{where}: ps_version 'v1' (InternVL-Chat-V1-1 and V1-2) orders an image's tokens by columns,"
            " which no native class does; it needs its own code (`trust_remote_code`)"
        )
    return str(named[0])


def native_config(published: dict[str, Any], image_token_id: int, tied: bool, where: Path) -> Any:
    """Return the ``InternVLConfig`` of a published configuration.

    ``tied`` says that the output layer shares the embeddings. Raises VlmakeError for what has no native form.
    """
    from transformers import InternVLConfig

    vision = _vision(published.get("vision_config") or {}, where)
    config = InternVLConfig(
        vision_config=vision,
        text_config=_text(published["llm_config"], architecture(published, where), tied, where),
        image_token_id=image_token_id,
        image_seq_length=image_tokens(published),
        downsample_ratio=published.get("downsample_ratio", 0.5),
        vision_feature_layer=published.get("select_layer", -1),
        tie_word_embeddings=tied,
        architectures=["InternVLForConditionalGeneration"],
    )
    dtype = published.get("torch_dtype") or published.get("dtype")
    if isinstance(dtype, str):
        config.dtype = dtype
    return config


def image_size(published: dict[str, Any]) -> int:
    """Return the side of a tile in pixels."""
    size = published.get("force_image_size") or (published.get("vision_config") or {}).get("image_size", 224)
    return int(size)


def image_tokens(published: dict[str, Any]) -> int:
    """Return how many tokens a tile becomes."""
    patches = image_size(published) // int((published.get("vision_config") or {}).get("patch_size", 14))
    return int(patches**2 * published.get("downsample_ratio", 0.5) ** 2)


def _vision(vision: dict[str, Any], where: Path) -> dict[str, Any]:
    """Translate the vision tower: 300M has LayerNorm and biases, 6B has RMSNorm and normalised queries and keys."""
    eps = vision.get("layer_norm_eps", 1e-6)
    normed = vision.get("qk_normalization", True)
    if normed and eps != _QK_NORM_EPS:
        raise VlmakeError(f"{where}: vision layer_norm_eps {eps} with qk_normalization has no native form")
    return {
        "hidden_size": vision.get("hidden_size", 3200),
        "intermediate_size": vision.get("intermediate_size", 12800),
        "num_hidden_layers": vision.get("num_hidden_layers", 48),
        "num_attention_heads": vision.get("num_attention_heads", 25),
        "hidden_act": vision.get("hidden_act", "gelu"),
        "image_size": vision.get("image_size", 224),
        "patch_size": vision.get("patch_size", 14),
        "num_channels": vision.get("num_channels", 3),
        "norm_type": vision.get("norm_type", "rms_norm"),
        "layer_norm_eps": eps,
        "attention_bias": vision.get("qkv_bias", False),
        "use_qk_norm": normed,
    }


def _text(llm: dict[str, Any], kind: str, tied: bool, where: Path) -> dict[str, Any]:
    values = _DEFAULTS.get(kind, {}) | {key: value for key, value in llm.items() if value is not None}
    keys = (*_COMMON, *_OWN[kind])
    text: dict[str, Any] = {key: values[key] for key in keys if key in values}
    if kind == "InternLM2ForCausalLM":
        text["attention_bias"] = values["bias"]
    if kind == "Phi3ForCausalLM" and text.get("sliding_window", 0) >= text.get("max_position_embeddings", 0):
        text["sliding_window"] = None  # a window wider than the longest text is none
    return {
        **text,
        "model_type": _MODEL_TYPES[kind],
        "pad_token_id": None,
        "tie_word_embeddings": tied,
        "rope_parameters": _rope(values, where),
    }


def _rope(llm: dict[str, Any], where: Path) -> dict[str, Any]:
    """Translate ``rope_theta`` and ``rope_scaling``; raise VlmakeError for a kind of scaling that is not known."""
    scaling = dict(llm.get("rope_scaling") or {})
    kinds = {kind for key in ("type", "rope_type") if (kind := scaling.pop(key, None)) is not None} or {"default"}
    kind = kinds.pop()
    kind = _ROPE_TYPES.get(kind, kind)
    unknown = kind if kinds or kind not in _ROPE_OPTIONS else ", ".join(sorted(scaling.keys() - _ROPE_OPTIONS[kind]))
    if unknown:
        raise VlmakeError(f"{where}: rope_scaling {unknown!r} is not supported")
    parameters = {"rope_type": kind, "rope_theta": float(llm.get("rope_theta", 10000.0)), **scaling}
    if kind == "longrope":
        parameters["original_max_position_embeddings"] = llm["original_max_position_embeddings"]
    return parameters
