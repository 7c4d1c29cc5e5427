"""Whether what was cut from a sentence answers another question than the one that was asked."""

import re

from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.doubt import clause_around, miscounted, opposed
from vlmake.extract.strict.figures import YEAR
from vlmake.extract.strict.overlap import content, stem

_ASKS_WHAT = re.compile(r"\W*(?:what|which|who)\b", re.IGNORECASE)
_ASKS_PLACE = re.compile(
    r"\b(?:where|how|doing|why|position|location|side|relation\w*|direction|(?:in|on|at)\s+what)\b", re.IGNORECASE
)
_BESIDE = re.compile(
    r"(?:(?:standing|sitting|lying|walking|located|placed|parked|seated|passing|looking)\s+)?"
    r"(?:next\s+to|near|behind|beside|in\s+front\s+of|under|above|below|the\s+\w+\s+to)\b",
    re.IGNORECASE,
)
_OBJECT_FIRST = re.compile(
    r"(?:the|an?|his|her|its|their)\s+(?P<object>[\w-]+)\s+(?:with|to|from|by|using|into|onto|in|on|at)\s",
    re.IGNORECASE,
)
_ASKS_THE = re.compile(r"\W*(?:what|which)\s+(?:is|are)\s+the\b", re.IGNORECASE)
_A_THING = re.compile(r"(?:the|an?)\s", re.IGNORECASE)
_FORMULA = re.compile(r"\b(?:formula|theorem|area\s+of|rule)\b|公式|定理", re.IGNORECASE)
_ASKS_FORMULA = re.compile(r"\b(?:formula|theorem|equation|rule)\b|公式|定理|方程", re.IGNORECASE)
_ORDINAL_ZH = re.compile("第([一二三四五六七八九十])")
_DONE = re.compile(
    r"\b(?P<done>written\s+by|painted\s+by|directed\s+by|located\s+(?:at|in|on)|situated\s+(?:at|in|on)|written\s+in|printed\s+in"
    r"|made\s+of)\s+(?:the\s+|an?\s+)?$",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(r"\b(?:title|name|brand|written|what\s+is\s+(?:on|in|behind|under))\b", re.IGNORECASE)
_ASKS_MAKER = re.compile(r"\b(?:author|artist|writer|director|who|whose|maker|material|language)\b", re.IGNORECASE)
_KIND = re.compile(r"\W*(?:what|which)\s+(?!is\b|are\b|was\b|were\b|does\b|can\b)([a-z]+)", re.IGNORECASE)
_LEAD = re.compile(r"^.*(?:[,;]\s|\bso\s)")
_SUBJECT = re.compile(
    r"\W*(?:the|his|her|their|an?)\s+[\w\s'-]+?\s(?:is|are|was|were|has|have|costs?)\b", re.IGNORECASE
)
_DOES = re.compile(
    r"(?:sitting|lying|standing|walking|talking|looking|running|wearing|playing|holding|waiting|smiling)\b",
    re.IGNORECASE,
)
_ASKS_DEED = re.compile(
    r"\b(?:do|does|did|doing|happening|activity|action|how|where|position|pose|posture)\b|\b(?:what\s+is\s+(?:\w+|the\s+\w+)\s*\?)",
    re.IGNORECASE,
)
_ASKS_BESIDE = re.compile(
    r"\W*what\s+(?:is|are)\s+(?:behind|beside|next\s+to|in\s+front\s+of|under|above|below|on|to\s+the\s+(?:left|right)\s+of)\s+the\s+"
    r"(?P<thing>[a-z]+)",
    re.IGNORECASE,
)
_PLACED = re.compile(r"\b(?:is|are|was|were)\s+(?:\w+\s+)?(?:in|on|at)\s+$", re.IGNORECASE)
_COLOURS = re.compile(r"(?:red|green|blue|yellow|black|white|gr[ae]y|brown|orange)(?:\s+and\s+\w+)?", re.IGNORECASE)
_ASKS_NAME_OR_KIND = re.compile(r"\b(?:breed|species|job|brand|title|says?|language|material)\b", re.IGNORECASE)
_BESIDE_ZH = re.compile("(?:旁边|附近)的")
_COUNT = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten)"
_ASKS_COUNT = re.compile(r"\bhow\s+many\b", re.IGNORECASE)
_NUMBER = re.compile(_COUNT, re.IGNORECASE)
_AND_MORE = re.compile(rf"[^.,:]*\band\s+(?:{_COUNT}|another)\s+(?:\w+\s+)?(?:is|are|was|were)\b", re.IGNORECASE)


