"""DeepSeek-VL: SigLIP tower, pictures padded to a square, Llama text."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    tokenizer = byte_tokenizer([], image_token="<image_placeholder>")
    config = tf.DeepseekVLConfig(
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT},
        vision_config={"vision_use_head": False, **VISION},
        image_token_id=tokenizer.convert_tokens_to_ids("<image_placeholder>"),
        tie_word_embeddings=False,
    )
    images = tf.DeepseekVLImageProcessorPil(size={"height": 32, "width": 32}, min_size=8)
    settings = {"processor_class": "DeepseekVLProcessor", "num_image_tokens": 16}
    model = tf.DeepseekVLForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<image_placeholder>"))
