"""Idefics2: pictures in their own shape with a pixel mask, a Perceiver resampler, Mistral text."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, Draw, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    tokenizer = byte_tokenizer(["<fake_token_around_image>", "<image>", "<end_of_utterance>"])
    config = tf.Idefics2Config(
        text_config={"model_type": "mistral", "vocab_size": len(tokenizer), **TEXT},
        vision_config=VISION,
        perceiver_config={
            "hidden_size": 32, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 4,
            "resampler_head_dim": 8, "num_key_value_heads": 2,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    images = tf.Idefics2ImageProcessorPil(size={"shortest_edge": 16, "longest_edge": 32})
    settings = {"processor_class": "Idefics2Processor", "image_seq_len": 4}
    model = tf.Idefics2ForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<image>"), draw=Draw(seed=2))
