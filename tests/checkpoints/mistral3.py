"""Mistral 3: Pixtral's tower with merged patches, Mistral text."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    tokenizer = byte_tokenizer(["[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    config = tf.Mistral3Config(
        text_config={"model_type": "mistral", "vocab_size": len(tokenizer), **TEXT},
        vision_config={"model_type": "pixtral", **VISION, "image_size": 64},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    images = tf.PixtralImageProcessorPil(size={"longest_edge": 48}, patch_size={"height": 8, "width": 8})
    settings = {"processor_class": "PixtralProcessor", "patch_size": 8, "spatial_merge_size": 2}
    return write(folder, tf.Mistral3ForConditionalGeneration(config), tokenizer, images, settings, chat("[IMG]"))
