"""Finding the texts of options in a prediction, and telling whether a mention is a rejection."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.strict.clean import Plain, clean, maths, unmarked

_ARTICLE = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)
_NOT_BEFORE = re.compile(
    r"(?:\b(?:not|never|nor|neither|no|without|rather\s+than|instead\s+of|except|excludes?|excluding|eliminates?"
    r"|eliminating|discard|discards"
    r"|rules?\s+out|ruling\s+out|ruled\s+out|\w+n't(?:\s+(?:be|choose|pick|say|think\s+it\s+is))?|cannot\s+be"
    r"|unlike|than)"
    r"|不是|并非|不选|不应选|不能选|不应该选|可?排除|而非|不为|不会是|没有|非|不属于|不像|误选)\s*"
    r"(?:(?:an?|the|any|be|in|on|to|at|of|option|choice|answer|letter|选项|了|探究)\s*){0,3}[\"'(\[]*$",
    re.IGNORECASE,
)
_NOT_AFTER = re.compile(
    r"[\"')\]]*\s*(?:选项)?\s*(?:"
    r"(?:(?:is|are|was|were|can\s+be|could\s+be|must\s+be|should\s+be|seems?|looks?)\s+(?:therefore\s+|clearly\s+"
    r"|also\s+|the\s+)?)?"
    r"(?:incorrect|wrong|false|ruled\s+out|eliminated|excluded|impossible|not\s+(?:correct|right|possible|visible"
    r"|present|mentioned))\b"
    r"|(?:\s(?:makes?|made)\s+no\s+sense|contradicts?)\b"
    r"|(?:is|are|was|were)\s+(?:clearly\s+|certainly\s+|definitely\s+)?not\b|isn't|aren't|wasn't|can't\s+be"
    r"|cannot\s+be|does\s+not|doesn't"
    r"|也?(?:项|选项)?(?:中的.{1,12})?(?:均|都|也)?(?:是|为)?(?:错误|错(?=[,.。、;)]|$)|不正确|不对|错的|不符|不是"
    r"|可以排除|被排除|排除))",
    re.IGNORECASE,
)
_UP_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_DIGITS = {word: str(number) for number, word in enumerate(_UP_TO_TWENTY.split())}
_NUMERALS = {"两": "2"} | {sign: str(number) for number, sign in enumerate("一二三四五六七八九十", 1)}
_LEADING_NUMBER = re.compile(r"\d+(?![\d.,:/])|[一二两三四五六七八九十](?![一二三四五六七八九十百千万几点])")
_LISTED = re.compile(r"\s*(?:,?\s*(?:or|nor)\b|、|和|或|及)\s*(?:an?\s+|the\s+)?", re.IGNORECASE)
_WORDS = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*")  # nothing there to clean
_LETTERS = re.compile("[A-Z]{1,2}")
_REACH = 48  # characters before a mention in which a negation can stand
_LONGEST_NUMBER = 24  # characters of a text that may be a number in words
_ONLY_ARTICLES = frozenset({"", "a", "an", "the", "i"})


class Mention(NamedTuple):
    """An option that a text names, and where."""

    letter: str
    start: int
    end: int


@lru_cache(maxsize=65536)
def option_core(text: str) -> str:
    """Return an option's text as it is looked up: cleaned, lower case, without article and final punctuation."""
    if not _WORDS.fullmatch(text):
        text = " ".join(maths(unmarked(clean(Plain(text, range(len(text)))))).text.split())
    cleaned = lowered(text).strip(" .。,;:!?\"'")
    return _ARTICLE.sub("", cleaned, count=1) if _ARTICLE.match(cleaned) else cleaned


@lru_cache(maxsize=65536)
def _spellings(core: str) -> tuple[str, ...]:
    """Return how else a core is written: "three" for 3, 三本 for 3本."""
    if core in _DIGITS:
        return (_DIGITS[core],)
    number = _LEADING_NUMBER.match(core)
    if not number and len(core) > 3 and core.isascii() and core.isalpha():
        return (core.removesuffix("s") if core.endswith("s") and not core.endswith("ss") else f"{core}s",)
    if not number:
        return ()
    rest = core[number.end() :]
    if number[0] in _NUMERALS and rest:
        return (f"{_NUMERALS[number[0]]}{rest}",)
    words = [word for word, digits in _DIGITS.items() if digits == number[0] and word != "one"]
    others = [sign for sign, digits in _NUMERALS.items() if digits == number[0]] if rest and not rest.isascii() else []
    return (*(f"{word}{rest}" for word in words if not rest or rest[0] == " "), *(f"{sign}{rest}" for sign in others))


def lowered(text: str) -> str:
    """Return the text in lower case at the same length, so that places stay right."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def are_letters(options: Mapping[str, str]) -> bool:
    """Return whether an option's text is itself a letter or two ("AB"), so that a letter may be meant as a text."""
    return any(_LETTERS.fullmatch(option) for option in options.values())


def options_in(text: str, options: Mapping[str, str], rejected: bool = False) -> list[Mention]:
    """Return where options' texts stand as whole words in ``text``, in order of place.

    Those that the text rejects are left out, unless ``rejected`` asks for them too. Longer options claim their place
    first, so ``red`` is not found inside ``red and blue``.
    """
    lower = lowered(text)
    claimed = bytearray(len(lower))
    found: list[tuple[Mention, bool]] = []
    cores = [(option_core(option), letter) for letter, option in options.items()]
    if are_letters(options):  # only as they are written: A is no article there
        lower = "".join(" " if letter.islower() else letter for letter in text)
        cores = [(option, letter) for letter, option in options.items()]
    known = {core for core, _ in cores}
    cores += [(other, letter) for core, letter in cores for other in _spellings(core) if other not in known]
    for core in sorted({core for core, _ in cores if core not in _ONLY_ARTICLES}, key=lambda core: (-len(core), core)):
        start = lower.find(core)
        while start >= 0:
            end = start + len(core)
            if _is_word(lower, start, end) and not any(claimed[start:end]):
                claimed[start:end] = b"\x01" * len(core)
                denied = is_rejected(text, start, end)
                found += [(Mention(letter, start, end), denied) for other, letter in cores if other == core]
            start = lower.find(core, end)
    found.sort(key=lambda entry: (entry[0].start, entry[0].letter))
    kept, before, was_denied = [], 0, False
    for mention, denied in found:
        # "not London or Rome" denies both
        was_denied = denied or (was_denied and _LISTED.fullmatch(text, before, mention.start) is not None)
        if rejected or not was_denied:
            kept.append(mention)
        before = mention.end
    return kept


def option_named_by(text: str, options: Mapping[str, str]) -> str | None:
    """Return the one option whose text the whole of ``text`` is, else None."""
    core = option_core(text)
    letters = [letter for letter, option in options.items() if core and option_core(option) == core]
    if not letters and len(core) <= _LONGEST_NUMBER:
        others = set(_spellings(core))
        letters = [letter for letter, option in options.items() if option_core(option) in others]
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
