"""Answers to questions that compare: "The dog is smaller than the cat" to "Which is bigger?", 最贵的是龙虾, totals."""

import re
from collections.abc import Mapping
from functools import lru_cache

from vlmake.extract.answer import Extraction, unresolved
from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.confidence import found
from vlmake.extract.strict.options import Mention, options_in
from vlmake.extract.strict.overlap import word_set

_OPPOSED = (  # words of one measure: more of it, less of it
    *(("big large great huge", "small little tiny"), ("tall high", "short low"), ("old", "young new")),
    *(("heavy", "light"), ("long", "short brief"), ("fast quick", "slow"), ("far distant", "near close")),
    *(("hot warm", "cold cool"), ("wide broad", "narrow"), ("thick fat", "thin slim"), ("bright light", "dark dim")),
    *(("deep", "shallow"), ("good", "bad"), ("strong", "weak"), ("rich", "poor"), ("late", "early")),
    *(("loud", "quiet"), ("hard", "soft"), ("many more", "few less"), ("expensive", "cheap"), ("high", "low")),
)
_MORE_ZH, _LESS_ZH = "高大重长多快远厚粗宽深热强贵新亮晚胖老", "矮小轻短少慢近薄细窄浅冷弱廉旧暗早瘦幼"
_OPPOSED_ZH = (
    *zip(_MORE_ZH, _LESS_ZH, strict=True),
    ("高", "低"),
    ("贵", "便宜"),
    ("年长", "年轻"),
    ("大老", "年轻小"),
)
_IRREGULAR = {
    "more": "more", "most": "more", "less": "less", "least": "less", "fewer": "few", "fewest": "few", "better": "good",
    "best": "good", "worse": "bad", "worst": "bad", "farther": "far", "further": "far", "farthest": "far",
    "furthest": "far", "elder": "old", "eldest": "old",
}  # fmt: skip
_DEGREE = r"(?:(?:more|less|most|least)\s+[a-z]{3,}|[a-z]{2,}(?:er|est)|more|less|most|least|better|best|worse|worst)"
_THAN = re.compile(rf"(?<![\w-])(?P<word>{_DEGREE})(?:\s+\w+){{0,4}}?\s+than\b", re.IGNORECASE)
_WORD_ZH = rf"(?P<word>[{_MORE_ZH}{_LESS_ZH}低]|便宜|年长|年轻)"
_THAN_ZH = re.compile(
    rf"比(?!较|例|赛)(?P<behind>[^,.;。\n]{{1,20}}?)(?:更|要|还|稍|略)?{_WORD_ZH}(?![\u4e00-\u9fff]{{2}})"
)
_ASKED = re.compile(rf"(?<![\w-])(?P<word>{_DEGREE})(?![\w-])", re.IGNORECASE)
_ASKED_ZH = re.compile(rf"(?:更|最|比较|谁|哪[^?？。]{{0,8}}?){_WORD_ZH}")
_NOT_MEASURES = word_set(
    "other another rather either neither whether after over under number letter order her per ever never picture corner"
)
_BEATS = re.compile(
    r"\b(?:beats?|defeat(?:s|ed)|won\s+against|outscored|overcame|knocked\s+out|(?P<loses>los(?:es|t)\s+to))\b"
    r"|战胜了?|击败了?|打败了?|(?P<loses_zh>输给了?|不敌)",
    re.IGNORECASE,
)
_LOSER = re.compile(r"\b(?:los(?:t|es?|ing|ers?)|defeated|beaten)\b|输", re.IGNORECASE)
_WINNER = re.compile(r"\b(?:won|wins?|winning|winners?)\b|赢|获胜|胜利", re.IGNORECASE)
_DENIED = re.compile(r"\bnot?\b|n't\b|\bnever\b|不|没", re.IGNORECASE)
_TOTAL_BEHIND = re.compile(
    r"\b(?:in\s+total|altogether|in\s+all|combined|all\s+together|total(?=\s*(?:[.,;)]|$)))(?!\w)",
    re.IGNORECASE,
)
_TOTAL_BEFORE = re.compile(
    r"\btotal(?:\s+(?:number|count|amount|sum|of|for|the|is|are|comes?\s+to|[a-z]+)){0,5}?\s*(?:is|are|of|=|:|to)\s*"
    r"|\bmak(?:es?|ing)\s+(?:it\s+|a\s+total\s+of\s+)?(?=\w)|\b(?:adds?|adding)\s+up\s+to\s+|\bsum\s+(?:is|of)\s+"
    r"|(?:总共|一共|共计|合计|总计|总数|加起来|共)(?:有|是|为|:)?\s*",
    re.IGNORECASE,
)
_SUBJECT = re.compile(  # what is said of the one that is asked for
    r"(?:which|what|who)\b(?:\s+(?:of\s+(?:the|these|those)\s+)?(?!is\b|are\b|was\b|does\b|has\b|can\b)\w+){0,4}?"
    r"\s+(?P<said>(?:is|are|was|were|has|have|can|will|does|did|do|leads?|wins?|won|lost)\b[^?]{0,60})\?\s*$",
    re.IGNORECASE,
)
_ASKED_VALUE = re.compile(r"(?P<noun>(?:(?!的)[\u4e00-\u9fff]){2,5})(?:[是为]|等于)(?:多少|什么|几)")
_SUPERLATIVE = re.compile(r"最[\u4e00-\u9fff]{1,2}|\b(?:most|least)\s+[a-z]+|\b[a-z]{2,}est\b", re.IGNORECASE)
_AND = re.compile(r"\band\b|&|和|与", re.IGNORECASE)
_STOPS = re.compile(r"[,.;。\n(]")
_CLAUSE = 120  # characters of a clause on either side of its comparison
_SHARE_OF = re.compile(r"\bof\s+(?:the\s+|all\s+|these\s+)?$", re.IGNORECASE)
_NEAR = 32  # characters between a number and the words that make it a total


