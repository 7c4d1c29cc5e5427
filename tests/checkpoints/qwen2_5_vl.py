"""Qwen2.5-VL: as Qwen2-VL, with window attention in the vision tower."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import Draw
from tests.checkpoints.qwen import build_qwen


def build(folder: Path) -> Path:
    vision = {"intermediate_size": 64, "out_hidden_size": 32, "window_size": 32, "fullatt_block_indexes": [1]}
    model = tf.Qwen2_5_VLForConditionalGeneration
    return build_qwen(folder, tf.Qwen2_5_VLConfig, model, "Qwen2_5_VLProcessor", vision, draw=Draw(seed=2))
