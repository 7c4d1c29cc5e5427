"""What the Qwen-VL generations share: tokens, multimodal rotary positions, pictures in whole patches."""

from pathlib import Path
from typing import Any

import transformers as tf

from tests.checkpoints.common import DRAW, TEXT, Draw, byte_tokenizer, chat, write

NAMES = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
ROTARY = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}


def build_qwen(folder: Path, config_class: Any, model_class: Any, processor_class: str, vision: dict[str, Any],
               text: dict[str, Any] | None = None, draw: Draw = DRAW) -> Path:  # fmt: skip
    tokenizer = byte_tokenizer(NAMES)
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in NAMES}
    config = config_class(
        text_config={"vocab_size": len(tokenizer), **TEXT, "rope_parameters": ROTARY, **(text or {})},
        vision_config={"patch_size": 8, "num_heads": 4, "hidden_size": 32, "depth": 2, **vision},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    images = tf.Qwen2VLImageProcessorPil(patch_size=8, min_pixels=1024, max_pixels=4096)
    template = chat("<|vision_start|><|image_pad|><|vision_end|>")
    settings = {"processor_class": processor_class}
    return write(folder, model_class(config), tokenizer, images, settings, template, draw)
