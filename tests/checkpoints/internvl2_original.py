"""Tiny random checkpoints in InternVL's published layout: own tensor names, packed projections, slow tokenizers.

Random numbers come from numpy's frozen generator, so that a checkpoint is the same on every machine and the numbers
that the published code printed for it stay true (``tests/data/internvl2/original.json``).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tests.checkpoints.internvl2_tokenizers import TOKENIZERS, write_json


@dataclass(frozen=True)
class Kind:
    """What a size of the family is made of."""

    tower: str
    language: str
    tokenizer: str
    template: str
    settings: dict[str, Any] = field(default_factory=dict)


KINDS = {
    "1B": Kind("300M", "Qwen2ForCausalLM", "qwen2", "Hermes-2"),
    "2B": Kind("300M", "InternLM2ForCausalLM", "internlm2", "internlm2-chat"),
    "4B": Kind("300M", "Phi3ForCausalLM", "phi3", "phi3-chat"),
    "26B": Kind("6B", "InternLM2ForCausalLM", "internlm2", "internlm2-chat"),
    "40B": Kind("6B", "LlamaForCausalLM", "yi", "Hermes-2"),
    "76B": Kind("6B", "LlamaForCausalLM", "llama3", "internlm2-chat"),
    "2.5-2B": Kind("300M", "InternLM2ForCausalLM", "internlm2", "internvl2_5"),
    "2.5-26B": Kind("6B", "InternLM2ForCausalLM", "internlm2", "internvl2_5"),
    "2.5-38B": Kind("6B", "Qwen2ForCausalLM", "qwen2", "internvl2_5"),
    "2.5-4B": Kind("300M", "Qwen2ForCausalLM", "qwen2", "internvl2_5", {"select_layer": -2}),
}

TOWERS: dict[str, dict[str, Any]] = {
    "300M": {"norm_type": "layer_norm", "qkv_bias": True, "qk_normalization": False, "num_attention_heads": 4},
    "6B": {"norm_type": "rms_norm", "qkv_bias": False, "qk_normalization": True, "num_attention_heads": 2},
}
HIDDEN, VISION_HIDDEN, LAYERS, INNER = 32, 32, 2, 48
HEADS, GROUPS = 4, 2
LANGUAGES: dict[str, dict[str, Any]] = {
    "InternLM2ForCausalLM": {
        "model_type": "internlm2", "bias": False, "rope_theta": 1000000, "max_position_embeddings": 4096,
        "rope_scaling": {"factor": 2.0, "type": "dynamic"}, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    },
    "Qwen2ForCausalLM": {
        "model_type": "qwen2", "rope_theta": 1000000.0, "max_position_embeddings": 4096, "use_sliding_window": False,
        "sliding_window": 4096, "max_window_layers": 2, "tie_word_embeddings": False,
    },
    "Phi3ForCausalLM": {
        "model_type": "phi3", "rope_theta": 10000.0, "max_position_embeddings": 4096, "sliding_window": 262144,
        "original_max_position_embeddings": 128, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
        "rope_scaling": {
            "type": "su", "short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [1.5, 2.0, 3.0, 4.0],
        },
    },
    "LlamaForCausalLM": {
        "model_type": "llama", "rope_theta": 500000.0, "max_position_embeddings": 4096, "attention_bias": False,
        "mlp_bias": False, "pretraining_tp": 1,
    },
}  # fmt: skip


def write(folder: Path, size: str, *, weights: str = "safetensors", files: int = 2) -> Path:
    """Write the published form of one size of the family, its weights in ``files`` shards."""
    kind = KINDS[size]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = TOKENIZERS[kind.tokenizer](folder)
    config = published_config(kind, vocabulary)
    write_json(folder / "config.json", config)
    (folder / "conversation.py").write_text(CONVERSATION, encoding="utf-8")
    tensors = {name: torch.from_numpy(array) for name, array in random_tensors(config)}
    names = list(tensors)
    step = -(-len(names) // files)
    parts = [{name: tensors[name] for name in names[at : at + step]} for at in range(0, len(names), step)]
    save_parts(folder, parts, weights)
    return folder


def save_parts(folder: Path, parts: list[dict[str, torch.Tensor]], weights: str) -> None:
    stem, suffix = ("model", "safetensors") if weights == "safetensors" else ("pytorch_model", "bin")
    weight_map = {}
    for number, part in enumerate(parts, 1):
        name = f"{stem}.{suffix}" if len(parts) == 1 else f"{stem}-{number:05d}-of-{len(parts):05d}.{suffix}"
        if suffix == "bin":
            torch.save(part, folder / name)
        else:
            save_file(part, folder / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, name)
    if len(parts) > 1:
        total = sum(tensor.nbytes for part in parts for tensor in part.values())
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        write_json(folder / f"{stem}.{suffix}.index.json", index)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Return all tensors of a folder's safetensors files."""
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def replace_weights(folder: Path, content: dict[str, torch.Tensor]) -> None:
    """Write other weights, in one file."""
    for file in (*folder.glob("*.safetensors"), *folder.glob("*.index.json")):
        file.unlink()
    save_parts(folder, [content], "safetensors")


