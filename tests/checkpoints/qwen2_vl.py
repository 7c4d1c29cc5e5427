"""Qwen2-VL: pictures of any size in patches, multimodal rotary positions; its processor asks for videos."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.qwen import build_qwen


def build(folder: Path) -> Path:
    vision = {"embed_dim": 32, "mlp_ratio": 2}
    return build_qwen(folder, tf.Qwen2VLConfig, tf.Qwen2VLForConditionalGeneration, "Qwen2VLProcessor", vision)
