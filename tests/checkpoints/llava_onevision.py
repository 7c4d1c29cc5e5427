"""LLaVA-OneVision: SigLIP tower, tiles for a single picture only, Qwen2 text; its processor asks for videos."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, byte_tokenizer, chat, write

GRIDS = [[32, 32], [32, 64], [64, 32], [64, 64]]


def build(folder: Path) -> Path:
    tokenizer = byte_tokenizer(["<image>", "<video>"])
    config = tf.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **VISION},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=GRIDS,
    )
    images = tf.LlavaOnevisionImageProcessorPil(size={"height": 32, "width": 32}, image_grid_pinpoints=GRIDS)
    settings = {
        "processor_class": "LlavaOnevisionProcessor", "num_image_tokens": 16, "vision_feature_select_strategy": "full",
        "image_token": "<image>", "video_token": "<video>",
    }  # fmt: skip
    model = tf.LlavaOnevisionForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<image>\n"))
