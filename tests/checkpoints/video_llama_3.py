"""VideoLLaMA 3: pictures of any size in merged patches, Qwen2 text; its processor asks for videos."""

from pathlib import Path

import transformers as tf

from tests.checkpoints.common import TEXT, byte_tokenizer, chat, write


def build(folder: Path) -> Path:
    tokenizer = byte_tokenizer(["<|image_pad|>", "<|video_pad|>"])
    config = tf.VideoLlama3Config(
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
            "patch_size": 8,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
    )  # fmt: skip
    images = tf.VideoLlama3ImageProcessorPil(patch_size=8, merge_size=2, min_pixels=1024, max_pixels=4096)
    settings = {"processor_class": "VideoLlama3Processor"}
    model = tf.VideoLlama3ForConditionalGeneration(config)
    return write(folder, model, tokenizer, images, settings, chat("<|image_pad|>"))
