"""Qwen3-VL: vision features enter several text layers (DeepStack), interleaved rotary positions."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import Draw
from tests.checkpoints.qwen import build_qwen


def build(folder: Path) -> Path:
    vision = {
        "intermediate_size": 64, "out_hidden_size": 32, "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
    }  # fmt: skip
    rotary = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0, "mrope_interleaved": True}
    text = {"head_dim": 8, "rope_parameters": rotary}
    model = tf.Qwen3VLForConditionalGeneration
    return build_qwen(folder, tf.Qwen3VLConfig, model, "Qwen3VLProcessor", vision, text, draw=Draw(seed=2))
