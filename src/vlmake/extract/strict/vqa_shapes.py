"""What an open answer looks like: bare, a sentence, cut off, several answers, or none at all."""

import re

from vlmake.extract.strict.clean import Plain, stripped
from vlmake.extract.strict.discourse import breaks_off, sentences
from vlmake.extract.strict.frames import ASKS_SUBJECT
from vlmake.extract.strict.overlap import content

VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|could|will|would|should|does|do|did|shows?|reads?|says?|seems?"
    r"|appears?|stands?|contains?|looks?|gives?|lies|holds?|wears?|displays|indicates|weighs|measures)\b",
    re.IGNORECASE,
)
SENTENCE_LIKE = re.compile(
    VERB.pattern + r"|^\W*(?:it|this|that|he|she|they)\s|\b(?:wrote|painted)\s(?:it|this)|\b\w+'s\s|="
    r"|\b(?:costs?|means|measures|weighs|opens|closes|starts|won|count|called|made|labell?ed|points?)\b|[是为叫在有写做示]|^\W*[他她它]们?[^,。]{0,8}[着了]",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"\W*(?:\d+[.)]\s|sure|okay|ok\b|certainly|of\s+course|let(?:'s|\s)|here|to\s|looking|first|based|step|yes\b"
    r"|no\b|great|thanks|hello|当然|好的|首先|解)",
    re.IGNORECASE,
)
_LAST_LETTER = 0x1F000  # pictograms begin here
_REPEATED = 2  # characters of a question that no bare answer repeats
IS_SENTENCE = re.compile(
    r"\W*(?:it|he|she|they|there|this|that|these|those|the|a|an|i|we|in|on|from|by|his|her|their)\b[^\n]*\s(?:is"
    r"|are|was|were|has|have|had|can|could|will|would|does|do"
    r"|did|shows?|reads?|says?|seems?|appears?|contains?|looks?|costs?|means|see|think|believe)\b"
    r"|\W*(?:it's|that's|there's|he's|she's|i'm|i've)\b|(?:图中|图片中|这|那|他|她"
    r"|它)[\u4e00-\u9fff]{0,12}[是有在为]",
    re.IGNORECASE,
)
ASKS_TEXT = re.compile(r"\b(?:says?|reads?|written|write|text|words?|slogan|headline|quote)\b|写|文字", re.IGNORECASE)
WH = re.compile(r"\b(?:what|which|who|where|when|how|why)\b|什么|哪|谁|多少|几", re.IGNORECASE)
_TITLED = re.compile(r"\b(?:title|name|called|book|song|film|movie)\b", re.IGNORECASE)
_NOTHING_SAID = re.compile(
    r"\W*(?:(?:let's|let\s+(?:me|us))\s[^.\n]*|(?:sure|okay|certainly)?[,!]?\s*(?:I\s+can|I'd\s+be|I\s+will"
    r"|I'll)\s+(?:\w+\s+){0,3}help[^.\n]*"
    r"|(?:here\s+(?:is|are)|this\s+is)\s+(?:the|my|your)\s+(?:final\s+)?(?:answer|response|result)|(?:please"
    r"|could\s+you|can\s+you)\s[^\n]*|as\s+(?:shown|seen|you\s+can\s+see)[^,.\n]*"
    r"|see\s+(?:above|below|image)|possible\s+answers?\b[^\n]*|(?:the\s+)?(?:final\s+)?answer(?:\s+is)?"
    r"|there\s+(?:is|are)\s+no\s[^\n]*|答案|好的|让我们?[^。\n]*|从图中可以看出)\W*",
    re.IGNORECASE,
)
_SENTENCE_WORDS = 8  # words from which on a text with a verb is a sentence and no bare answer
_FIRST_WORDS = 7  # words of an answer that stands before its explanation


def repeats(text: str, question: str) -> bool:
    """Return whether an English text repeats enough of its question to be a sentence about it."""
    shared = len(content(text) & content(question))
    return shared >= _REPEATED or (
        shared == 1 and len(text.split()) > _REPEATED and ASKS_SUBJECT.search(question) is not None
    )


def says_chinese(text: str, question: str) -> bool:
    """Return whether a Chinese text repeats enough of its question to be a sentence about it."""
    return sum("\u4e00" <= word <= "\u9fff" for word in content(text) & content(question)) >= _REPEATED


def said_once(plain: Plain) -> Plain | None:
    """Return the one sentence that a text says over and over, the last time perhaps cut off."""
    spans = sentences(plain.text)
    said = [plain.text[start:end].strip() for start, end in spans]
    if len(said) < 2 or any(other != said[0] for other in said[1:-1]) or not said[0].startswith(said[-1]):
        return None
    return stripped(plain.part(*spans[0]))


def is_short(text: str) -> bool:
    """Return whether a text is short enough to be a bare answer, or a sentence that gives one."""
    words = len(text.split())
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in text)
    return ("\n" not in text.strip() and (words < _SENTENCE_WORDS and han <= 14)) or (
        not VERB.search(text) and words <= 20 and han <= 4
    )


def is_bare(first: str) -> bool:
    """Return whether a first sentence is an answer on its own: a few words and no verb."""
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in first)
    return (
        len(first.split()) <= _FIRST_WORDS
        and not _NO_ANSWER.match(first)
        and not IS_SENTENCE.match(first)
        and not VERB.search(first)
        and han <= 8
        and not re.search(r"[是为]|:(?=\s|$)", first)
    )


def says_nothing(text: str, question: str) -> str | None:
    """Return why a text is no answer to the question: it announces one, denies one, or names several."""
    if _NOTHING_SAID.fullmatch(text) or (
        not any(map(str.isalnum, text)) and (len(text) > 2 or ord(text[0]) > _LAST_LETTER)
    ):
        return "no_answer"
    if re.fullmatch(r"\W*(?:yes|no|not\s[\w\s]{1,30})\W*", text, re.IGNORECASE) and WH.search(question):
        return "no_answer"
    if (
        re.fullmatch(r"\W*(?:the|an?|it|this|that|is|are|of|and|in|on|to|there|图中|这|的|是)\W*", text, re.IGNORECASE)
        and text != "A"
        and not ASKS_TEXT.search(question)
    ):
        return "no_answer"
    titled = ASKS_TEXT.search(question) or _TITLED.search(question) or re.search(r"\bor\b", question)
    if (
        not titled
        and len(text.split()) <= _FIRST_WORDS
        and re.search(r"\S\s+or\s+\S|\d\s*(?:或者?|还是)\s*\d|\bmaybe\b[^,]*,\s*(?:or\s+)?maybe\b", text, re.IGNORECASE)
    ):
        return "several_answers"
    return None


def is_cut(text: str, spans: list[tuple[int, int]]) -> bool:
    """Return whether a text stops in the middle of a sentence; a list of words has no verb, and need not end."""
    if breaks_off(text):
        han = sum("\u4e00" <= letter <= "\u9fff" for letter in text)
        return VERB.search(text) is not None or han >= 12 or text.rstrip()[-1] in "+=×("
    return len(spans) == 1 and _unfinished(text)


def _unfinished(text: str) -> bool:
    return (
        re.search(r"(?:\b(?:is|are|was|reads|says|the|a|of|to)|[是为])\s*$", text) is not None
        and len(text.split()) + (not text.isascii()) * 5 > 3
    )
