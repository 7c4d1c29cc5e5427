"""Finding the texts of options in a prediction, and telling whether a mention is a rejection."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.strict import plain_text

_ARTICLE = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)
_NOT_BEFORE = re.compile(
    r"(?:\b(?:not|never|nor|neither|no|without|rather\s+than|instead\s+of|except|excludes?|excluding|eliminates?|eliminating"
    r"|rules?\s+out|ruling\s+out|ruled\s+out|\w+n't(?:\s+(?:be|choose|pick|say|think\s+it\s+is))?|cannot\s+be)"
    r"|不是|并非|不选|不应选|不能选|不应该选|排除|而非|不为|不会是|没有|非)\s*"
    r"(?:(?:an?|the|any|be|option|choice|answer|letter|选项)\s*){0,3}[\"'(\[]*$",
    re.IGNORECASE,
)
_NOT_AFTER = re.compile(
    r"[\"')\]]*\s*(?:选项)?\s*(?:"
    r"(?:(?:is|are|was|were|can\s+be|could\s+be|must\s+be|should\s+be|seems?|looks?)\s+(?:therefore\s+|clearly\s+|also\s+|the\s+)?)?"
    r"(?:incorrect|wrong|false|ruled\s+out|eliminated|excluded|impossible)\b"
    r"|(?:is|are|was|were)\s+(?:clearly\s+|certainly\s+|definitely\s+)?not\b|isn't|aren't|wasn't|can't\s+be|cannot\s+be|does\s+not|doesn't"
    r"|也?(?:是|为)?(?:错误|不正确|不对|错的|不符|不是|可以排除|被排除|排除))",
    re.IGNORECASE,
)
_REACH = 48  # characters before a mention in which a negation can stand
_ONLY_ARTICLES = frozenset({"", "a", "an", "the", "i"})


class Mention(NamedTuple):
    """An option that a text names, and where."""

    letter: str
    start: int
    end: int


@lru_cache(maxsize=65536)
def option_core(text: str) -> str:
    """Return an option's text as it is looked up: cleaned, lower case, without article and final punctuation."""
    cleaned = lowered(plain_text(text)).strip(" .。,;:!?\"'")
    return _ARTICLE.sub("", cleaned, count=1) if _ARTICLE.match(cleaned) else cleaned


def lowered(text: str) -> str:
    """Return the text in lower case at the same length, so that places stay right."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def options_in(text: str, options: Mapping[str, str]) -> list[Mention]:
    """Return where options' texts stand as whole words in ``text`` and are not rejected, in order of place.

    Longer options claim their place first, so ``red`` is not found inside ``red and blue``.
    """
    lower = lowered(text)
    claimed = bytearray(len(lower))
    found: list[Mention] = []
    cores = [(option_core(option), letter) for letter, option in options.items()]
    for core in sorted({core for core, _ in cores if core not in _ONLY_ARTICLES}, key=lambda core: (-len(core), core)):
        start = lower.find(core)
        while start >= 0:
            end = start + len(core)
            if _is_word(lower, start, end) and not any(claimed[start:end]):
                claimed[start:end] = b"\x01" * len(core)
                if not is_rejected(text, start, end):
                    found += [Mention(letter, start, end) for other, letter in cores if other == core]
            start = lower.find(core, end)
    return sorted(found, key=lambda mention: (mention.start, mention.letter))


def option_named_by(text: str, options: Mapping[str, str]) -> str | None:
    """Return the one option whose text the whole of ``text`` is, else None."""
    core = option_core(text)
    letters = [letter for letter, option in options.items() if core and option_core(option) == core]
    return letters[0] if len(letters) == 1 else None


def is_rejected(text: str, start: int, end: int) -> bool:
    """Return whether the mention ``text[start:end]`` is denied: "not B", "B is wrong", 不选B."""
    before = text[max(0, start - _REACH) : start]
    return _NOT_BEFORE.search(before) is not None or _NOT_AFTER.match(text, end) is not None


def _is_word(text: str, start: int, end: int) -> bool:
    """Return whether a match is no part of a longer word or number; Chinese words have no visible ends."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before and _joins(before, text[start]):
        return False
    if after and _joins(after, text[end - 1]):
        return False
    if after in (".", ",") and text[end - 1].isdigit() and text[end + 1 : end + 2].isdigit():
        return False  # 1 in 1.5
    return not (before in (".", ",") and text[start].isdigit() and text[start - 2 : start - 1].isdigit())


def _joins(outside: str, inside: str) -> bool:
    """Return whether two neighbouring characters belong to one word."""
    if not (outside.isascii() and inside.isascii()):
        return outside.isalpha() and inside.isalpha() and not (_is_cjk(outside) or _is_cjk(inside))
    return (outside.isalnum() or outside in "_") and (inside.isalnum() or inside == "_")


def _is_cjk(letter: str) -> bool:
    return "\u3040" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7af"
