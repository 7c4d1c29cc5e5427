"""The tokenizer of a published InternVL checkpoint, with the ids that its own (slow) tokenizer class gives.

InternLM2, Phi-3, Yi and Llama-2 come as a sentencepiece model plus added tokens and are rebuilt from it; Qwen2 and
Llama-3 come in a form that transformers reads, and only get the names of their image tokens.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from vlmake.converters.sentencepiece_bpe import Added, build_tokenizer, check_tokenizer, read_pieces
from vlmake.errors import VlmakeError

IMAGE_START, IMAGE_END, IMAGE_CONTEXT = "<img>", "</img>", "<IMG_CONTEXT>"
# The processor class insists on a token for videos, which come as lists of frames here; it refuses text that holds it.
_NO_VIDEO = "<VIDEO_CONTEXT>"
_IMAGE_TOKENS = {
    "start_image_token": IMAGE_START,
    "end_image_token": IMAGE_END,
    "context_image_token": IMAGE_CONTEXT,
    "video_token": _NO_VIDEO,
}
_FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)
_ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")
_DEFAULTS = {
    "InternLM2Tokenizer": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"},
    "LlamaTokenizer": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
}
_CLASS_OF = {"InternLM2TokenizerFast": "InternLM2Tokenizer", "LlamaTokenizerFast": "LlamaTokenizer"}


@dataclass(frozen=True)
class Converted:
    """A tokenizer of transformers, and what its chat template must begin with to give the original's ids."""

    tokenizer: Any
    lead: str


def convert_tokenizer(folder: Path, prompt: str) -> Converted:
    """Return the checkpoint's tokenizer; raise VlmakeError if its parts are missing, damaged or disagree.

    ``prompt`` is how every prompt begins.
    """
    settings = _json(folder / "tokenizer_config.json")
    converted = (
        _from_sentencepiece(folder, settings, prompt)
        if (folder / "tokenizer.model").is_file()
        else Converted(_from_transformers(folder, settings), "")
    )
    for text, number in _published_ids(folder, settings).items():
        found = converted.tokenizer.convert_tokens_to_ids(text)
        if found != number:
            raise VlmakeError(f"{folder}: added token {text!r} has id {found} after conversion, published as {number}")
    return converted


def _from_sentencepiece(folder: Path, settings: dict[str, Any], prompt: str) -> Converted:
    """Rebuild a sentencepiece tokenizer; the rules are those of ``InternLM2Tokenizer`` and the slow ``LlamaTokenizer``.

    InternLM2 and a `legacy` Llama give each stretch of text to sentencepiece as it is. A newer Llama puts one space
    before the whole text instead, unless a special token comes first; that is the chat template's part here.
    """
    file = folder / "tokenizer.model"
    name = str(settings.get("tokenizer_class"))
    kind = _CLASS_OF.get(name, name)
    if kind not in _DEFAULTS:
        where = folder / "tokenizer_config.json"
        raise VlmakeError(f"{where}: tokenizer_class {name!r} is none of {', '.join(_DEFAULTS)}")
    pieces = read_pieces(file)
    roles = _DEFAULTS[kind] | _roles(settings)
    added = _added_tokens(folder, settings, roles, pieces.texts)
    plain = kind == "InternLM2Tokenizer" or settings.get("legacy", True) in (True, None)
    prefix = plain and pieces.dummy_prefix
    tokenizer = build_tokenizer(pieces, added, prefix)
    check_tokenizer(tokenizer, file, pieces, added, prefix)
    _add_ends(tokenizer, roles, settings)
    special = tuple(token.content for token in added if token.special)
    spaceless = plain or settings.get("add_prefix_space") is False or prompt.startswith(special)
    return Converted(_fast(tokenizer, roles, settings, folder), "" if spaceless else " ")


