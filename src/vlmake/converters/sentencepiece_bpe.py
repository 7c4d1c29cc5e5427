"""A sentencepiece BPE model as a ``tokenizers`` tokenizer with the same ids, checked against sentencepiece itself.

The model file is a protocol buffer (``sentencepiece_model.proto``); the few fields needed are read here, so that no
protobuf library is.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
_BPE = 2
_SPACE = "▁"
# A message appended to the file's own is merged into it: normalizer_spec (field 3) gets add_dummy_prefix (3) = false.
_WITHOUT_DUMMY_PREFIX = b"\x1a\x02\x18\x00"
HARD_STRINGS = (
    "Hello, world!",
    " leading space",
    "  two leading  and  inner   spaces ",
    "tab\tand\nnewline\n\n  then\r\n",
    "你好，世界！这张图片里有什么？",
    "日本語と한국어",
    "emoji 😀👍🏽 👨‍👩‍👧 done",
    "naïve café — “quotes” … ½ ² ﬁ Ａ",
    "\u200b\u00a0\u3000\ufeff zero width",
    "\x01\x7f control \ue000 private 𠀀",
    "A. yes\nB. no\nAnswer with the option's letter from the given choices directly.",
    "x = [1, 2.5e-3]; f(x) -> {'a': \"b\"} # 1234567890",
    "▁already▁escaped",
    "<not_a_token> </not_one> <|x|>",
    "",
    " ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
)


@dataclass(frozen=True)
class Added:
    """A token that is cut out of the text first. ``rstrip`` and ``lstrip``: white space beside it goes with it."""

    content: str
    id: int
    special: bool
    lstrip: bool = False
    rstrip: bool = False


@dataclass(frozen=True)
class Pieces:
    """A sentencepiece model's vocabulary: text, score and kind by id; and whether it puts a space before the text."""

    texts: list[str]
    scores: list[float]
    kinds: list[int]
    dummy_prefix: bool

    def of_kind(self, *kinds: int) -> list[int]:
        """Return the ids of the pieces of these kinds."""
        return [number for number, kind in enumerate(self.kinds) if kind in kinds]


def read_pieces(file: Path) -> Pieces:
    """Read a model file; raise VlmakeError if it is damaged, or of another algorithm than BPE on unchanged text."""
    texts: list[str] = []
    scores: list[float] = []
    kinds: list[int] = []
    algorithm, normalizer = 1, {3: 1, 4: 1, 5: 1}  # the format's defaults
    try:
        for field, value in _fields(file.read_bytes()):
            if field == 1:
                piece = dict(_fields(value))
                texts.append(piece[1].decode("utf-8"))
                scores.append(struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0)
                kinds.append(_UNUSED if texts[-1] == "\0" else piece.get(3, _NORMAL))  # as the library does
            elif field == 2:
                algorithm = dict(_fields(value)).get(3, 1)
            elif field == 3:
                normalizer |= dict(_fields(value))
    except (ValueError, KeyError, IndexError, struct.error, AttributeError, TypeError) as error:
        raise VlmakeError(f"{file} is damaged ({error}); download it again") from error
    if not texts:
        raise VlmakeError(f"{file} is damaged (it has no pieces); download it again")
    if algorithm != _BPE or normalizer.get(2) or normalizer[4] or not normalizer[5]:
        raise VlmakeError(f"{file}: only BPE models that keep the text as it is are supported")
    return Pieces(texts, scores, kinds, bool(normalizer[3]))


