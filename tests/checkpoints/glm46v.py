"""GLM-4.6V: GLM-4.1V's networks with a processor of its own."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.glm import build_glm


def build(folder: Path) -> Path:
    images = tf.Glm46VImageProcessorPil(patch_size=8, size={"shortest_edge": 2048, "longest_edge": 8192})
    return build_glm(folder, tf.Glm46VConfig, tf.Glm46VForConditionalGeneration, "Glm46VProcessor", images)
