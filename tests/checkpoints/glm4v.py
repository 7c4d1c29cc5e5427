"""GLM-4.1V: pictures of any size in patches; its processor asks for videos."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.glm import build_glm


def build(folder: Path) -> Path:
    images = tf.Glm4vImageProcessorPil(patch_size=8, size={"shortest_edge": 2048, "longest_edge": 8192})
    return build_glm(folder, tf.Glm4vConfig, tf.Glm4vForConditionalGeneration, "Glm4vProcessor", images)
