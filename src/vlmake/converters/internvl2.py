"""InternVL and InternVL-Chat as published (``InternVLChatModel``) become ``InternVLForConditionalGeneration``.

What is known of each release. *original*: a small random checkpoint of its parts (tower, language model, tokenizer,
template) gives the same token ids, image features, logits and greedy answer as the published code. *structure*: its
parts are those of a verified one. No published weights were run.

=========================================== ============= ========== ==================== =========
release                                     tower         language   template             verified
=========================================== ============= ========== ==================== =========
InternVL2-1B                                300M          Qwen2      Hermes-2             original
InternVL2-2B, -8B, -8B-MPO                  300M          InternLM2  internlm2-chat       original
InternVL2-4B                                300M          Phi-3      phi3-chat            original
InternVL2-26B                               6B            InternLM2  internlm2-chat       original
InternVL2-40B                               6B            Llama (Yi) Hermes-2             original
InternVL2-Llama3-76B                        6B            Llama 3    internlm2-chat       original
InternVL2.5 1B, 4B, also MPO                300M          Qwen2      internvl2_5          original
InternVL2.5 2B, 8B, also MPO                300M          InternLM2  internvl2_5          original
InternVL2.5 26B, also MPO                   6B            InternLM2  internvl2_5          original
InternVL2.5 38B, 78B, also MPO              6B            Qwen2      internvl2_5          original
InternVL-Chat-V1-5                          6B            InternLM2  internlm2-chat       structure
Mini-InternVL-Chat-2B-V1-5                  300M          InternLM2  internlm2-chat       structure
Mini-InternVL-Chat-4B-V1-5                  300M          Phi-3      phi3-chat            structure
InternVL-Chat-V1-1, V1-2, V1-2-Plus         6B            Llama      internvl_zh/Hermes-2 refused
=========================================== ============= ========== ==================== =========

The last row orders image tokens by columns (``ps_version`` v1), which no native class does. Several pictures in one
prompt are ``<img>`` blocks of their own everywhere; VLMEvalKit gives the 1.5 models one block for all of them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vlmake.converters.conversation import Conversation, jinja_template, read_conversation
from vlmake.converters.internvl2_config import architecture, image_size, image_tokens, native_config
from vlmake.converters.internvl2_tokenizer import IMAGE_CONTEXT, convert_tokenizer
from vlmake.converters.internvl2_weights import new_names, split, split_shapes
from vlmake.converters.weights import Source, open_source, stream, write_shards
from vlmake.errors import VlmakeError, counted
from vlmake.store import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch

SHARD_BYTES = 2_000_000_000
_IMAGENET_MEAN, _IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_BICUBIC = 3
_EMBEDDINGS = ("language_model.model.embed_tokens.weight", "language_model.model.tok_embeddings.weight")
_HEADS = ("language_model.lm_head.weight", "language_model.output.weight")


def convert(source: Path, target: Path, shard_bytes: int = SHARD_BYTES) -> None:
    """Write the native form of the published checkpoint ``source`` into the empty folder ``target``.

    Weights keep their number format. Raises VlmakeError naming the first thing that is missing or not understood.
    """
    where = source / "config.json"
    published = _read_config(where)
    kind = architecture(published, where)
    weights = open_source(source)
    own_system = published.get("system_message")
    conversation = read_conversation(
        source, str(published.get("template")), own_system if isinstance(own_system, str) else None
    )
    tokens = convert_tokenizer(source, conversation.system)
    image_token = tokens.tokenizer.convert_tokens_to_ids(IMAGE_CONTEXT)
    config = _native_config(published, image_token, _tied(published, weights), where)
    if image_token >= config.text_config.vocab_size:
        raise VlmakeError(f"{source}: token {IMAGE_CONTEXT} has id {image_token}, beyond vocab_size of config.json")
    _check_weights(weights, config, kind, source)
    tokens.tokenizer.chat_template = None
    tokens.tokenizer.save_pretrained(target)
    _write_processor(published, target)
    _write_json(target / "generation_config.json", _generation(tokens.tokenizer, conversation, source))
    write_text(target / "chat_template.jinja", jinja_template(conversation, tokens.lead))
    config.save_pretrained(target)
    write_shards(_converted(weights, kind, config.text_config), target, shard_bytes)


def _native_config(published: dict[str, Any], image_token: int, tied: bool, where: Path) -> Any:
    try:
        return native_config(published, image_token, tied, where)
    except VlmakeError:
        raise
    except Exception as error:  # the library has its own kinds for a value of the wrong type
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VlmakeError(f"{where} describes no model that can be built: {reason}") from error


def _converted(weights: Source, kind: str, text: Any) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in stream(weights):
        names = new_names(name, kind) or []
        if names:
            yield from zip(names, split(name, tensor, text), strict=True)


def _tied(published: dict[str, Any], weights: Source) -> bool:
    """Tell whether the output layer is the embedding: the weights hold only one of them and the file says so."""
    if any(name in weights.shapes for name in _HEADS):
        return False
    said = published["llm_config"].get("tie_word_embeddings", False)
    return bool(said) and any(name in weights.shapes for name in _EMBEDDINGS)


def _check_weights(weights: Source, config: Any, kind: str, source: Path) -> None:
    """Raise VlmakeError for the first tensor that is unknown, missing, or of another shape than the model's."""
    import torch
    from transformers import InternVLForConditionalGeneration

    with torch.device("meta"):
        model = InternVLForConditionalGeneration(config)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        del expected["lm_head.weight"]
    for name, shape in weights.shapes.items():
        names = new_names(name, kind)
        if names is None:
            raise VlmakeError(f"{source}: tensor {name} is not one of an InternVL model with {kind}")
        if not names:
            continue
        try:
            shapes = split_shapes(name, shape, config.text_config)
        except RuntimeError:
            raise VlmakeError(f"{source}: tensor {name} has shape {shape}, unlike what config.json describes") from None
        for new, part in zip(names, shapes, strict=True):
            if new not in expected:
                raise VlmakeError(f"{source}: tensor {name} has no place in the model that config.json describes")
            if (wanted := expected.pop(new)) != part:
                raise VlmakeError(f"{source}: tensor {name} has shape {shape}; config.json makes {new} {wanted}")
    if expected:
        raise VlmakeError(
            f"{source}: the weights lack what {min(expected)} is made of ({counted(len(expected), 'tensor')})"
        )


