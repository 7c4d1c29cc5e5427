"""What every tiny checkpoint shares: a byte tokenizer, a chat template, weights that react, the files of a folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}IMAGE{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# One token in about twenty ends an answer, so that some answers of a batch are shorter than others.
_STOP_BYTES = 12


def chat(image: str) -> str:
    """A chat template that keeps the order of the parts and writes ``image`` for a picture."""
    return CHAT.replace("IMAGE", image)


def byte_tokenizer(special: list[str], **named: str) -> "tf.PreTrainedTokenizerFast":
    """A tokenizer with one token a byte, after the special tokens; ``named`` ones are attributes of it too."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<pad>", "<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", *special]
    vocabulary = {token: number for number, token in enumerate([*names, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(names)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=named,
    )  # fmt: skip


@dataclass(frozen=True)
class Draw:
    """How random weights are drawn: ``gain`` over a matrix's width, ``bias`` for what starts at zero."""

    seed: int = 0
    gain: float = 2.0
    bias: float = 0.3


DRAW = Draw()


def react(model: "tf.PreTrainedModel", draw: Draw) -> None:
    """Draw all weights anew, so large that an answer depends on every part of its prompt.

    Initialisers are made for training: their towers answer every picture alike, and gates start closed.
    """
    generator = torch.Generator().manual_seed(draw.seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim >= 2:
                width = weight.shape[-1] if weight.ndim == 3 else weight[0].numel()  # experts are stacked
                weight.normal_(0.0, draw.gain / width**0.5, generator=generator)
            elif not weight.any():
                weight.normal_(0.0, draw.bias, generator=generator)


def write(
    folder: Path,
    model: "tf.PreTrainedModel",
    tokenizer: "tf.PreTrainedTokenizerFast",
    images: Any,
    processor: dict[str, Any],
    template: str | None,
    draw: Draw = DRAW,
) -> Path:
    """Write a checkpoint as hubs hold it. ``processor`` is processor_config.json, with its ``processor_class``."""
    write_model(folder, model, draw)
    tokenizer.save_pretrained(folder)
    images.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


def write_model(folder: Path, model: "tf.PreTrainedModel", draw: Draw = DRAW) -> None:
    """Write config and weights that react; some bytes end an answer, as the end token does."""
    react(model, draw)
    vocabulary = model.get_input_embeddings().num_embeddings
    model.generation_config.eos_token_id = [2, *range(vocabulary - _STOP_BYTES, vocabulary)]
    model.generation_config.pad_token_id = 0
    model.eval().save_pretrained(folder)
