"""Prompts on the same pictures: their pictures are processed once, and their tokens are put together from parts.

A prompt is what comes before its first picture, the pictures, and what comes after the last one. A processor writes
tokens of its own for a picture, and often line breaks around them. The parts are cut at tokens that a tokenizer never
joins with their neighbours (added tokens), and the first prompt of every group is checked to be the sum of its parts:
so the sum is right for the others too, whatever their text begins or ends with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmake.backends.rendering import Prompt

_WRITTEN_AROUND = ("", "\n", "\n\n", " ")  # what processors write between the text and a picture's tokens


class UnlikeError(Exception):
    """Prompts on the same pictures that cannot share them, with the reason; others may."""


class UnfitModelError(Exception):
    """A model that cannot share pictures in some way, whatever the prompts, with the reason."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Rendered prompts by the pictures they share.

    ``groups`` are the group numbers of the prompts, ``firsts`` the position of one prompt a group, ``parts`` what
    stands before the first placeholder of each prompt, from it to the last one, and after that.
    """

    groups: Sequence[int]
    firsts: Sequence[int]
    parts: Sequence[tuple[str, str, str]]

    def same_start(self) -> bool:
        """Tell whether the prompts of each group are the same up to the end of their pictures."""
        starts = zip(self.groups, self.parts, strict=True)
        return all(before == self.parts[self.firsts[group]][0] for group, (before, _, _) in starts)


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of a group: the tokens before and after the pictures that its group shares."""

    group: int
    before: list[int]
    after: list[int]


@dataclass(frozen=True, slots=True)
class Groups:
    """Prompts as tokens, by the pictures they share. ``firsts`` are positions of one prompt a group."""

    firsts: Sequence[int]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Seams:
    """How the pictures' tokens of a prompt are set into its text.

    ``opening`` and ``closing`` are the texts of the first and last token that are the pictures' own, ``wrap_before``
    and ``wrap_after`` what the processor wrote between the prompt's text and these.
    """

    wrap_before: str
    opening: str
    closing: str
    wrap_after: str


def shared_by_several(prompts: Sequence[Prompt]) -> bool:
    """Tell whether any two prompts show the same pictures."""
    shown = [prompt.shared for prompt in prompts if prompt.shared]
    return len(set(shown)) < len(shown)


def split_texts(prompts: Sequence[Prompt], placeholder: str) -> Texts:
    """Return prompts that all show pictures by groups, cut at their placeholders.

    Raises UnlikeError where the prompts of a group differ between their pictures.
    """
    number = {shared: place for place, shared in enumerate(dict.fromkeys(prompt.shared for prompt in prompts))}
    groups = [number[prompt.shared] for prompt in prompts]
    firsts = [groups.index(group) for group in range(len(number))]
    parts = [_parts(prompt.text, placeholder) for prompt in prompts]
    if any(middle != parts[firsts[group]][1] for group, (_, middle, _) in zip(groups, parts, strict=True)):
        raise UnlikeError("the text between the pictures differs")
    return Texts(groups, firsts, parts)


def join_tokens(texts: Texts, whole: Sequence[Sequence[int]], tokenizer: Any, *, starts: bool) -> Groups:
    """Return every prompt's tokens before and after its group's pictures.

    Args:
        texts: the prompts, cut.
        whole: the tokens of the first prompt of each group, as the processor made them.
        tokenizer: the processor's.
        starts: whether the tokenizer adds its special tokens to the start of a prompt.

    Raises UnlikeError where the parts of a first prompt are not its whole.
    """
    added = frozenset(tokenizer.get_added_vocab().values())
    seams = [
        _seams(list(whole[group]), texts.parts[first], tokenizer, added, starts=starts)
        for group, first in enumerate(texts.firsts)
    ]
    rows = [
        Row(
            group,
            _before(tokenizer, before, seams[group].wrap_before, seams[group].opening, starts=starts),
            _after(tokenizer, seams[group].closing, seams[group].wrap_after, after),
        )
        for group, (before, _, after) in zip(texts.groups, texts.parts, strict=True)
    ]
    return Groups(texts.firsts, rows)


def _seams(
    whole: list[int], parts: tuple[str, str, str], tokenizer: Any, added: frozenset[int], *, starts: bool
) -> Seams:
    """Find where the pictures' own tokens begin and end in a whole prompt, and what was written around them."""
    before, _, after = parts
    alone = list(tokenizer(before, add_special_tokens=starts)["input_ids"]) if before or starts else []
    first = _next_added(whole, _common(whole, alone), added)
    opening = tokenizer.convert_ids_to_tokens(whole[first])
    alone = list(tokenizer(after, add_special_tokens=False)["input_ids"]) if after else []
    backwards = whole[::-1]
    last = len(whole) - 1 - _next_added(backwards, _common(backwards, alone[::-1]), added)
    closing = tokenizer.convert_ids_to_tokens(whole[last])
    if first > last:
        raise UnlikeError("the pictures' tokens are not found in a prompt")
    for wrap_before in _WRITTEN_AROUND:
        if _before(tokenizer, before, wrap_before, opening, starts=starts) == whole[:first]:
            break
    else:
        raise UnlikeError("the tokens of a prompt are not those of its parts")
    for wrap_after in _WRITTEN_AROUND:
        if _after(tokenizer, closing, wrap_after, after) == whole[last + 1 :]:
            return Seams(wrap_before, opening, closing, wrap_after)
    raise UnlikeError("the tokens of a prompt are not those of its parts")


def _before(tokenizer: Any, text: str, wrap: str, opening: str, *, starts: bool) -> list[int]:
    """Return the tokens of a text in front of a picture's first token."""
    return list(tokenizer(text + wrap + opening, add_special_tokens=starts)["input_ids"])[:-1]


def _after(tokenizer: Any, closing: str, wrap: str, text: str) -> list[int]:
    """Return the tokens of a text behind a picture's last token: a tokenizer may treat a text's start differently."""
    return list(tokenizer(closing + wrap + text, add_special_tokens=False)["input_ids"])[1:]


def _common(whole: Sequence[int], part: Sequence[int]) -> int:
    """Return how many leading tokens are the same."""
    pairs = zip(whole, part, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(whole), len(part)))


def _next_added(tokens: Sequence[int], start: int, added: frozenset[int]) -> int:
    found = next((place for place in range(start, len(tokens)) if tokens[place] in added), None)
    if found is None:
        raise UnlikeError("the pictures' tokens are not found in a prompt")
    return found


def _parts(text: str, placeholder: str) -> tuple[str, str, str]:
    first = text.find(placeholder)
    if first < 0:
        raise UnlikeError(f"the chat template writes no {placeholder}")
    end = text.rfind(placeholder) + len(placeholder)
    return text[:first], text[first:end], text[end:]


def token_tensors(inputs: Mapping[str, Any]) -> list[str]:
    """Return the names of the inputs that hold one number a token: ids, mask, token types."""
    shape = inputs["input_ids"].shape
    return [name for name, tensor in inputs.items() if getattr(tensor, "shape", None) == shape]
