"""Pixtral: the Llava class with a tower for pictures of any shape, Mistral text."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    tokenizer = byte_tokenizer(["[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    config = tf.LlavaConfig(
        text_config={"model_type": "mistral", "vocab_size": len(tokenizer), **TEXT},
        vision_config={"model_type": "pixtral", **VISION, "image_size": 64},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    images = tf.PixtralImageProcessorPil(size={"longest_edge": 48}, patch_size={"height": 8, "width": 8})
    settings = {"processor_class": "PixtralProcessor", "patch_size": 8}
    return write(folder, tf.LlavaForConditionalGeneration(config), tokenizer, images, settings, chat("[IMG]"))
