"""Reading a statement against its question: "There is no dog on the lawn." answers "Is there a dog?" with No.

A statement denies when the clause that speaks of what is asked holds one negation, and affirms when that clause names
all that is asked and holds none. Anything else (half the words, two negations, a condition, a question that is negated
itself) says nothing.
"""

import re

from vlmake.extract.strict.discourse import HEDGE
from vlmake.extract.strict.overlap import content
from vlmake.extract.strict.statement_asked import OPPOSITES, SCENE, Asked, place_in
from vlmake.extract.strict.statement_clauses import (
    ASKS_ON_OFF,
    DENIES,
    NEGATION,
    affirmed,
    denied,
    in_scope,
    there,
)
from vlmake.extract.strict.statement_doubt import affirms_another, misread
from vlmake.extract.strict.statement_things import thing_asked
from vlmake.extract.strict.withheld import is_hearsay
from vlmake.extract.strict.yes_no_words import OTHER

_CONDITION = re.compile(
    r"\b(?:if|whether|would|unless|in\s+which\s+case|suppose|assuming|question|determine)\b|如果|若|是否|假如"
    r"|要判断|需要",
    re.IGNORECASE,
)
_CLAUSES = re.compile(
    r"[,;:。]\s*|\s+[-–—]+\s+|\s+(?:but|while|whereas|although|though|and|so|because|since)\s+|而(?!且|是)|但是?"
    r"|因此|所以|,?并且"
)
_ECHO_ZH = re.compile(
    r"(?:应该是?|应当是?|看(?:着|起来|上去)是?|但是?|不过|实际上|其实|事实上|显然|的确|所以|因此|尚|仍|还|并|也|都|已经?|确实|正)*(?P<no>没有|没|不|未)?(?:可以|能够?|会|被|算|太|是)*(?P<verb>[\u4e00-\u9fff]{1,4}?)[了着的过]*"
)
_PRONOUN = re.compile(
    r"\W*(?:he|she|it|they|his|her|their)\b|\W*(?:this|that|these|those)(?:'s|\s+(?:is|are|was|were|does|do|has|have|can|looks?|seems?|appears?|means))\b"
    r"|[他她它]|这(?=[是更不并看就也应属像]|确实)",
    re.IGNORECASE,
)
_NOT_FOUND = re.compile(
    r"\b(?:can|could|do|did|was|were)(?:n't|\s+not|not)\s+(?:able\s+to\s+)?(?:find|see|spot|detect|locate"
    r"|identify)\s+(?:one|any|it|them)\b(?=\s*(?:[.,;]|$|\s(?:in|on|there|here|any)))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“「『]([^\"“”「」『』\n]{2,80})[\"”」』]|(?<!\w)'([^'\n]{2,80})'(?!\w)")