def edit_json(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    edit(content)
    write_json(file, content)


def published_config(kind: Kind, vocabulary: int) -> dict[str, Any]:
    """Return ``config.json`` with tiles of 56 pixels, each of which becomes 4 tokens."""
    return {
        "architectures": ["InternVLChatModel"],
        "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"},
        "model_type": "internvl_chat",
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "force_image_size": 56,
        "max_dynamic_patch": 12,
        "min_dynamic_patch": 1,
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": -1,
        "template": kind.template,
        "torch_dtype": "float32",
        "use_backbone_lora": 0,
        "use_llm_lora": 0,
        "use_thumbnail": True,
        "llm_config": {
            "architectures": [kind.language],
            "vocab_size": vocabulary,
            "hidden_size": HIDDEN,
            "intermediate_size": INNER,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": GROUPS,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "attn_implementation": "flash_attention_2",
            **LANGUAGES[kind.language],
        },
        "vision_config": {
            "architectures": ["InternVisionModel"],
            "model_type": "intern_vit_6b",
            "hidden_size": VISION_HIDDEN,
            "intermediate_size": INNER,
            "num_hidden_layers": 3,
            "image_size": 56,
            "patch_size": 14,
            "num_channels": 3,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-06,
            "drop_path_rate": 0.1,
            "initializer_factor": 0.1,
            **TOWERS[kind.tower],
        },
        **kind.settings,
    }