def _from_transformers(folder: Path, settings: dict[str, Any]) -> Any:
    """Load a Qwen2 or Llama-3 tokenizer from its own files alone, so that no configuration asks for remote code."""
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as staged:
        for name in _FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, Path(staged) / name)
        try:
            loaded: Any = AutoTokenizer.from_pretrained(staged)
            backend = loaded.backend_tokenizer
        except Exception as error:  # the library raises anything for missing or damaged files
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise VlmakeError(f"{folder} has no tokenizer that can be read: {reason}") from error
    roles = {role: getattr(loaded, role) for role in _ROLES if getattr(loaded, role) is not None}
    if (folder / "vocab.json").is_file():
        backend = _unmark(backend, {*roles.values(), *_texts(settings.get("additional_special_tokens"))})
    return _fast(backend, roles, settings, folder)


def _unmark(backend: Any, special: set[str]) -> Any:
    """Keep only ``special`` tokens out of decoded text, as a slow tokenizer does: other added tokens are shown."""
    from tokenizers import Tokenizer

    content = json.loads(backend.to_str())
    for token in content["added_tokens"]:
        token["special"] = token["content"] in special
    return Tokenizer.from_str(json.dumps(content))


def _fast(tokenizer: Any, roles: dict[str, str], settings: dict[str, Any], folder: Path) -> Any:
    for text in (IMAGE_START, IMAGE_END, IMAGE_CONTEXT):
        if tokenizer.token_to_id(text) is None:  # the class below would add it, with an id that was never trained
            raise VlmakeError(f"{folder}: the tokenizer has no token {text}; this is no InternVL chat checkpoint")
    fast: Any = import_module("transformers").PreTrainedTokenizerFast
    return fast(
        tokenizer_object=tokenizer,
        clean_up_tokenization_spaces=False,
        model_max_length=settings.get("model_max_length") or 2**31,
        padding_side="left",
        extra_special_tokens=_IMAGE_TOKENS,
        **roles,
    )


def _add_ends(tokenizer: Any, roles: dict[str, str], settings: dict[str, Any]) -> None:
    """Put the begin token before, and the end token after, a text if the settings say so."""
    from tokenizers import processors

    first = [roles["bos_token"]] if settings.get("add_bos_token", True) else []
    last = [roles["eos_token"]] if settings.get("add_eos_token", False) else []
    if first or last:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[*first, "$A", *last],
            pair=[*first, "$A", *first, "$B", *last],
            special_tokens=[(text, tokenizer.token_to_id(text)) for text in {*first, *last}],
        )


def _added_tokens(folder: Path, settings: dict[str, Any], roles: dict[str, str], texts: list[str]) -> list[Added]:
    """Return every token that is cut out of the text first.

    Only tokens with a role and ``additional_special_tokens`` are left out of decoded answers: that is what a slow
    tokenizer does, whatever ``special`` says.
    """
    special = {*roles.values(), *_texts(settings.get("additional_special_tokens"))}
    described = settings.get("added_tokens_decoder") or {}
    flags = {str(token["content"]): token for token in described.values()}
    ids = {text: texts.index(text) for text in roles.values() if text in texts} | _published_ids(folder, settings)
    return [
        Added(
            text,
            number,
            text in special,
            lstrip=bool(flags.get(text, {}).get("lstrip", False)),
            rstrip=bool(flags.get(text, {}).get("rstrip", False)),
        )
        for text, number in sorted(ids.items(), key=lambda item: item[1])
    ]


def _published_ids(folder: Path, settings: dict[str, Any]) -> dict[str, int]:
    """Return the ids that the checkpoint gives to added tokens."""
    described = settings.get("added_tokens_decoder") or {}
    return {str(token["content"]): int(number) for number, token in described.items()} | {
        str(text): int(number) for text, number in _json(folder / "added_tokens.json").items()
    }


def _roles(settings: dict[str, Any]) -> dict[str, str]:
    return {role: _text(settings[role]) for role in _ROLES if settings.get(role) is not None}


def _texts(tokens: Any) -> list[str]:
    return [_text(token) for token in tokens or []]


def _text(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise VlmakeError(f"{file} is damaged ({error}); download it again") from error
    if not isinstance(content, dict):
        raise VlmakeError(f"{file} is damaged (it holds no keys and values); download it again")
    return content
