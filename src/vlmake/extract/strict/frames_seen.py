"""The thing that a sentence says is there, or its maker, reason or value: "I can see Fanta on the shelf"."""

import re

from vlmake.extract.strict.clean import Plain, stripped
from vlmake.extract.strict.overlap import content, stem

_SEEN = re.compile(
    r"^\W*(?:(?:I|we|you|one)\s+(?:can\s+)?(?:also\s+)?see|there(?:'s|\s+is|\s+are))\s+(?P<what>[^,;.]+)[.\s]*$",
    re.IGNORECASE,
)
_PLACED = re.compile(
    r"^\W*(?P<place>(?:next\s+to|in\s+front\s+of|on|in|under|behind|beside|above|below|near|inside|between|at|to\s+the\s+(?:left|right)\s+of)\s[^,.]{2,50}?),?\s+"
    r"(?:there(?:'s|\s+is|\s+are)|(?:I|we|you)\s+(?:can\s+)?see|sits|stands|lies|is|are)\s+(?P<what>[^,;.]+)[.\s]*$",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"\s+(?:on|in|at|under|behind|beside|next\s+to|near|above|below|inside|in\s+front\s+of|to\s+the\s+(?:left|right)\s+of)\s+(?:the|this|that|his|her|their|its)\s+[\w\s'-]+$",
    re.IGNORECASE,
)
_ASKS_THING = re.compile(
    r"^\W*(?:what|which|who)\b(?!\s+(?:colou?r|time|year|size|shape|number|is\s+the\s+(?:colou?r|name|title|price|number|time|date))\b)",
    re.IGNORECASE,
)
_STATES = re.compile(r"\b(?:is|are|was|were|that|which|who|not|no|several|some\s+kind)\b", re.IGNORECASE)
_MADE_BY = re.compile(
    r"^\W*(?i:it|this|they|(?:the|this)\s+(?:document|letter|image|book|product|invoice|receipt|logo|sign|label|ad|memo|report|bottle|device|packaging|form))"
    r"(?:'s|\s+(?:is|was|comes?|came|are))\s+(?:(?:made|written|produced|published|issued|sent|signed|manufactured|created|painted)\s+)?(?:from|by)\s+"
    r"(?P<who>(?:the\s+)?[A-Z][^,;]{1,50}?)[.\s]*$"
)
_ASKS_MAKER = re.compile(
    r"\b(?:who|whose|company|brand|manufacturer|author|publisher|organi[sz]ation|university|school|artist|maker|airline|bank|store|sender)\b",
    re.IGNORECASE,
)
_WRITTEN = re.compile(
    r"^\W*(?P<what>(?!The\b|It\b|This\b|That\b|There\b|A\b|An\b)[A-Z0-9][^\",.;]{1,40}?)\"?\s+(?:is|are)\s+(?:clearly\s+)?"
    r"(?:written|printed|displayed|painted|engraved)\b"
)
_ASKS_NAME = re.compile(r"\b(?:name|title|brand|written|word|words|text|logo|says?)\b", re.IGNORECASE)
_ASKS_WHY = re.compile(r"^\W*why\b", re.IGNORECASE)
_REASON = re.compile(r"\s(?=(?:because|due\s+to|in\s+order\s+to|for|so\s+that|since)\s)", re.IGNORECASE)
_VALUE_OF = re.compile(
    r"\b(?:an?|the|with|has|have)\s+(?P<kind>(?:[\w-]+\s+){1,4}?)of\s+(?P<value>[$€£¥]?\d[\d.,:]*(?:\s?[A-Za-z%°/²³]{1,10})?)[.\s]*$",
    re.IGNORECASE,
)
_KNOWN_OBJECT = re.compile(r"(?:the|an?)\s+(?P<object>[\w-]+)\s+(?:with|using)\s+(?P<rest>\S.*)", re.IGNORECASE)
_ENDS_WITH = re.compile(r"\bwith\W*$", re.IGNORECASE)
_FEW = 7  # words of a thing


def thing_seen(sentence: Plain, question: str) -> Plain | None:
    """Return what a sentence says is where the question asks, without the place that both name; None where unsure."""
    if not _ASKS_THING.match(question):
        return None
    asked = content(question)
    placed = _PLACED.match(sentence.text)
    if placed and not content(placed["place"]) <= asked:
        return None
    match = placed or _SEEN.match(sentence.text)
    if not match:
        return None
    what = sentence.part(*match.span("what"))
    tail = _TAIL.search(what.text)
    if tail and not content(tail[0]) <= asked:
        return None
    if not placed and not tail:
        return None
    what = stripped(what.part(0, tail.start()) if tail else what, " \t\r\n.\"'")
    return what if what.text and len(what.text.split()) <= _FEW and not _STATES.search(what.text) else None


def maker_named(sentence: Plain, question: str) -> Plain | None:
    """Return whom a thing is from: "The document is from Acme Corp." where the company is asked for."""
    match = _MADE_BY.match(sentence.text) if _ASKS_MAKER.search(question) else None
    return sentence.part(*match.span("who")) if match else None


def reason_given(sentence: Plain, question: str) -> Plain | None:
    """Return the reason behind a sentence that else repeats its question: "He wears a helmet for safety"."""
    match = _REASON.search(sentence.text) if _ASKS_WHY.match(question) else None
    if not match or not content(sentence.text[: match.start()]) <= content(question):
        return None
    reason = re.split(r"\s(?:while|whereas)\s", sentence.text[match.end() :])[0]
    return stripped(sentence.part(match.end(), match.end() + len(reason)), " \t\r\n.")


def name_written(sentence: Plain, question: str) -> Plain | None:
    """Return the name of "Hotel Bellevue is written above the entrance"."""
    match = _WRITTEN.match(sentence.text) if _ASKS_NAME.search(question) else None
    return sentence.part(*match.span("what")) if match else None


def value_of(sentence: Plain, question: str) -> Plain | None:
    """Return the value of "a speed limit of 30 mph", where the question asks for the speed limit."""
    if name := name_written(sentence, question):
        return name
    match = _VALUE_OF.search(sentence.text)
    if not match or not content(match["kind"]) or not content(match["kind"]) <= content(question):
        return None
    return sentence.part(*match.span("value"))


def category(question: str) -> frozenset[str]:
    """Return the kind of thing that "which city", "what animal" asks for; an answer need not name it."""
    kind = re.match(
        r"\W*(?:which|what)\s+(?!is\b|are\b|was\b|were\b|do\b|does\b|did\b|of\b)([A-Za-z]+)", question, re.IGNORECASE
    )
    return content(kind[1]) if kind else frozenset()


def done_with(text: str, question: str) -> re.Match[str] | None:
    """Return a match whose rest is "his left foot" where a question asks what the ball was kicked with."""
    known = _KNOWN_OBJECT.match(text)
    if not known or stem(known["object"]) not in content(question):
        return None
    asked = {stem(word) for word in known["rest"].split()} & category(question) or _ENDS_WITH.search(question)
    return known if asked else None


def names_kind(word: str, question: str) -> bool:
    """Return whether a word is the kind of number asked for: room in "what is the room number", "which room"."""
    kind = re.escape(word)
    return (
        re.search(rf"\b(?:{kind}\s+number|(?:which|what)\s+{kind}|number\s+of\s+the\s+{kind})\b", question, re.I)
        is not None
    )
