"""PaliGemma 2: SigLIP tower, Gemma text that sees its whole prompt at once; published without a chat template."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, VISION, Draw, byte_tokenizer, write


def build(folder: Path) -> Path:
    tokenizer = byte_tokenizer(["<image>"], image_token="<image>")
    images = tf.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    images.image_seq_length = 16
    vocabulary = len(tokenizer) + 1152  # the processor adds tokens for places and segments
    config = tf.PaliGemmaConfig(
        tie_word_embeddings=False,
        text_config={"model_type": "gemma2", "vocab_size": vocabulary, **TEXT, "head_dim": 8},
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **VISION},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=32,
        hidden_size=32,
    )
    settings = {"processor_class": "PaliGemmaProcessor"}
    return write(
        folder, tf.PaliGemmaForConditionalGeneration(config), tokenizer, images, settings, None, draw=Draw(seed=1)
    )
