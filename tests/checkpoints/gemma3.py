"""Gemma 3: SigLIP tower pooled to a few tokens, sliding windows, pictures seen in both directions."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, Draw, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    named = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
    tokenizer = byte_tokenizer(list(named.values()), **named)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in named.items()}
    config = tf.Gemma3Config(
        tie_word_embeddings=False,
        text_config={
            "vocab_size": len(tokenizer), **TEXT, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 24,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        vision_config={"vision_use_head": False, **VISION},
        mm_tokens_per_image=4,
        image_token_index=ids["image_token"],
        boi_token_index=ids["boi_token"],
        eoi_token_index=ids["eoi_token"],
    )  # fmt: skip
    images = tf.Gemma3ImageProcessorPil(
        size={"height": 32, "width": 32}, pan_and_scan_min_crop_size=16, pan_and_scan_max_num_crops=4
    )
    settings = {"processor_class": "Gemma3Processor", "image_seq_length": 4}
    model = tf.Gemma3ForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<start_of_image>"), draw=Draw(seed=2, gain=0.7))