def build_tokenizer(pieces: Pieces, added: Sequence[Added], prefix: bool) -> Any:
    """Return a ``tokenizers.Tokenizer`` without special tokens around the text.

    ``prefix`` puts a space before every stretch of text between added tokens.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    texts = _with_added(pieces.texts, added)
    vocabulary = {text: number for number, text in enumerate(texts)}
    unknown = pieces.of_kind(_UNKNOWN)[0]
    tokenizer = Tokenizer(
        models.BPE(
            vocabulary,
            _merges(pieces, {token.id for token in added}),
            unk_token=texts[unknown],
            fuse_unk=True,
            byte_fallback=bool(pieces.of_kind(_BYTE)),
        )
    )
    escape = normalizers.Replace(" ", _SPACE)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), escape]) if prefix else escape
    unescape = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    strip = [decoders.Strip(" ", 1, 0)] if pieces.dummy_prefix else []
    tokenizer.decoder = decoders.Sequence([*unescape, *strip])
    taken = {token.content for token in added}
    own = [text for text in (pieces.texts[number] for number in pieces.of_kind(_USER_DEFINED)) if text not in taken]
    tokens = [AddedToken(text, normalized=False) for text in own if text in vocabulary]
    tokenizer.add_tokens(tokens)
    for token in sorted(added, key=lambda token: token.id):
        kept = AddedToken(token.content, lstrip=token.lstrip, rstrip=token.rstrip, normalized=False)
        tokenizer.add_special_tokens([kept]) if token.special else tokenizer.add_tokens([kept])
    for token in added:
        if tokenizer.token_to_id(token.content) != token.id:
            raise VlmakeError(f"added token {token.content!r} cannot have id {token.id} in this vocabulary")
    return tokenizer


def check_tokenizer(tokenizer: Any, file: Path, pieces: Pieces, added: Sequence[Added], prefix: bool) -> None:
    """Compare with sentencepiece on hard strings, every piece, and random joins; raise VlmakeError at a difference."""
    sentencepiece = import_module("sentencepiece")
    reference = sentencepiece.SentencePieceProcessor(
        model_proto=file.read_bytes() + (b"" if prefix else _WITHOUT_DUMMY_PREFIX)
    )
    for text in _probes(pieces, added):
        expected = reference_ids(reference, text, added)
        found = tokenizer.encode(text, add_special_tokens=False).ids
        if found != expected:
            raise VlmakeError(
                f"{file}: its converted form splits {text!r} into {found[:8]}, sentencepiece into {expected[:8]};"
                " this tokenizer cannot be converted"
            )


def reference_ids(reference: Any, text: str, added: Sequence[Added]) -> list[int]:
    """Return the ids that sentencepiece and a cut at added tokens give: leftmost first, longest first."""
    ids: list[int] = []
    start = 0
    while start < len(text):
        found = _next_added(text, start, added)
        if found is None:
            return ids + list(reference.encode(text[start:]))
        place, token = found
        before = text[start:place].rstrip() if token.lstrip else text[start:place]
        ids += [*(reference.encode(before) if before else []), token.id]
        start = place + len(token.content)
        if token.rstrip:
            start += len(text[start:]) - len(text[start:].lstrip())
    return ids


def _next_added(text: str, start: int, added: Sequence[Added]) -> tuple[int, Added] | None:
    found = [(place, token) for token in added if (place := text.find(token.content, start)) >= 0]
    return min(found, key=lambda item: (item[0], -len(item[1].content)), default=None)


def _probes(pieces: Pieces, added: Sequence[Added]) -> Iterator[str]:
    """Yield what the two must agree on; the same strings each time."""
    yield from HARD_STRINGS
    chance = random.Random(0)
    replaced = {token.id for token in added}
    normal = [pieces.texts[number] for number in pieces.of_kind(_NORMAL) if number not in replaced]
    words = [text.replace(_SPACE, " ") for text in normal]
    for first in range(0, len(words), 64):
        yield "\n".join(words[first : first + 64])
    for _ in range(2000):
        yield "".join(chance.choices(words, k=12))
    for token in added:
        left, right = chance.choice(HARD_STRINGS), chance.choice(HARD_STRINGS)
        yield from (f"{left}{token.content}{right}", f"x {token.content} y", token.content * 2)


def _with_added(texts: Sequence[str], added: Sequence[Added]) -> list[str]:
    """Return the vocabulary by id, with added tokens in the place of spare pieces or after the last piece."""
    by_id = dict(enumerate(texts)) | {token.id: token.content for token in added}
    if sorted(by_id) != list(range(len(by_id))):
        raise VlmakeError(f"added token ids leave a gap after {len(texts)} pieces")
    return [by_id[number] for number in range(len(by_id))]


def _merges(pieces: Pieces, replaced: set[int]) -> list[tuple[str, str]]:
    """Return every pair of pieces that makes a piece, best score first: what sentencepiece tries, in its order."""
    usable = {
        text: (-score, number)
        for number, (text, score, kind) in enumerate(zip(pieces.texts, pieces.scores, pieces.kinds, strict=True))
        if kind == _NORMAL and number not in replaced
    }
    merges = []
    for text, (rank, number) in usable.items():
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in usable and right in usable:
                merges.append((rank, number, usable[left][1], usable[right][1], (left, right)))
    return [pair for *_, pair in sorted(merges)]


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a protocol buffer message: numbers as int, everything else as bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        size, at = (8, at) if kind == 1 else (4, at) if kind == 5 else _varint(data, at)
        if kind not in (1, 2, 5) or at + size > len(data):
            raise ValueError("it ends in the middle of a field")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
