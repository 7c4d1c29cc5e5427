"""Qwen3.5: linear attention (gated delta rule) in turn with full attention, Qwen3-VL's processor."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import Draw
from tests.checkpoints.qwen import build_qwen


def build(folder: Path) -> Path:
    vision = {"intermediate_size": 64, "out_hidden_size": 32, "num_position_embeddings": 64}
    rotary = {
        "rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0, "mrope_interleaved": True,
        "partial_rotary_factor": 1.0,
    }  # fmt: skip
    text = {
        "head_dim": 8, "rope_parameters": rotary, "num_hidden_layers": 3,
        "layer_types": ["full_attention", "linear_attention", "full_attention"],
        "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    }  # fmt: skip
    model = tf.Qwen3_5ForConditionalGeneration
    return build_qwen(folder, tf.Qwen3_5Config, model, "Qwen3VLProcessor", vision, text, draw=Draw(seed=2, bias=1.0))