_ASKS_WORDS = re.compile(
    r"\b(?:say|says|read|reads|written|word|text|labell?ed|printed|spell|spelled)\b|写|印|标着|文字", re.IGNORECASE
)
_NOT_LATER = re.compile(r"[,;.。].*$", re.DOTALL)
_LONG_ENOUGH = 3  # characters that repeat a question and no mere particle of it
_DEGREE = re.compile(
    r"\b(?:half|almost|nearly|partly|partially|somewhat|mostly)\s+\w+|半|几乎|差不多|部分", re.IGNORECASE
)
_UNSURE = re.compile(
    r"很难|难以|不好(?:说|判断)|真伪|\b(?:could|may|might)\s+(?:also\s+|well\s+)?have\s+been\b|\bauthenticity\b"
)
_IT_IS_FALSE = re.compile(
    r"\W*(?:it|that)(?:'s|\s+is|\s+would\s+be)\s+(?:simply\s+)?(?:not\s+(?:true|correct|right|the\s+case|accurate)|false|untrue|incorrect"
    r"|wrong|inaccurate)\s+(?:to\s+(?:say|claim)\s+)?that\s+(?P<said>.+)"
    r"|(?:如果)?(?:说|认为)(?P<said_zh>[^,。]+?)(?:是|的说法是?)(?:不对|错误?|不正确|不成立|不准确)的?[。.]?$",
    re.IGNORECASE | re.DOTALL,
)
_NOT_WITHOUT = re.compile(r"(?:并?不是|并非|不会|不可能)没有?")
_TURN = re.compile(
    r",?\s+but\s+|[,;]\s*(?:though|however|yet|actually)\s*,?\s+|[,;。]?\s*(?:但是?|不过|然而|可是)?(?:其实|实际上|事实上)|[,;]\s*(?:但是?|不过|然而|可是)",
    re.IGNORECASE,
)
_BARE_DENIAL = re.compile(
    r"\W*(?:it|he|she|they|this)\s*(?:is|are|was|does|do|has|have)?(?:n't|\s+not)(?:\s+(?:now|any\s?more|yet|really|actually))?\W*",
    re.IGNORECASE,
)
_SO = re.compile(r"\b(?:so|therefore|thus|hence|which\s+means)\b", re.IGNORECASE)
_RESEMBLES = re.compile(
    r",?\s+(?:(?:which|that)\s+)?(?:\w+ly\s+)?(?:resembl\w+|(?:is\s+)?(?:similar\s+to|reminiscent\s+of|modell?ed\s+(?:on|after)))\s+(?:an?|the)\s[^,.;]+",
    re.IGNORECASE,
)
_SEEMS = re.compile(
    r"\b(?:looks?|looked|seems?|seemed|appears?|resembles?)\b|看起来|看上去|看着|好像|似乎|像", re.IGNORECASE
)
_SEEMS_LIKE = re.compile(
    r"\blike\s+(?:an?|the)\b|\b(?:real|genuine|authentic|alive)\b|\bresembles?\b|像", re.IGNORECASE
)
_IS_OTHER = re.compile(
    r"\W*(?:it|he|she|this|they)?\s*(?:is|are|was|'s|'re)\s+(?:actually\s+|really\s+|in\s+fact\s+)?(?:an?\b|the\b|made\b|fake\b)|\W*[它他她这]?(?:是)",
    re.IGNORECASE,
)
_FORMERLY = re.compile(
    r"\bused\s+to\b|\bformer(?:ly)?\b|\bearlier\b(?!\s+than)|\bpreviously\b|\bonce\s+(?:was|were|stood|had)\b|曾经?|以前|过去是",
    re.IGNORECASE,
)
CLEAR = 0.75
"""The share in a denial that contradicts a Yes before it."""


def polarity(sentence: str, asked: Asked, least: float = DENIES) -> str | None:
    """Return Yes or No where a sentence answers what is asked, else None.

    Args:
        sentence: A sentence of the prediction.
        asked: What was asked.
        least: The share of the question's words that a denial names.
    """
    if not asked.words or _CONDITION.search(sentence) or HEDGE.search(sentence) or _UNSURE.search(sentence):
        return None
    if false := _IT_IS_FALSE.match(sentence):
        return OTHER.get(polarity(false["said"] or false["said_zh"], asked, least) or "")
    sentence = _RESEMBLES.sub("", _NOT_WITHOUT.sub("有", sentence))
    turn = list(_TURN.finditer(sentence))
    if turn and _BARE_DENIAL.fullmatch(sentence, turn[-1].end()) and not NEGATION.search(sentence, 0, turn[-1].start()):
        return "No" if _direct(sentence[: turn[-1].start()], asked, least) == "Yes" else None
    if turn and (
        _SEEMS.search(sentence, 0, turn[-1].start()) or is_hearsay(sentence, turn[-1].start(), turn[-1].start())
    ):
        return _turned(sentence[: turn[-1].start()], sentence[turn[-1].end() :], asked)
    if is_hearsay(sentence, len(sentence), len(sentence)) or (
        _FORMERLY.search(sentence) and not _FORMERLY.search(asked.question)
    ):
        return None
    return _direct(sentence, asked, least)


def _turned(before: str, after: str, asked: Asked) -> str | None:
    """Return what a sentence answers that tells how something seemed and then how it is: "like a dog, but a wolf"."""
    said = _direct(after, asked, DENIES)
    if said or not asked.words & content(before) or NEGATION.search(before):
        return said
    if re.fullmatch(
        r"\W*(?:it|he|she|they|this|并)?\s*(?:is|are|'s|does|do)?\s*(?:not|n't|isn't|aren't|不是)\W*", after
    ):
        return "No"
    other = _IS_OTHER.match(after) if _SEEMS_LIKE.search(before) else None
    return "No" if other and not asked.words - asked.subject & content(after) else None


