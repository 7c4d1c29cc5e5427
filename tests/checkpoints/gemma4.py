"""Gemma 4: pictures in their own shape with soft tokens by area, shared keys and values, embeddings per layer."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    named = {
        "image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>", "audio_token": "<|audio|>",
        "boa_token": "<|audio>", "eoa_token": "<audio|>",
    }  # fmt: skip
    tokenizer = byte_tokenizer([*named.values(), "<|video|>"], **named)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in named.items()}
    config = tf.Gemma4Config(
        text_config={
            "vocab_size": len(tokenizer), **TEXT, "head_dim": 8, "sliding_window": 24, "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": len(tokenizer), "layer_types": ["sliding_attention", "full_attention"],
            "tie_word_embeddings": False,
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 4, "head_dim": 8, "patch_size": 8, "pooling_kernel_size": 2,
            "position_embedding_size": 64,
        },
        audio_config=None,
        image_token_id=ids["image_token"], boi_token_id=ids["boi_token"], eoi_token_id=ids["eoi_token"],
        audio_token_id=ids["audio_token"], boa_token_id=ids["boa_token"], eoa_token_index=ids["eoa_token"],
        video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
        tie_word_embeddings=False,
    )  # fmt: skip
    images = tf.Gemma4ImageProcessorPil(patch_size=8, max_soft_tokens=70, pooling_kernel_size=2)
    settings = {"processor_class": "Gemma4Processor", "image_seq_length": 70}
    return write(folder, tf.Gemma4ForConditionalGeneration(config), tokenizer, images, settings, chat("<|image|>"))
