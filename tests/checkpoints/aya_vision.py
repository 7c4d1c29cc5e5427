"""Aya Vision: SigLIP tower, tiles and a thumbnail, Cohere 2 text with sliding windows."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    names = [
        "<image>",
        "<|START_OF_IMG|>",
        "<|END_OF_IMG|>",
        "<|IMG_PATCH|>",
        "<|IMG_LINE_BREAK|>",
        "TILE_GLOBAL",
        "TILE",
    ]
    tokenizer = byte_tokenizer(names)
    config = tf.AyaVisionConfig(
        text_config={
            "model_type": "cohere2", "vocab_size": len(tokenizer), **TEXT, "sliding_window": 24,
            "layer_types": ["sliding_attention", "full_attention"], "logit_scale": 1.0,
        },
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **VISION},
        image_token_index=tokenizer.convert_tokens_to_ids("<|IMG_PATCH|>"),
        downsample_factor=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    images = tf.GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4)
    settings = {
        "processor_class": "AyaVisionProcessor", "patch_size": 8, "img_size": 32, "downsample_factor": 2,
        "image_token": "<image>",
    }  # fmt: skip
    model = tf.AyaVisionForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<image>"))
