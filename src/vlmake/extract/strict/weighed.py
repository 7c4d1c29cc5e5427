"""Which of several options a text settles on: that of its main clause, what is missing, one named by its place."""

import re
from collections.abc import Iterator, Mapping

from vlmake.extract.answer import Extraction
from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.discourse import CONCLUDES, HEDGE, sentences
from vlmake.extract.strict.letters import letters_outside
from vlmake.extract.strict.options import Mention, option_core, option_named_by, options_in
from vlmake.extract.strict.overlap import content, coverage
from vlmake.extract.strict.sentences import SUBORDINATE, is_negated
from vlmake.extract.strict.withheld import TURN

_ASIDE = re.compile(
    r"(?:,?\s+(?:although|though|while|whereas|unlike|instead\s+of|rather\s+than|as\s+opposed\s+to"
    r"|(?:as\s+)?compared\s+(?:to|with)"
    r"|neither\s+of\s+which|none\s+of\s+which|even\s+though|because|since)|,\s+as\s+(?=the|it|there|this|its))\b"
)
_CLAUSE_END = re.compile(r"[,;。]\s*")
_ENDS_SO = re.compile(r"[,;]\s*(?:(?:应该?|即|就)?[为是]|即|属于|称为)(?P<said>[^,;。]{1,24})[。.!]?\s*$")
_ASKS_MISSING = re.compile(
    r"\bmissing\b|\babsent\b|\black(?:s|ing)?\b|\bnot\s+(?:on|in|at|shown|visible|present|included|there"
    r"|depicted)\b|缺少|没有出现|不在",
    re.I,
)
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1} | {
    "一": 0, "二": 1, "三": 2, "四": 3, "五": 4
}  # fmt: skip
_ORDINAL = re.compile(
    r"\bthe\s+(?P<word>first|second|third|fourth|fifth|last)\s+(?:one|option|choice|answer|explanation|statement"
    r"|headline"
    r"|description|alternative|candidate)\b|第(?P<zh>[一二三四五])(?:个|项|种)?(?:选项|说法|答案|描述|解释)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\bnot\b|n't\b|\bwrong\b|\bincorrect\b|\bfalse\b|不|错|\bbut\b|\bonly\s+partly\b",
    re.IGNORECASE,
)
_IS_NOT = re.compile(
    r"\b(?:it|this|that|he|she|they)(?:\s+(?:is|are|was|were)|'s|'re)(?:n't|\s+not)\b|^\W*not\b|不是", re.IGNORECASE
)
_CHANGES = re.compile(
    r"\b(?:originally|initially|at\s+first|then|later)\b|原本|本来|起初|后来|改为|改成", re.IGNORECASE
)
_LEAST = 0.4  # share of the question that a deciding clause names
_LONGEST_PERIOD = 12  # words that a text says over and over


def said_once(plain: Plain) -> Plain:
    """Return a text that says the same words over and over only once."""
    said = [word.strip(".,;") for word in plain.text[:4000].lower().split()]
    for period in range(1, min(_LONGEST_PERIOD, len(said) // 2) + 1):
        if said[period] == said[0] and all(word == said[place % period] for place, word in enumerate(said)):
            words = re.match(rf"(?:\s*\S+){{{period}}}", plain.text)
            return plain.part(0, words.end()) if words else plain
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
    for start, end in _main_parts(plain.text):
        if mention := _only(plain.text, start, end, options):
            return found(mention.letter, "main_clause", plain, mention.start, mention.end)
    if all(option_core(option)[:1].isdigit() for option in options.values()):
        return None  # the last of several figures is not yet their sum
    return _answering_clause(plain, options, question)


def _main_parts(text: str) -> Iterator[tuple[int, int]]:
    """Yield what stands before an aside ("…, although"), behind an opening one ("While …, "), in a final 为…."""
    aside = _ASIDE.search(text)
    if aside and not TURN.search(text, aside.end()):
        yield 0, aside.start()
    if opening := SUBORDINATE.match(text):
        yield opening.end(), len(text)
    if ends_so := _ENDS_SO.search(text):
        yield ends_so.span("said")


def _answering_clause(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the option of the one clause that restates the question, where no other clause restates it as well."""
    asked = content(question or "") - {word for option in options.values() for word in content(option)}
    text = plain.text.rstrip(" .。")
    ends = [match.end() for match in _CLAUSE_END.finditer(text)]
    if not ends or CONCLUDES.search(text) or _CHANGES.search(text):
        return None  # what it concludes says several options, or it tells how something changed
    clauses = list(zip([0, *ends], [*ends, len(text)], strict=True))
    scored = [
        (coverage(asked, text[start:end]), mention)
        for start, end in clauses
        if (mention := _only(text, start, end, options))
    ]
    best = max((score for score, _ in scored), default=0.0)
    said = [mention for score, mention in scored if score == best]
    if best < _LEAST or len({mention.letter for mention in said}) != 1:
        return None
    return found(said[0].letter, "main_clause", plain, said[0].start, said[0].end)


def missing(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the one option that a text denies while it names all others, where the question asks what is missing."""
    if not is_negated(question) and not _ASKS_MISSING.search(question or ""):
        return None
    said = options_in(plain.text, options)
    named = {mention.letter for mention in said}
    denied = [mention for mention in options_in(plain.text, options, rejected=True) if mention.letter not in named]
    if len({mention.letter for mention in denied}) != 1:
        return None
    asked = content(question or "") - {word for option in options.values() for word in content(option)}
    restates = not named and len(sentences(plain.text)) == 1 and coverage(asked, plain.text) >= _LEAST
    if len(named) != len(options) - 1 and not restates:
        return None
    return found(denied[0].letter, "eliminated", plain, denied[0].start, denied[0].end)


def eliminated(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return the option that is left where a text denies all others, by letter or by text, and says none."""
    mentions = options_in(plain.text, options)
    denied = [mention for mention in options_in(plain.text, options, rejected=True) if mention not in mentions]
    letters = {mention.letter for mention in denied} | {
        letter for named in letters_outside(plain.text, options) if named.rejected for letter in named.letters
    }
    left = set(options) - letters
    if len(left) != 1 or not denied or not {mention.letter for mention in mentions} <= left:
        return None
    if len(options) < 3 and not _IS_NOT.search(plain.text):
        return None  # "There is no cat" does not say that there is a dog
    return found(left.pop(), "eliminated", plain, denied[-1].start, denied[-1].end)


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