def compared(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the option that a comparison favours; unresolved where it compares by something that was not asked."""
    if not question or not _measured(question):
        return None
    votes: list[Mention | None] = []
    for pattern in (_THAN, _THAN_ZH, _BEATS):
        for match in pattern.finditer(plain.text):
            begin, stop = _clause(plain.text, *match.span())
            before = _only(plain.text, begin, match.start(), options)
            place = match.span("behind") if pattern is _THAN_ZH else (match.end(), stop)
            behind = _only(plain.text, *place, options)
            if not before or not behind or before.letter == behind.letter:
                continue
            if _DENIED.search(plain.text, begin, match.start()):
                continue
            direction = _outcome(match, question) if pattern is _BEATS else _direction(match["word"], question)
            votes.append({1: before, -1: behind}.get(direction))
    if not votes:
        return None
    if None in votes or len({vote.letter for vote in votes if vote}) != 1:
        return unresolved("several_options") if len(options) == 2 else None
    vote = votes[-1]
    return found(vote.letter, "restated", plain, vote.start, vote.end) if vote else None


def superlative(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the option behind the question's own superlative: "the most expensive is the lobster", 最贵的是龙虾."""
    for word in _SUPERLATIVE.findall(question or ""):
        said_so = rf"{re.escape(word)}[^,.;。\n]{{0,30}}?(?:\bis|\bare|\bwas|[是为:])\s*"
        for match in re.finditer(said_so, plain.text, re.IGNORECASE):
            end = _STOPS.search(plain.text, match.end())
            stop = end.start() if end else len(plain.text)
            if (said := _only(plain.text, match.end(), stop, options)) and not _DENIED.search(match[0]):
                return found(said.letter, "restated", plain, said.start, said.end)
    return None


def valued(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the option right behind the question's own noun: 最小值-1 to 最小值是多少."""
    asked = _ASKED_VALUE.search(question or "")
    if not asked:
        return None
    mentions = options_in(plain.text, options)
    behind = [match.end() for match in re.finditer(rf"{asked['noun']}(?:约?[是为]|等于|=|:)?\s*", plain.text)]
    said = [mention for mention in mentions if mention.start in behind]
    if len({mention.letter for mention in said}) != 1:
        return None
    return found(said[-1].letter, "restated", plain, said[-1].start, said[-1].end)


def subject(plain: Plain, options: Mapping[str, str], question: str | None) -> Extraction | None:
    """Return the option of which a text says what is asked: "The van is leading the bus" to "Which is leading?"."""
    asked = _SUBJECT.match(question or "")
    if not asked:
        return None
    said: list[Mention] = []
    for match in re.finditer(rf"(?<!\w){re.escape(asked['said'].strip())}(?!\w)", plain.text, re.IGNORECASE):
        begin = _clause(plain.text, *match.span())[0]
        before = options_in(plain.text[begin : match.start()], options, rejected=True)
        if before and not plain.text[begin + before[-1].end : match.start()].strip():
            if len(before) > 1 and _AND.search(plain.text, begin + before[-2].end, begin + before[-1].start):
                return unresolved("several_options")
            said.append(Mention(before[-1].letter, begin + before[-1].start, begin + before[-1].end))
    if len({mention.letter for mention in said}) != 1:
        return None
    return found(said[-1].letter, "restated", plain, said[-1].start, said[-1].end)


def total(plain: Plain, options: Mapping[str, str]) -> Extraction | None:
    """Return the option that a text gives as the total of several numbers, where options are numbers."""
    text = plain.text
    if not all(any(map(str.isdigit, option)) or " " not in option.strip() for option in options.values()):
        return None
    mentions = options_in(text, options)
    if len({mention.letter for mention in mentions}) < 2:
        return None
    totals: list[Mention] = []
    for match in _TOTAL_BEHIND.finditer(text):
        before = [mention for mention in mentions if mention.end <= match.start() <= mention.end + _NEAR]
        if (
            before
            and not _SHARE_OF.search(text[: before[-1].start])
            and not re.search(r"[\d.;。]", text[before[-1].end : match.start()])
        ):
            totals.append(before[-1])
    for match in _TOTAL_BEFORE.finditer(text):
        totals += [mention for mention in mentions if mention.start == match.end()][:1]
    if len({mention.letter for mention in totals}) != 1 or mentions[-1].letter != totals[-1].letter:
        return None  # a text that goes on from its total is not done with it
    return found(totals[-1].letter, "concluded", plain, totals[-1].start, totals[-1].end)


def _only(text: str, start: int, end: int, options: Mapping[str, str]) -> Mention | None:
    mentions = options_in(text[start:end], options, rejected=True)
    if len({mention.letter for mention in mentions}) != 1:
        return None
    return Mention(mentions[0].letter, mentions[0].start + start, mentions[0].end + start)


def _clause(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where the clause around a place begins and ends."""
    begin = max(text.rfind(sign, max(0, start - _CLAUSE), start) for sign in ",.;。\n") + 1
    stop = _STOPS.search(text, end, end + _CLAUSE)
    return max(begin, start - _CLAUSE), stop.start() if stop else min(len(text), end + _CLAUSE)


def _direction(word: str, question: str) -> int:
    """Return 1 where a comparison is the one that is asked, -1 where it is its contrary, 0 else."""
    said = _measures(word)
    for asked in _measured(question):
        if asked == said:
            return 1
        signs = {sign * other for measure, sign in said for known, other in asked if measure == known}
        if len(signs) == 1:
            return signs.pop()
    return 0


def _outcome(match: re.Match[str], question: str) -> int:
    """Return 1 where the one named before "beat" is asked for, -1 where the one behind it is, 0 else."""
    asked = -1 if _LOSER.search(question) else 1 if _WINNER.search(question) else 0
    return -asked if match["loses"] or match["loses_zh"] else asked


def _measured(question: str) -> list[frozenset[tuple[str, int]]]:
    """Return the measures by which a question compares."""
    if _LOSER.search(question) or _WINNER.search(question):
        return [frozenset()]
    words = [match["word"] for match in (*_ASKED.finditer(question), *_ASKED_ZH.finditer(question))]
    return [_measures(word) for word in words if word.lower() not in _NOT_MEASURES and _measures(word)]


@lru_cache(maxsize=1024)
def _measures(word: str) -> frozenset[tuple[str, int]]:
    """Return (measure, 1 for more of it or -1 for less) of a comparative; several where it has several meanings."""
    parts = word.lower().split()
    sign = -1 if len(parts) == 2 and parts[0] in ("less", "least") else 1
    bases = _bases(parts[-1]) if len(parts) == 1 else {parts[1]}
    pairs = _OPPOSED if word.isascii() else _OPPOSED_ZH
    known = {
        (pair[0], sign * side)
        for pair in pairs
        for side, words in ((1, pair[0]), (-1, pair[1]))
        if bases & set(words.split()) or (not word.isascii() and word in words)
    }
    if not known and len(parts) == 2:
        known = {(parts[1], sign)}
    return frozenset(known)


def _bases(word: str) -> set[str]:
    if word in _IRREGULAR:
        return {_IRREGULAR[word]}
    stem = word.removesuffix("est") if word.endswith("est") else word.removesuffix("er")
    doubled = stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] else stem
    return {stem, f"{stem}e", doubled, f"{stem[:-1]}y" if stem.endswith("i") else stem}