def _direct(sentence: str, asked: Asked, least: float) -> str | None:
    """Return what a sentence answers that says one thing."""
    if misread(sentence, asked) or (_DEGREE.search(sentence) and not _DEGREE.search(asked.question)):
        return None
    quoted = [double or single for double, single in _QUOTED.findall(asked.question)]
    if len(quoted) == 1 and _ASKS_WORDS.search(asked.question):
        return _says_quoted(sentence, quoted[0])
    if asked.negated:
        first = re.split(r"[,;。]", sentence)[0].strip()
        repeats = len(first) >= _LONG_ENOUGH and (first in asked.core or asked.core in sentence)
        return "Yes" if repeats and not asked.core.isascii() else None
    if _NOT_FOUND.search(sentence):
        return "No"
    scene = SCENE.sub(lambda match: match[0] if match[0][0] in "\"'“(" else " ", sentence)
    thing = thing_asked(asked.core)
    known = asked.subject if _PRONOUN.match(scene) and not thing else frozenset()
    concluded = asked.subject if _SO.search(scene) and not thing else frozenset()
    units = [scene, *(clause for clause in _CLAUSES.split(scene) if clause and clause.strip())]
    meant = [
        known | (concluded if place and _PRONOUN.match(_SO.sub("", unit)) else frozenset())
        for place, unit in enumerate(units)
    ]
    scored = [
        (len(asked.words & (content(unit) | own)) / len(asked.words), -len(unit), unit)
        for unit, own in zip(units, meant, strict=True)
    ]
    share, _, unit = max(scored)
    known = meant[units.index(unit)]
    if thing:
        answer = there(units, asked, least)
        return None if answer == "Yes" and affirms_another(sentence, asked) else answer
    if len(in_scope(unit, asked)) == 1 and share >= least and asked.words & content(unit):
        return denied(unit, units, asked, share, known)
    if in_scope(unit, asked) or (len(unit.split()) < 2 and unit.isascii()):
        return None
    answer = affirmed(sentence, unit, units, asked, share, known)
    return None if answer == "Yes" and affirms_another(sentence, asked) else answer


def _says_quoted(sentence: str, wanted: str) -> str | None:
    """Return whether a sentence says that a text reads as the question quotes it; None where it says neither."""
    place = sentence.lower().find(wanted.lower())
    if place < 0:
        return None
    start = max((match.end() for match in _CLAUSES.finditer(sentence, 0, place)), default=0)
    negations = len(NEGATION.findall(sentence[start:place] + " " + _NOT_LATER.sub("", sentence[place + len(wanted) :])))
    return {0: "Yes", 1: "No"}.get(negations)


def one_word(text: str, asked: Asked) -> str | None:
    """Return Yes or No for a word or two: the question's own ("Higher."), or its contrary ("Different")."""
    said = content(text)
    if (on := ASKS_ON_OFF.search(asked.core)) and text.strip(" .!").lower() in ("on", "off"):
        return "Yes" if text.strip(" .!").lower() == on[1].lower() else "No"
    if asked.negated or len(text.split()) > 2 or not said or not text.isascii() or re.search(r"\bor\b", asked.core):
        return None
    ordered = sorted(asked.words, key=lambda word: place_in(word, asked.core))
    if len(said) == 1 and said <= asked.words and said != {ordered[0]} and said & set(OPPOSITES):
        return "Yes"
    opposed = {other for word in asked.words for other in OPPOSITES.get(word, ())}
    return "No" if said & opposed and said - opposed <= asked.words else None


def denies(sentence: str, asked: Asked) -> bool:
    """Return whether one clause of a sentence clearly denies what is asked."""
    return any(
        polarity(clause, asked, CLEAR) == "No" for clause in _CLAUSES.split(sentence) if clause and clause.strip()
    )


def echoed(clause: str, asked: Asked) -> str | None:
    """Return Yes or No for a Chinese clause that repeats the question's verb, as one answers there: 戴了, 没戴."""
    match = _ECHO_ZH.fullmatch(clause.strip())
    if not match or asked.negated or not asked.core or match["verb"] not in asked.core or match["verb"] in ("有", "是"):
        return None
    return "No" if match["no"] else "Yes"
