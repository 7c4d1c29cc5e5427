"""Idefics3: a picture and its tiles, pixel shuffle, Llama text; written by the library's own ``save_pretrained``."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, byte_tokenizer, chat, write_model


def build(folder: Path) -> Path:
    tiles = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    names = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *tiles]
    tokenizer = byte_tokenizer(names)
    config = tf.Idefics3Config(
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT},
        vision_config=VISION,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    images = tf.Idefics3ImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
    )
    processor = tf.Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=chat("<image>"))
    write_model(folder, tf.Idefics3ForConditionalGeneration(config))
    processor.save_pretrained(folder)
    return folder
