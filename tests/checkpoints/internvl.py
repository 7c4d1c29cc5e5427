"""InternVL 2.5 / 3 in the native layout: tiles and a thumbnail, pixel shuffle, Qwen2 text."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    named = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    tokenizer = byte_tokenizer(list(named.values()), **named)
    vision = {**VISION, "image_size": [32, 32], "patch_size": [8, 8]}
    config = tf.InternVLConfig(
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    images = tf.GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4)
    settings = {"processor_class": "InternVLProcessor", "image_seq_length": 4}
    model = tf.InternVLForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<IMG_CONTEXT>\n"))
