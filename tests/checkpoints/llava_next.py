"""LLaVA-NeXT: tiles after the best of a few grids, padding cut off, a newline vector after each row."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, Draw, byte_tokenizer, chat, write

GRIDS = [[32, 64], [64, 32], [64, 64]]


def build(folder: Path) -> Path:
    tokenizer = byte_tokenizer(["<image>"], image_token="<image>")
    config = tf.LlavaNextConfig(
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT},
        vision_config={"model_type": "clip_vision_model", **VISION},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=GRIDS,
        image_seq_length=16,
    )
    images = tf.LlavaNextImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=GRIDS
    )
    settings = {
        "processor_class": "LlavaNextProcessor", "patch_size": 8, "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1, "image_token": "<image>",
    }  # fmt: skip
    model = tf.LlavaNextForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<image>\n"), draw=Draw(seed=1))
