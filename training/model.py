"""The architecture: LLaVA, that is a SigLIP vision transformer, a projector and a Llama decoder, all tiny."""

import copy
from pathlib import Path

import torch
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    SiglipImageProcessorPil,
)

from training.scenes import SIZE
from training.tokenizer import BOS_ID, CHAT_TEMPLATE, END_ID, IMAGE_TOKEN, PAD_ID

PATCH = 10
GRID = SIZE // PATCH
IMAGE_TOKENS = GRID * GRID
WIDTH = 128
HEADS = 4
VISION_LAYERS = 4
TEXT_LAYERS = 4
INITIALIZER_RANGE = 0.05


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """Return the untrained model; its weights follow from torch's seed."""
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": VISION_LAYERS,
        "num_attention_heads": HEADS,
        "initializer_range": INITIALIZER_RANGE,
        "image_size": SIZE,
        "patch_size": PATCH,
        "vision_use_head": False,
    }
    text = {
        "model_type": "llama",
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS // 2,
        "initializer_range": INITIALIZER_RANGE,
        "max_position_embeddings": 2048,
        "pad_token_id": PAD_ID,
        "bos_token_id": BOS_ID,
        "eos_token_id": END_ID,
        "tie_word_embeddings": True,
    }
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        image_seq_length=IMAGE_TOKENS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        projector_hidden_act="gelu",
        tie_word_embeddings=True,
    )
    return LlavaForConditionalGeneration(config)


def make_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Return the processor that turns messages into tensors."""
    return LlavaProcessor(
        image_processor=SiglipImageProcessorPil(size={"height": SIZE, "width": SIZE}),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=CHAT_TEMPLATE,
    )


def image_features(model: LlavaForConditionalGeneration, pixels: torch.Tensor) -> torch.Tensor:
    """Return the projected features, one vector per patch."""
    output = model.model.get_image_features(
        pixel_values=pixels, vision_feature_layer=-1, vision_feature_select_strategy="full", return_dict=True
    )
    return torch.stack(list(output.pooler_output))


def save(model: LlavaForConditionalGeneration, processor: LlavaProcessor, folder: Path) -> None:
    """Write the model in half precision, with its processor, as any hub checkpoint."""
    half = copy.deepcopy(model).to(torch.float16)
    half.generation_config.eos_token_id = END_ID
    half.generation_config.pad_token_id = PAD_ID
    half.generation_config.do_sample = False
    half.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
