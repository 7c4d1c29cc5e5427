"""Ovis2: pictures as mixtures of visual words, with indicator tokens around them."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    indicators = ["<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"]
    tokenizer = byte_tokenizer(["<image>", "<IMG_ATOM>", *indicators])
    config = tf.Ovis2Config(
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        vision_config={**VISION, "vocab_size": 64, "hidden_stride": 2},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_ATOM>"),
        visual_indicator_token_ids=tokenizer.convert_tokens_to_ids(indicators),
        vocab_size=len(tokenizer),
        hidden_size=32,
        tie_word_embeddings=False,
    )
    images = tf.Ovis2ImageProcessorPil(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4)
    settings = {"processor_class": "Ovis2Processor", "image_seq_length": 4}
    return write(folder, tf.Ovis2ForConditionalGeneration(config), tokenizer, images, settings, chat("<image>\n"))
