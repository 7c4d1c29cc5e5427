"""MiniCPM-V 4.6: slices with numbered pictures, merged patches inside the tower, Qwen3.5 text."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, Draw, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    named = {
        "image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "image_start_token": "<image>",
        "image_end_token": "</image>", "slice_start_token": "<slice>", "slice_end_token": "</slice>",
        "image_id_start_token": "<image_id>", "image_id_end_token": "</image_id>",
    }  # fmt: skip
    tokenizer = byte_tokenizer(list(named.values()), **named)
    rotary = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0}
    config = tf.MiniCPMV4_6Config(
        text_config={
            "model_type": "qwen3_5_text", "vocab_size": len(tokenizer), **TEXT, "head_dim": 8,
            "rope_parameters": rotary, "num_hidden_layers": 3,
            "layer_types": ["full_attention", "linear_attention", "full_attention"], "linear_key_head_dim": 8,
            "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
        },
        vision_config={**VISION, "image_size": 64, "insert_layer_id": 0},
        image_size=64,
        insert_layer_id=0,
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
    )  # fmt: skip
    images = tf.MiniCPMV4_6ImageProcessorPil(patch_size=8, scale_resolution=64, max_slice_nums=4)
    settings = {"processor_class": "MiniCPMV4_6Processor"}
    model = tf.MiniCPMV4_6ForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<|image_pad|>"), Draw(bias=1.0))