def _write_processor(published: dict[str, Any], target: Path) -> None:
    """Write the tiling: the published rule is the native one with one tile as the least and a thumbnail as the last."""
    side = image_size(published)
    tiled = bool(published.get("dynamic_image_size", False))
    images = {
        "image_processor_type": "GotOcr2ImageProcessor",
        "crop_to_patches": tiled,
        "min_patches": int(published.get("min_dynamic_patch", 1)) if tiled else 1,
        "max_patches": int(published.get("max_dynamic_patch", 6)) if tiled else 1,
        "size": {"height": side, "width": side},
        "resample": _BICUBIC,
        "do_convert_rgb": True,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "rescale_factor": 1 / 255,
        "image_mean": _IMAGENET_MEAN,
        "image_std": _IMAGENET_STD,
    }
    processor = {"processor_class": "InternVLProcessor", "image_seq_length": image_tokens(published)}
    _write_json(target / "preprocessor_config.json", images | {"processor_class": "InternVLProcessor"})
    _write_json(target / "processor_config.json", processor)


def _generation(tokenizer: Any, conversation: Conversation, source: Path) -> dict[str, Any]:
    """Return greedy settings that stop where the published ``chat`` stops: at the template's end of an answer."""
    ids = tokenizer.encode(conversation.stop, add_special_tokens=False)
    if len(ids) != 1:
        raise VlmakeError(f"{source}: the tokenizer has no token {conversation.stop!r}, which ends an answer")
    pad = tokenizer.pad_token_id
    return {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": ids[0],
        "pad_token_id": ids[0] if pad is None else pad,
        "do_sample": False,
    }


def _read_config(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VlmakeError(f"{file.parent} is no checkpoint: there is no config.json in it") from None
    except ValueError as error:
        raise VlmakeError(f"{file} is damaged ({error}); download it again") from error
    if not isinstance(content, dict):
        raise VlmakeError(f"{file} is damaged (it holds no keys and values); download it again")
    return content


def _write_json(file: Path, content: dict[str, Any]) -> None:
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
