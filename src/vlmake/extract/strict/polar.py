"""Answers to yes-or-no questions that use no such word: counts, one word of the question, "I can't see any"."""

import re

from vlmake.extract.strict.overlap import content

_NUMERALS = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
}
_COUNT = r"(?:\d+|" + "|".join(_NUMERALS) + r")"
_ASKED_COUNT = re.compile(
    rf"^\W*(?:is|are|does|do|has|have|can)\b[^?]*?\b(?P<bound>more\s+than|over|at\s+least|fewer\s+than|less\s+than|under"
    rf"|at\s+most|exactly)?\s*(?<![\w.])(?P<count>{_COUNT})(?![\w.])\s+(?P<thing>[A-Za-z][A-Za-z-]+(?:\s+[A-Za-z][A-Za-z-]+)?)",
    re.IGNORECASE,
)
_STATED_COUNT = re.compile(
    rf"^\W*(?:(?:according\s+to|in|on|from)\s+the\s+[\w\s]{{2,30}},?\s+)?(?:there\s+(?:is|are)|I\s+(?:can\s+)?(?:only\s+)?(?:count|see)|(?:the\s+)?\w+\s+(?:has|have|shows|contains)|a\s+total\s+of)"
    rf"\s+(?:only\s+|exactly\s+|just\s+)?(?P<count>{_COUNT})(?![\w.,-])\s+(?P<phrase>[\w\s-]{{1,40}})",
    re.IGNORECASE,
)
_NOT_SEEN = re.compile(
    r"\bI\s+(?:can't|cannot|can\s+not|couldn't|don't|do\s+not|did\s+not|didn't)\s+(?:actually\s+)?(?:see|spot|find|make\s+out"
    r"|detect|notice)\s+(?:any|an?)\s+(?P<thing>[^,.;\n]{2,60})"
    r"|(?:^|[.;,]\s+)(?:an?|any|no)\s+(?P<what>[\w\s-]{2,30}?)\s+(?:cannot|can't|can\s+not|is\s+not\s+to)\s+be\s+(?:seen|found|spotted)\b",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"\b(?P<first>\w{1,8})\s+(?:for|means|=)\s+(?P<one>yes|no)\b[\s,;]*(?:and|or)?\s*(?P<second>\w{1,8})\s+(?:for|means|=)\s+(?:yes|no)\b",
    re.IGNORECASE,
)
LISTED = re.compile(r"(?<!\w)\(?(?P<letter>[A-Z])[).:、]\s*(?P<word>yes|no)\b", re.IGNORECASE)
RELATED = re.compile(
    r"\b(?P<relation>on\s+top\s+of|on\s+the\s+(?:left|right)(?:-hand)?(?:\s+side)?\s+of|in\s+front\s+of|next\s+to|(?:to\s+the\s+)?(?:left|right)\s+of|on|in|under|underneath"
    r"|beneath|below|above|over|behind|beside|near|inside|outside|between)\s+(?:the|a|an|his|her|its|their)\s+(?P<place>[a-z]+)\b",
    re.IGNORECASE,
)
THAN = re.compile(r"\bthan\b|比(?!较|例|赛)", re.IGNORECASE)
_ALIKE = ({"on", "on top of"}, {"under", "underneath", "beneath", "below"}, {"above", "over"}, {"in", "inside"},
          {"next to", "beside", "near"})  # fmt: skip


def counted(sentence: str, question: str) -> str | None:
    """Return Yes or No where a sentence counts what the question compares: "I count seven candles"."""
    asked, stated = _ASKED_COUNT.match(question), _STATED_COUNT.match(sentence)
    if not asked or not stated or not content(asked["thing"].split()[0]) & content(stated["phrase"]):
        return None
    if re.search(rf"(?<![\w.]){_COUNT}(?![\w.])", sentence[stated.end("count") :], re.IGNORECASE):
        return None
    wanted, said = _number(asked["count"]), _number(stated["count"])
    bound = " ".join((asked["bound"] or "").lower().split())
    holds = {
        "more than": said > wanted,
        "over": said > wanted,
        "at least": said >= wanted,
        "fewer than": said < wanted,
        "less than": said < wanted,
        "under": said < wanted,
        "at most": said <= wanted,
    }.get(bound, said == wanted)
    return "Yes" if holds else "No"


def not_seen(text: str, words: frozenset[str]) -> re.Match[str] | None:
    """Return where a text says that what is asked for (its words) is not to be seen."""
    match = _NOT_SEEN.search(text)
    if not match or not words:
        return None
    thing = content(match["thing"] or match["what"])
    return match if thing & words and len(thing & words) * 2 >= min(len(thing), len(words)) else None


def coded(text: str, question: str) -> str | None:
    """Return what a code of the question stands for: "Reply with 1 for yes or 0 for no", "A. Yes B. No"."""
    listed = {match["letter"].upper(): match["word"].title() for match in LISTED.finditer(question)}
    if len(set(listed.values())) == 2:
        return listed.get(text.strip(" .()[]:\"'").upper())
    key = _KEY.search(question)
    said = text.strip(" .\"'").lower()
    if not key or said not in (key["first"].lower(), key["second"].lower()):
        return None
    first = key["one"].title()
    return first if said == key["first"].lower() else {"Yes": "No", "No": "Yes"}[first]


def placed_elsewhere(sentence: str, question: str) -> bool:
    """Return whether a sentence places a thing otherwise than the question: under the table, not on it."""
    asked = {match["place"].lower(): _relation(match) for match in RELATED.finditer(question)}
    said = {match["place"].lower(): _relation(match) for match in RELATED.finditer(sentence)}
    return any(
        place in said and said[place] != relation and not any({relation, said[place]} <= group for group in _ALIKE)
        for place, relation in asked.items()
    )


def swapped(sentence: str, question: str) -> bool:
    """Return whether a sentence compares the other way round: "B is larger than A" to "Is A larger than B?"."""
    parts, said = THAN.split(question, maxsplit=1), THAN.split(sentence, maxsplit=1)
    if len(parts) != 2 or len(said) != 2:
        return False
    before, behind = content(parts[0]) - content(parts[1]), content(parts[1]) - content(parts[0])
    said_before, said_behind = content(said[0]) - content(said[1]), content(said[1]) - content(said[0])
    return bool(behind & said_before) and bool(before & said_behind)


def _relation(match: re.Match[str]) -> str:
    side = re.search("left|right", match["relation"], re.IGNORECASE)
    return f"to the {side[0].lower()} of" if side else " ".join(match["relation"].lower().split())


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _NUMERALS[text.lower()]
