"""Tiny tokenizers in the forms that InternVL's checkpoints have them; each function returns the vocabulary's size."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

IMAGE_TOKENS = ["<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"]
CHATML = ["<|im_start|>", "<|im_end|>"]
CORPUS = """the quick brown fox jumps over the lazy dog and the cat sat on the mat
What is in the picture? Please answer yes or no. Answer the question using a single word or phrase.
Answer with the option's letter from the given choices directly. A. one B. two C. three D. four
user system assistant Image-1: Image-2: you are an AI assistant whose name is InternVL
你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。
请直接回答选项字母。这张图片里有什么？图中有一只猫和一条狗。
def f(x): return [1, 2.5, -3] if x else {'a': "b"}  # 1234567890
"""


def sentencepiece_model(folder: Path, *, dummy_prefix: bool, spare: int = 0) -> int:
    """Train a small model with byte fallback into ``tokenizer.model``, with ``spare`` unused pieces at its end."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.splitlines()), model_writer=written, model_type="bpe", vocab_size=520,
        byte_fallback=True, character_coverage=1.0, normalization_rule_name="identity", num_threads=1,
        remove_extra_whitespaces=False, add_dummy_prefix=dummy_prefix, allow_whitespace_only_pieces=True,
        split_digits=True, minloglevel=2,
    )  # fmt: skip
    model = written.getvalue() + b"".join(_piece(f"[UNUSED_TOKEN_{141 + number}]") for number in range(spare))
    (folder / "tokenizer.model").write_bytes(model)
    return 520 + spare


def _piece(text: str) -> bytes:
    """Return one more user-defined piece as the model file's format has it: appended to the file, it comes last."""
    body = b"\x0a" + bytes([len(text)]) + text.encode() + b"\x15" + struct.pack("<f", 0.0) + b"\x18\x04"
    return b"\x0a" + bytes([len(body)]) + body


def internlm2_tokenizer(folder: Path) -> int:
    size = sentencepiece_model(folder, dummy_prefix=False, spare=6)
    names = ["<|plugin|>", "<|interpreter|>", "<|action_end|>", "<|action_start|>", *reversed(CHATML), *IMAGE_TOKENS]
    ids = {name: size - 6 + number for number, name in enumerate(names)}
    _write_slow(folder, "InternLM2Tokenizer", ids, {"<unk>": 0, "<s>": 1, "</s>": 2}, {
        "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>",
        "additional_special_tokens": names,
    })  # fmt: skip
    return size + len(IMAGE_TOKENS)


def phi3_tokenizer(folder: Path) -> int:
    size = sentencepiece_model(folder, dummy_prefix=True)
    names = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>", *IMAGE_TOKENS]
    ids = {name: size + number for number, name in enumerate(names)}
    stripped = {"<|assistant|>", "<|system|>", "<|end|>", "<|user|>", "</s>"}
    _write_slow(folder, "LlamaTokenizer", ids, {"<unk>": 0, "<s>": 1, "</s>": 2}, {
        "bos_token": "<s>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<unk>",
        "add_bos_token": True, "add_eos_token": False, "legacy": False,
    }, stripped)  # fmt: skip
    return size + len(names)


def yi_tokenizer(folder: Path) -> int:
    size = sentencepiece_model(folder, dummy_prefix=True, spare=2)
    ids = {name: size - 2 + number for number, name in enumerate([*CHATML, *IMAGE_TOKENS])}
    _write_slow(folder, "LlamaTokenizer", ids, {"<unk>": 0, "<s>": 1, "</s>": 2}, {
        "bos_token": "<s>", "eos_token": "<|im_end|>", "pad_token": "<unk>", "unk_token": "<unk>",
        "add_bos_token": False, "add_eos_token": False, "legacy": True,
    })  # fmt: skip
    return size + len(IMAGE_TOKENS)


def _byte_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("a", "n"), ("Ġ", "a"), ("i", "n"), ("e", "r"), ("Ċ", "Ċ")]
    merges.append(("ä", "½"))
    return {token: number for number, token in enumerate([*alphabet, *map("".join, merges)])}, merges


def qwen2_tokenizer(folder: Path) -> int:
    vocabulary, merges = _byte_vocabulary()
    names = ["<|endoftext|>", *CHATML, *IMAGE_TOKENS]
    ids = {name: len(vocabulary) + number for number, name in enumerate(names)}
    write_json(folder / "vocab.json", vocabulary)
    lines = "".join(f"{left} {right}\n" for left, right in merges)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}", encoding="utf-8")
    _write_slow(folder, "Qwen2Tokenizer", ids, {}, {
        "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None, "bos_token": None,
        "add_prefix_space": False, "errors": "replace", "split_special_tokens": False,
        "additional_special_tokens": CHATML,
    })  # fmt: skip
    return len(vocabulary) + len(names)


def llama3_tokenizer(folder: Path) -> int:
    vocabulary, merges = _byte_vocabulary()
    names = ["<|begin_of_text|>", "<|end_of_text|>", *CHATML, *IMAGE_TOKENS]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    begin = names[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, tokenizer.token_to_id(begin))]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {name: tokenizer.token_to_id(name) for name in names}
    _write_slow(folder, "PreTrainedTokenizerFast", ids, {}, {
        "bos_token": begin, "eos_token": "<|end_of_text|>", "model_input_names": ["input_ids", "attention_mask"],
    })  # fmt: skip
    return len(vocabulary) + len(names)


def _write_slow(
    folder: Path, kind: str, added: dict[str, int], own: dict[str, int], settings: dict[str, Any],
    stripped: set[str] = frozenset(),  # type: ignore[assignment]
) -> None:  # fmt: skip
    """Write what transformers 4.37 saves for a slow tokenizer: added tokens and their flags."""
    flags = {"lstrip": False, "normalized": False, "single_word": False, "special": True}
    described = {
        str(number): {"content": text, "rstrip": text in stripped, **flags} for text, number in (own | added).items()
    }
    write_json(folder / "added_tokens.json", added)
    write_json(
        folder / "tokenizer_config.json",
        {**settings, "added_tokens_decoder": described, "tokenizer_class": kind, "model_max_length": 4096,
         "clean_up_tokenization_spaces": False},
    )  # fmt: skip
    roles = {key: value for key, value in settings.items() if key.endswith(("_token", "_tokens")) and value}
    write_json(folder / "special_tokens_map.json", {key: roles[key] for key in roles if not key.startswith("add_")})


TOKENIZERS = {
    "internlm2": internlm2_tokenizer,
    "phi3": phi3_tokenizer,
    "yi": yi_tokenizer,
    "qwen2": qwen2_tokenizer,
    "llama3": llama3_tokenizer,
}


def write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
