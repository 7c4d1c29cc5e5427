"""What the GLM-V generations share: tokens, pictures in whole patches, sectioned rotary positions."""

from pathlib import Path
from typing import Any

from tests.checkpoints.common import TEXT, byte_tokenizer, chat, write


def build_glm(folder: Path, config_class: Any, model_class: Any, processor_class: str, images: Any) -> Path:
    names = ["<|image|>", "<|video|>"]
    marks = [f"<|{edge}_of_{kind}|>" for kind in ("image", "video") for edge in ("begin", "end")]
    tokenizer = byte_tokenizer([*names, *marks])
    ids = [tokenizer.convert_tokens_to_ids(name) for name in (*names, *marks)]
    config = config_class(
        text_config={
            "vocab_size": len(tokenizer), **TEXT,
            "rope_parameters": {
                "rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0, "partial_rotary_factor": 1.0
            },
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "num_heads": 4, "image_size": 64, "patch_size": 8, "out_hidden_size": 32,
            "intermediate_size": 64,
        },
        image_token_id=ids[0], video_token_id=ids[1], image_start_token_id=ids[2], image_end_token_id=ids[3],
        video_start_token_id=ids[4], video_end_token_id=ids[5],
    )  # fmt: skip
    template = chat("<|begin_of_image|><|image|><|end_of_image|>")
    return write(folder, model_class(config), tokenizer, images, {"processor_class": processor_class}, template)
