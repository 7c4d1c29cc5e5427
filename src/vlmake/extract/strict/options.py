"""Finding the texts of options in a prediction."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.strict.clean import Plain, clean, maths, unmarked
from vlmake.extract.strict.compounds import compounds_in
from vlmake.extract.strict.withheld import is_denied, is_denied_behind

_ARTICLE = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)
_UP_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_DIGITS = {word: str(number) for number, word in enumerate(_UP_TO_TWENTY.split())}
_NUMERALS = {"两": "2"} | {sign: str(number) for number, sign in enumerate("一二三四五六七八九十", 1)}
_COLOURS = {
    "red": "红色", "orange": "橙色", "yellow": "黄色", "green": "绿色", "blue": "蓝色", "purple": "紫色",
    "pink": "粉色", "brown": "棕色", "black": "黑色", "white": "白色", "gray": "灰色", "left": "左边", "right": "右边",
}  # fmt: skip
_TRANSLATED = _COLOURS | {chinese: english for english, chinese in _COLOURS.items()}
_LEADING_NUMBER = re.compile(r"\d+(?![\d.,:/])|[一二两三四五六七八九十](?![一二三四五六七八九十百千万几点])")
_LISTED = re.compile(r"\s*(?:,?\s*(?:or|nor)\b|、|和|或|及)\s*(?:an?\s+|the\s+)?", re.IGNORECASE)
_JOINED = re.compile(r"\s*(?:(?:and|or|nor)\b|和|及|与|、)\s*(?:an?\s+|the\s+)?", re.IGNORECASE)
_VERDICTS = frozenset(("no", "yes", "是", "否", "对", "错", "有", "不是", "没有"))
_VERDICT_ENDS = re.compile(r"的?\s*(?:[.,;:!?。)\]\"'\n–—]|-\s|$)")
_WORDS = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*")  # nothing there to clean
_LETTERS = re.compile("[A-Z]{1,2}")
_OUTER = " .。,;:!?\"'"
_LONGER = 40  # characters by which a text is longer than any option that it can be
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
    cleaned = lowered(text).strip(_OUTER)
    return _ARTICLE.sub("", cleaned, count=1) if _ARTICLE.match(cleaned) else cleaned


@lru_cache(maxsize=65536)
def _spellings(core: str) -> tuple[str, ...]:
    """Return how else a core is written: "three" for 3, 三本 for 3本, 黄色 for yellow."""
    if core in _DIGITS:
        return (_DIGITS[core],)
    if core in _TRANSLATED:
        return (_TRANSLATED[core],)
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
    return _any_letters(tuple(options.values()))


@lru_cache(maxsize=8192)
def _any_letters(options: tuple[str, ...]) -> bool:
    return any(len(option) < 3 and _LETTERS.fullmatch(option) for option in options)


class _LookedUp(NamedTuple):
    """What is looked for in a text: the options' own texts, and each text or spelling with its options' letters."""

    own: frozenset[str]
    letters: tuple[tuple[str, tuple[str, ...]], ...]


@lru_cache(maxsize=8192)
def _looked_up(options: tuple[tuple[str, str], ...]) -> _LookedUp:
    """Return what is looked for, the longest texts first; letters only as they are written: A is no article there."""
    written = are_letters(dict(options))
    cores = [(option if written else option_core(option), letter) for letter, option in options]
    known = frozenset(core for core, _ in cores)
    cores += [(other, letter) for core, letter in cores for other in _spellings(core) if other not in known]
    texts = sorted({core for core, _ in cores} - _ONLY_ARTICLES, key=lambda core: (-len(core), core))
    return _LookedUp(known, tuple((text, tuple(letter for core, letter in cores if core == text)) for text in texts))


def options_in(text: str, options: Mapping[str, str], rejected: bool = False) -> list[Mention]:
    """Return where options' texts stand as whole words in ``text``, in order of place.

    Those that the text rejects are left out, unless ``rejected`` asks for them too. Longer options claim their place
    first, so ``red`` is not found inside ``red and blue``.
    """
    named = _looked_up(tuple(options.items()))
    lower = text if are_letters(options) else lowered(text)
    claimed = bytearray(len(lower))
    found: list[tuple[Mention, bool]] = []
    for start, end in compounds_in(lower, named.own):
        claimed[start:end] = b"\x01" * (end - start)
    for core, letters in named.letters:
        start = lower.find(core)
        while start >= 0:
            end = start + len(core)
            if _is_word(lower, start, end) and not any(claimed[start:end]) and _is_said(core, lower, start, end):
                claimed[start:end] = b"\x01" * len(core)
                denied = is_denied(text, start, end)
                found += [(Mention(letter, start, end), denied) for letter in letters]
            start = lower.find(core, end)
    found.sort(key=lambda entry: (entry[0].start, entry[0].letter))
    for place in range(len(found) - 1, 0, -1):  # "wheat and corn don't grow" denies both
        (earlier, denied), (later, _) = found[place - 1], found[place]
        if not denied and _JOINED.fullmatch(text, earlier.end, later.start) and is_denied_behind(text, later.end):
            found[place - 1] = (earlier, True)
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
    if len(text) > _LONGER and len(text.strip(_OUTER)) > max(map(len, options.values()), default=0) + _LONGER:
        return None
    core = option_core(text)
    letters = [letter for letter, option in options.items() if core and option_core(option) == core]
    if not letters and len(core) <= _LONGEST_NUMBER:
        others = set(_spellings(core))
        letters = [letter for letter, option in options.items() if option_core(option) in others]
    return letters[0] if len(letters) == 1 else None


def _is_said(core: str, text: str, start: int, end: int) -> bool:
    """Return whether a yes or no is a verdict and not a word of the sentence: "no trend", 是否."""
    if core not in _VERDICTS:
        return True
    inside = not core.isascii() and _is_cjk(text[start - 1 : start] or " ")
    return not inside and _VERDICT_ENDS.match(text, end) is not None


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
