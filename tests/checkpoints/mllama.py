"""Llama 3.2 Vision: pictures reach the text by gated cross attention, not as tokens."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    tokenizer = byte_tokenizer(["<|python_tag|>"], image_token="<|image|>")
    config = tf.MllamaConfig(
        text_config={
            "vocab_size": len(tokenizer) - 1, **TEXT, "num_hidden_layers": 3, "cross_attention_layers": [1],
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_global_layers": 1,
            "attention_heads": 4, "image_size": 32, "patch_size": 8, "vision_output_dim": 64, "max_num_tiles": 4,
            "intermediate_layers_indices": [1],
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )  # fmt: skip
    images = tf.MllamaImageProcessorPil(size={"height": 32, "width": 32}, max_image_tiles=4)
    settings = {"processor_class": "MllamaProcessor"}
    model = tf.MllamaForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<|image|>"))
