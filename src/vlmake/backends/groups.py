"""Prompts on the same pictures: their pictures are processed once, and their tokens are put together from parts.

A prompt is what comes before its first picture, the pictures, and what comes after the last one. Tokenizers cut a text
at special tokens first, and a picture's placeholder is one, so the tokens of the three parts joined are the tokens of
the whole; this is checked for the first prompt of every group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmake.backends.rendering import Prompt


class UnlikeError(Exception):
    """Prompts on the same pictures that cannot share them, with the reason; others may."""


class UnfitModelError(Exception):
    """A model that cannot share pictures in some way, whatever the prompts, with the reason."""


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of a group: the tokens before and after the pictures that its group shares."""

    group: int
    before: list[int]
    after: list[int]


@dataclass(frozen=True, slots=True)
class Groups:
    """Prompts by the pictures they share. ``firsts`` are positions of one prompt a group; rows are in prompt order."""

    firsts: list[int]
    rows: list[Row]

    def same_start(self) -> bool:
        """Tell whether the prompts of each group are the same up to the end of their pictures."""
        return all(row.before == self.rows[self.firsts[row.group]].before for row in self.rows)


def shared_by_several(prompts: Sequence[Prompt]) -> bool:
    """Tell whether any two prompts show the same pictures."""
    shown = [prompt.shared for prompt in prompts if prompt.shared]
    return len(set(shown)) < len(shown)


def split(prompts: Sequence[Prompt], tokenizer: Any, placeholder: str, bos: bool) -> Groups:
    """Return the groups of prompts that all show pictures.

    ``bos`` tells whether the tokenizer adds its special tokens to the start of a prompt. Raises UnlikeError where the
    prompts of a group differ between their pictures.
    """
    number = {shared: place for place, shared in enumerate(dict.fromkeys(prompt.shared for prompt in prompts))}
    firsts = [next(place for place, prompt in enumerate(prompts) if prompt.shared == shared) for shared in number]
    parts = [_parts(prompt.text, placeholder) for prompt in prompts]
    rows = []
    mark = tokenizer(placeholder, add_special_tokens=False)["input_ids"]
    if len(mark) != 1:
        raise UnlikeError(f"{placeholder} is not one token: what stands beside it may be joined with it")
    for prompt, (before, middle, after) in zip(prompts, parts, strict=True):
        group = number[prompt.shared]
        if middle != parts[firsts[group]][1]:
            raise UnlikeError("the text between the pictures differs")
        start = tokenizer(before, add_special_tokens=bos)["input_ids"] if before or bos else []
        # In front of the rest stands the placeholder: a text's start is treated differently by some tokenizers.
        rest = tokenizer(placeholder + after, add_special_tokens=False)["input_ids"][len(mark) :]
        rows.append(Row(group, list(start), list(rest)))
    return Groups(firsts, rows)


def check_first(ids: Sequence[int], row: Row) -> None:
    """Raise UnlikeError unless a whole prompt's tokens begin and end with those of its parts."""
    if list(ids[: len(row.before)]) != row.before or list(ids[len(ids) - len(row.after) :]) != row.after:
        raise UnlikeError("the tokens of a prompt are not those of its parts")


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