def answers_another(part: Plain, sentence: Plain, question: str) -> bool:
    """Return whether a sentence says what it says of another thing, or the part is no answer of the kind asked for."""
    start = next((n for n, at in enumerate(sentence.places) if at == part.places[0]), 0)
    before, behind = sentence.text[:start], sentence.text[start + len(part.text) :]
    asked = content(question)
    return (
        opposed(clause_around(before, part.text, behind), asked, content(part.text))
        or _beside(part.text, question)
        or (_DOES.match(part.text) is not None and not _ASKS_DEED.search(question))
        or (_PLACED.search(before) is not None and _A_THING.match(part.text) is not None and not _asks_place(question))
        or (_COLOURS.fullmatch(part.text) is not None and _ASKS_NAME_OR_KIND.search(question) is not None)
        or _of_another_year(sentence.text, question)
        or miscounted(before, behind, question)
        or _of_what_stands_there(sentence.text, question)
        or (_BESIDE_ZH.search(sentence.text) is not None and not _BESIDE_ZH.search(question))
        or _begins_with_the_object(part.text, asked)
        or (not before.strip() and _ASKS_THE.match(question) is not None and _A_THING.match(part.text) is not None)
        or _of_another_subject(part.text, before, behind, question)
        or (_FORMULA.search(before) is not None and not _ASKS_FORMULA.search(question))
        or _of_another_place_in_line(before, question)
        or _made_otherwise(before, question)
        or (
            _ASKS_COUNT.search(question) is not None
            and _NUMBER.fullmatch(part.text) is not None
            and _AND_MORE.match(behind) is not None
        )
    )


def _of_another_subject(text: str, before: str, behind: str, question: str) -> bool:
    """Return whether a sentence shares nothing with its question: "The fries cost $3" where the burger is asked for."""
    if not (question.isascii() and before.isascii() and behind.isascii()):
        return False
    asked = content(question)
    if not before.strip():
        kind = _KIND.match(question)
        return (
            kind is not None and _A_THING.match(text) is not None and not content(behind) & (asked - content(kind[1]))
        )
    subject = _SUBJECT.match(_LEAD.sub("", before))
    return subject is not None and any(map(str.isdigit, text)) and not content(before + " " + behind) & asked


def _asks_place(question: str) -> bool:
    """Return whether a question asks where something is."""
    return _ASKS_PLACE.search(question) is not None or re.search(r"\b(?:in|on|at)\W*$", question) is not None


def _of_another_year(sentence: str, question: str) -> bool:
    """Return whether a sentence speaks of another year than the question."""
    asked, said = set(YEAR.findall(question)), set(YEAR.findall(sentence))
    return bool(asked and said) and not asked & said


def _of_what_stands_there(sentence: str, question: str) -> bool:
    """Return whether a sentence describes the house where what is behind the house is asked for."""
    there = _ASKS_BESIDE.match(question)
    return there is not None and re.match(rf"\W*the\s+{there['thing']}\s+(?:is|has)\b", sentence, re.I) is not None


def _beside(text: str, question: str) -> bool:
    """Return whether a part says beside what a thing is, where the thing is asked for."""
    if not _ASKS_WHAT.match(question) or _ASKS_PLACE.search(question):
        return False
    return _BESIDE.match(text) is not None


def _begins_with_the_object(text: str, asked: frozenset[str]) -> bool:
    """Return whether a part begins with what the question names: "the wood with a saw"."""
    match = _OBJECT_FIRST.match(text)
    return match is not None and stem(match["object"]) in asked


def _of_another_place_in_line(before: str, question: str) -> bool:
    """Return whether a part belongs to the second where the first is asked for."""
    asked, said = _ORDINAL_ZH.search(question), _ORDINAL_ZH.findall(before)
    return asked is not None and bool(said) and said[-1] != asked[1]


def _made_otherwise(before: str, question: str) -> bool:
    """Return whether a part says who made a thing, where it is or of what, while its name was asked for."""
    done = _DONE.search(before)
    return (
        done is not None
        and _ASKS_NAME.search(question) is not None
        and not _ASKS_MAKER.search(question)
        and " ".join(done["done"].lower().split()) not in question.lower()
    )
