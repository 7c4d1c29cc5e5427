"""Which of several options a text settles on: that of its main clause, what is missing, one named by its place."""

import re
from collections.abc import Mapping

from vlmake.extract.answer import Extraction
from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.discourse import HEDGE, sentences
from vlmake.extract.strict.options import Mention, option_named_by, options_in
from vlmake.extract.strict.overlap import content, coverage

_ASIDE = re.compile(
    r",?\s+(?:although|though|while|whereas|unlike|instead\s+of|rather\s+than|as\s+opposed\s+to|(?:as\s+)?compared\s+(?:to|with)"
    r"|neither\s+of\s+which|none\s+of\s+which|even\s+though)\b"
)
_CLAUSE_END = re.compile(r"[,;。]\s*")
_ASKS_MISSING = re.compile(
    r"\bmissing\b|\babsent\b|\black(?:s|ing)?\b|\bnot\s+(?:on|in|at|shown|visible|present|included|there|depicted)\b|缺少|没有出现|不在",
    re.I,
)
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1} | {
    "一": 0, "二": 1, "三": 2, "四": 3, "五": 4
}  # fmt: skip
_ORDINAL = re.compile(
    r"\bthe\s+(?P<word>first|second|third|fourth|fifth|last)\s+(?:one|option|choice|answer|explanation|statement|headline"
    r"|description|alternative|candidate)\b|第(?P<zh>[一二三四五])(?:个|项|种)?(?:选项|说法|答案|描述|解释)",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\bnot\b|n't\b|\bwrong\b|\bincorrect\b|\bfalse\b|不|错|\bbut\b|\bonly\s+partly\b", re.IGNORECASE)
_LEAST = 0.4  # share of the question that a deciding clause names
_LONGEST_PERIOD = 12  # words that a text says over and over


def said_once(plain: Plain) -> Plain:
    """Return a text that says the same words over and over only once."""
    words = list(re.finditer(r"\S+", plain.text[:4000]))
    said = [word[0].strip(".,;").lower() for word in words]
    for period in range(1, min(_LONGEST_PERIOD, len(words) // 2) + 1):
        if all(word == said[place % period] for place, word in enumerate(said)):
            return plain.part(0, words[period - 1].end())
    return plain


def main_clause(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the option of the one sentence's main clause, or of its last one where that restates the question.

    "Yellow-green, whereas its wings are green" and 虽然宣传维生素C,含量最高的是碳水化合物 name two, and settle on one.
    """
    spans = sentences(plain.text)
    if not spans or HEDGE.search(plain.text):
        return None
    first = plain.text[slice(*spans[0])].strip(" \t\r\n.!。,\"'")
    if len(spans) > 1 and (letter := option_named_by(first, options)):
        begin = plain.text.index(first)
        return found(letter, "first_sentence", plain, begin, begin + len(first))
    if len(spans) > 1:
        return None
    if (aside := _ASIDE.search(plain.text)) and (mention := _only(plain.text, 0, aside.start(), options)):
        return found(mention.letter, "main_clause", plain, mention.start, mention.end)
    ends = [match.end() for match in _CLAUSE_END.finditer(plain.text.rstrip(" .。"))]
    asked = content(question or "") - {word for option in options.values() for word in content(option)}
    if ends and coverage(asked, plain.text[ends[-1] :]) >= _LEAST:
        mention = _only(plain.text, ends[-1], len(plain.text), options)
        return found(mention.letter, "main_clause", plain, mention.start, mention.end) if mention else None
    return None


def missing(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the one option that a text denies while it names all others, where the question asks what is missing."""
    if not _ASKS_MISSING.search(question or ""):
        return None
    named = {mention.letter for mention in options_in(plain.text, options)}
    everything = options_in(plain.text, options, rejected=True)
    denied = [mention for mention in everything if mention.letter not in named]
    if len({mention.letter for mention in denied}) != 1 or len(named) != len(options) - 1:
        return None
    return found(denied[0].letter, "eliminated", plain, denied[0].start, denied[0].end)


def by_place(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return the option that the last sentence names by its place: "the second one is right"."""
    spans = sentences(plain.text)
    if not spans or any(_ORDINAL.search(f"the {option}") for option in options.values()):
        return None
    start, end = spans[-1]
    aside = _ASIDE.search(plain.text, start, end)
    end = aside.start() if aside else end
    said = list(_ORDINAL.finditer(plain.text, start, end))
    if len(said) != 1 or _DENIED.search(plain.text[start:end]) or HEDGE.search(plain.text[start:end]):
        return None
    place = _ORDINALS[(said[0]["word"] or said[0]["zh"]).lower()]
    letters = sorted(options)
    return found(letters[place], "by_place", plain, *said[0].span()) if place < len(letters) else None


def _only(text: str, start: int, end: int, options: Mapping[str, str]) -> Mention | None:
    mentions = options_in(text[start:end], options)
    if len({mention.letter for mention in mentions}) != 1:
        return None
    return Mention(mentions[0].letter, mentions[0].start + start, mentions[0].end + start)