def random_tensors(config: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every published tensor, lively enough that each part of the network changes the answer."""
    chance = np.random.RandomState(7)
    for name, shape in _shapes(config):
        numbers = chance.standard_normal(shape).astype(np.float32)
        gain = (len(shape) == 1 and name.endswith("weight")) or name.endswith((".ls1", ".ls2"))
        yield name, 1 + 0.2 * numbers if gain else 0.25 * numbers


def _shapes(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from (("vision_model." + name, shape) for name, shape in _vision_shapes(config["vision_config"]))
    yield from (("language_model." + name, shape) for name, shape in _language_shapes(config["llm_config"]))
    wide = 4 * VISION_HIDDEN
    for part, *shape in (("0.weight", wide), ("0.bias", wide), ("1.weight", HIDDEN, wide), ("1.bias", HIDDEN),
                         ("3.weight", HIDDEN, HIDDEN), ("3.bias", HIDDEN)):  # fmt: skip
        yield f"mlp1.{part}", tuple(shape)


def _vision_shapes(vision: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    wide = VISION_HIDDEN
    yield "embeddings.class_embedding", (1, 1, wide)
    yield "embeddings.patch_embedding.weight", (wide, 3, 14, 14)
    yield "embeddings.patch_embedding.bias", (wide,)
    yield "embeddings.position_embedding", (1, 17, wide)
    for layer in range(vision["num_hidden_layers"]):
        at = f"encoder.layers.{layer}."
        yield at + "ls1", (wide,)
        yield at + "ls2", (wide,)
        for name, *shape in (("attn.qkv", 3 * wide, wide), ("attn.proj", wide, wide),
                             ("mlp.fc1", INNER, wide), ("mlp.fc2", wide, INNER)):  # fmt: skip
            yield f"{at}{name}.weight", tuple(shape)
            if name != "attn.qkv" or vision["qkv_bias"]:
                yield f"{at}{name}.bias", (shape[0],)
        for norm in ("norm1", "norm2"):
            yield f"{at}{norm}.weight", (wide,)
            if vision["norm_type"] == "layer_norm":
                yield f"{at}{norm}.bias", (wide,)
        if vision["qk_normalization"]:
            yield f"{at}attn.q_norm.weight", (wide,)
            yield f"{at}attn.k_norm.weight", (wide,)


def _language_shapes(llm: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    key = GROUPS * HIDDEN // HEADS
    vocabulary = (llm["vocab_size"], HIDDEN)
    kind = llm["architectures"][0]
    internlm2 = kind == "InternLM2ForCausalLM"
    yield "model.tok_embeddings.weight" if internlm2 else "model.embed_tokens.weight", vocabulary
    attention: dict[str, tuple[int, ...]]
    if internlm2:
        attention = {"attention.wqkv": (HIDDEN + 2 * key, HIDDEN), "attention.wo": (HIDDEN, HIDDEN)}
        rest = {"feed_forward.w1": (INNER, HIDDEN), "feed_forward.w3": (INNER, HIDDEN),
                "feed_forward.w2": (HIDDEN, INNER), "attention_norm": (HIDDEN,), "ffn_norm": (HIDDEN,)}  # fmt: skip
    else:
        packed = kind == "Phi3ForCausalLM"
        attention = (
            {"self_attn.qkv_proj": (HIDDEN + 2 * key, HIDDEN)} if packed
            else {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (key, HIDDEN),
                  "self_attn.v_proj": (key, HIDDEN)}
        )  # fmt: skip
        gates = ("gate_up_proj",) if packed else ("gate_proj", "up_proj")
        rest = {"self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.down_proj": (HIDDEN, INNER),
                **{f"mlp.{gate}": (INNER * (2 if packed else 1), HIDDEN) for gate in gates},
                "input_layernorm": (HIDDEN,), "post_attention_layernorm": (HIDDEN,)}  # fmt: skip
    for layer in range(llm["num_hidden_layers"]):
        for name, shape in (attention | rest).items():
            yield f"model.layers.{layer}.{name}.weight", shape
        if kind == "Qwen2ForCausalLM":
            for name, shape in attention.items():
                yield f"model.layers.{layer}.{name}.bias", shape[:1]
    yield "model.norm.weight", (HIDDEN,)
    yield "output.weight" if internlm2 else "lm_head.weight", vocabulary


SYSTEM = "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
CONVERSATION = f'''"""The templates as a checkpoint's own file registers them."""
raise RuntimeError("nothing of a checkpoint is run")

register_conv_template(
    Conversation(
        name='Hermes-2',
        system_template='<|im_start|>system\\n{{system_message}}',
        system_message='{SYSTEM}',
        roles=('<|im_start|>user\\n', '<|im_start|>assistant\\n'),
        sep_style=SeparatorStyle.MPT,
        sep='<|im_end|>',
        stop_token_ids=[2, 6, 7, 8],
    )
)
register_conv_template(
    Conversation(
        name='internlm2-chat',
        system_template='<|im_start|>system\\n{{system_message}}',
        system_message='{SYSTEM}',
        roles=('<|im_start|>user\\n', '<|im_start|>assistant\\n'),
        sep_style=SeparatorStyle.MPT,
        sep='<|im_end|>',
    )
)
register_conv_template(
    Conversation(
        name='phi3-chat',
        system_template='<|system|>\\n{{system_message}}',
        system_message='{SYSTEM}',
        roles=('<|user|>\\n', '<|assistant|>\\n'),
        sep_style=SeparatorStyle.MPT,
        sep='<|end|>',
    )
)
register_conv_template(
    Conversation(
        name='internvl2_5',
        system_template='<|im_start|>system\\n{{system_message}}',
        system_message='你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。',
        roles=('<|im_start|>user\\n', '<|im_start|>assistant\\n'),
        sep_style=SeparatorStyle.MPT,
        sep='<|im_end|>\\n',
    )
)
'''
