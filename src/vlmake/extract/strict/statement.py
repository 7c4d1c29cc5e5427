"""Reading a statement against its question: "There is no dog on the lawn." answers "Is there a dog?" with No.

A statement denies when the clause that speaks of what is asked holds one negation, and affirms when that clause names
all that is asked and holds none. Anything else (half the words, two negations, a condition, a question that is negated
itself) says nothing.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.strict.discourse import HEDGE
from vlmake.extract.strict.overlap import content, stem
from vlmake.extract.strict.polar import placed_elsewhere, swapped

_SCENE = re.compile(
    r"\b(?:in|on|from|within|of)\s+(?:the|this|these)\s+(?:(?:given|provided|attached)\s+)?(?:images?|pictures?"
    r"|photos?|photographs?|scenes?|screenshots?|figures?)"
    r"(?:\s+(?:shown|above|below))?|\b(?:according\s+to|based\s+on|judging\s+by"
    r"|from)\s+the\s+[\w\s-]{1,30}?(?=[,?]|$)|\([^()]*\)"
    r"|\"[^\"]{1,80}\"|(?<!\w)'[^']{1,80}'(?!\w)|“[^”]{1,80}”|\b(?:please\s+)?answer\s+(?:with\s+)?yes\s+or\s+no\b"
    r"|(?:在)?(?:这张|该|此)?(?:图|图片|照片|图像|画面)(?:中|里|上|内)?的?|请问|根据[^,]{1,20},|从[^,]{1,20}来看,?"
    r"|^判断[^:]{0,14}:|请回答是或否:?",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"(?<!\w)(?:not(?!\s+only)|never|nobody|nothing|none|neither|nor|without(?!\s+(?:a\s+)?doubt)|no(?!\s+(?:doubt"
    r"|problem|longer\s+than))|lacks?|absent|missing|cannot|rather\s+than|instead\s+of|far\s+from|fails?\s+to"
    r"|hardly|barely)(?!\w)|n't(?!\w)"
    r"|没有|没(?!问题|错)|(?<!要)不(?![仅过少断错同只但久料止])|并?未(?!来)|(?<![有虽])无(?!论|疑|线)|并非",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:if|whether|would|unless|in\s+which\s+case|suppose|assuming|question|determine)\b|如果|若|是否|假如"
    r"|要判断|需要",
    re.IGNORECASE,
)
_CLAUSES = re.compile(
    r"[,;:。]\s*|\s+[-–—]+\s+|\s+(?:but|while|whereas|although|though|and|so|because|since)\s+|而(?!且|是)|但是?"
    r"|因此|所以|,?并且"
)
_POLITE = re.compile(r"(?:吗|呢|吧|么|啊)?\s*[?]*\s*$")
_CHOICE_ZH = re.compile(r"是否|有没有|是不是|能不能|会不会|有无|能否|可否|(.)不\1|(.)没\2")
_UNASKED = frozenset("了着过的是有否")
_NEGATED_ASKED = re.compile(
    r"\bnot\b|n't\b|\bno\b|\bwithout\b|\black|没有?(?!有)|(?<!是)(?<!能)(?<!会)(?<!对)不(?!是)|未|无", re.IGNORECASE
)
_ECHO_ZH = re.compile(
    r"(?:应该是?|应当是?|看(?:着|起来|上去)是?|显然|的确|所以|因此|尚|仍|还|并|也|都|已经?|确实|正)*(?P<no>没有|没|不|未)?(?:被|算|太|是)*(?P<verb>[\u4e00-\u9fff]{1,4}?)[了着的过]*"
)

_PRONOUN = re.compile(r"\W*(?:he|she|it|they|this|that|these|those)\b|[他她它这]", re.IGNORECASE)
_NOT_FOUND = re.compile(
    r"\b(?:can|could|do|did|was|were)(?:n't|\s+not|not)\s+(?:able\s+to\s+)?(?:find|see|spot|detect|locate"
    r"|identify)\s+(?:one|any|it|them)\b(?=\s*(?:[.,;]|$|\s(?:in|on|there|here|any)))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“「『]([^\"“”「」『』\n]{2,80})[\"”」』]")
_ASKS_WORDS = re.compile(
    r"\b(?:say|says|read|reads|written|word|text|labell?ed|printed|spell|spelled)\b|写|印|标着|文字", re.IGNORECASE
)
_NOT_LATER = re.compile(r"[,;.。].*$", re.DOTALL)
_LONG_ENOUGH = 3  # characters that repeat a question and no mere particle of it
_EXISTS = re.compile(
    r"\W*(?:is|are|was|were)\s+there\b|\W*(?:can|do)\s+you\s+see\b|\W*(?:does|do)\b[^?]*\bhave\b", re.IGNORECASE
)
_DEGREE = re.compile(
    r"\b(?:half|almost|nearly|partly|partially|somewhat|mostly)\s+\w+|半|几乎|差不多|部分", re.IGNORECASE
)
_ABOUT = 0.6  # share of the question in a denial that need not name its subject
AFFIRMS, DENIES, ALL = 0.75, 0.5, 0.99
"""Shares of the question's words that a clause names at least: to affirm with four words or more, to deny, else."""
CLEAR = 0.75
"""The share in a denial that contradicts a Yes before it."""


class Asked(NamedTuple):
    """What a yes-or-no question asks for: its words, those of its subject, its core, and whether it is negated."""

    words: frozenset[str]
    subject: frozenset[str]
    core: str
    negated: bool
    question: str = ""


@lru_cache(maxsize=4096)
def asked_for(question: str | None) -> Asked:
    """Return what a question asks for."""
    text = (
        (question or "").replace("（", "(").replace("）", ")").replace("，", ",").replace("：", ":").replace("？", "?")
    )
    parts = [part for part in re.findall(r"[^?。]+[?。]?", text) if content(part)]
    text = _SCENE.sub(" ", next((part for part in reversed(parts) if "?" in part), parts[-1] if parts else ""))
    plain = _CHOICE_ZH.sub(lambda match: "有" if match[0][0] == "有" else match[1] or match[2] or "", text)
    core = _POLITE.sub("", plain).strip(" ,:")
    words = frozenset(word for word in content(plain) if word not in _UNASKED)
    ordered = sorted(words, key=lambda word: _place(word, plain))
    size = 2 if ordered and not ordered[0].isascii() else 1
    subject = ordered[:size] if len(ordered) > size else []
    return Asked(words, frozenset(subject), core, _NEGATED_ASKED.search(plain) is not None, question or "")


def _place(word: str, text: str) -> int:
    place = text.lower().find(word)
    return place if place >= 0 else len(text)


def polarity(sentence: str, asked: Asked, least: float = DENIES) -> str | None:
    """Return Yes or No where a sentence answers what is asked, else None.

    Args:
        sentence: A sentence of the prediction.
        asked: What was asked.
        least: The share of the question's words that a denial names.
    """
    if _DEGREE.search(sentence) and not _DEGREE.search(asked.question):
        return None
    if not asked.words or _CONDITION.search(sentence) or HEDGE.search(sentence):
        return None
    quoted = _QUOTED.findall(asked.question)
    if len(quoted) == 1 and _ASKS_WORDS.search(asked.question):
        return _says_quoted(sentence, quoted[0])
    if asked.negated:
        first = re.split(r"[,;。]", sentence)[0].strip()
        repeats = len(first) >= _LONG_ENOUGH and (first in asked.core or asked.core in sentence)
        return "Yes" if repeats and not asked.core.isascii() else None
    if _NOT_FOUND.search(sentence):
        return "No"
    scene = _SCENE.sub(lambda match: match[0] if match[0][0] in "\"'“(" else " ", sentence)
    known = asked.subject if _PRONOUN.match(scene) else frozenset()
    units = [scene, *(clause for clause in _CLAUSES.split(scene) if clause and clause.strip())]
    scored = [(len(asked.words & (content(unit) | known)) / len(asked.words), -len(unit), unit) for unit in units]
    share, _, unit = max(scored)
    named = content(unit) | known
    negations = len(_NEGATION.findall(unit))
    if negations == 1 and share >= least and asked.words & content(unit):
        if asked.subject - named and any(named & _OPPOSITES.get(word, frozenset()) for word in asked.subject):
            return None  # the woman, not the man
        told = asked.words - asked.subject
        if asked.core.isascii() and told and not told & named and not _EXISTS.match(asked.core):
            return None  # "17 has no divisors" is not about being prime
        denying = next((clause for clause in units[1:] if _NEGATION.search(clause)), unit)
        affirming = [
            clause
            for clause in units[1:]
            if clause != denying and re.match(r"\W*(?:so\s+|thus\s+)?(?:it|they|he|she)\b", clause)
        ]
        if told and not told & content(denying) and any(told & content(clause) for clause in affirming):
            return None  # "has no divisors, so it is prime"
        about = asked.subject & named or share >= _ABOUT or not asked.subject or not asked.core.isascii()
        return "No" if about else None
    if placed_elsewhere(sentence, asked.question) or swapped(sentence, asked.core):
        return None
    if negations or (len(unit.split()) < 2 and unit.isascii()):
        return None
    missing = asked.words - named
    if missing and all(any(other in named for other in _OPPOSITES.get(word, ())) for word in missing):
        return "No"
    if any(other in named for word in missing for other in _OPPOSITES.get(word, ())):
        return None
    return "Yes" if share >= (AFFIRMS if len(asked.words) >= 4 else ALL) else None


def _says_quoted(sentence: str, wanted: str) -> str | None:
    """Return whether a sentence says that a text reads as the question quotes it; None where it says neither."""
    place = sentence.lower().find(wanted.lower())
    if place < 0:
        return None
    start = max((match.end() for match in _CLAUSES.finditer(sentence, 0, place)), default=0)
    negations = len(
        _NEGATION.findall(sentence[start:place] + " " + _NOT_LATER.sub("", sentence[place + len(wanted) :]))
    )
    return {0: "Yes", 1: "No"}.get(negations)


def one_word(text: str, asked: Asked) -> str | None:
    """Return Yes or No for a word or two: the question's own ("Higher."), or its contrary ("Different")."""
    said = content(text)
    if asked.negated or len(text.split()) > 2 or not said or not text.isascii() or re.search(r"\bor\b", asked.core):
        return None
    ordered = sorted(asked.words, key=lambda word: _place(word, asked.core))
    if len(said) == 1 and said <= asked.words and said != {ordered[0]} and said & set(_OPPOSITES):
        return "Yes"
    opposed = {other for word in asked.words for other in _OPPOSITES.get(word, ())}
    return "No" if said & opposed and said - opposed <= asked.words else None


def denies(sentence: str, asked: Asked) -> bool:
    """Return whether one clause of a sentence clearly denies what is asked."""
    return any(
        polarity(clause, asked, CLEAR) == "No" for clause in _CLAUSES.split(sentence) if clause and clause.strip()
    )


def _opposites() -> dict[str, frozenset[str]]:
    """Return stem or character → those of which only one holds."""
    found: dict[str, set[str]] = {}
    for group in _EXCLUSIVE:
        stems = [stem(word) for word in group.split()] if group.isascii() else list(group)
        for word in stems:
            found.setdefault(word, set()).update(other for other in stems if other != word)
    return {word: frozenset(others) for word, others in found.items()}


_EXCLUSIVE = (  # words of which only one holds
    "left right", "above below", "open closed shut", "greater less smaller", "larger smaller", "higher lower",
    "taller shorter", "longer shorter", "more fewer less", "top bottom", "front back behind", "before after",
    "first last", "male female", "man woman", "boy girl", "old young", "day night", "indoor outdoor",
    "inside outside", "increase decrease", "rise fall", "full empty", "under over", "same different",
    "red blue green yellow black white orange purple pink brown gray",
    "two three four five six seven eight nine ten", "高低", "大小", "多少", "长短", "左右",
    "上下", "前后", "内外", "开关",
    "新旧", "快慢", "男女", "红蓝绿黄黑白紫粉棕灰橙", "早晚", "升降",
)  # fmt: skip
_OPPOSITES = _opposites()


def echoed(clause: str, asked: Asked) -> str | None:
    """Return Yes or No for a Chinese clause that repeats the question's verb, as one answers there: 戴了, 没戴."""
    match = _ECHO_ZH.fullmatch(clause.strip())
    if not match or asked.negated or not asked.core or match["verb"] not in asked.core or match["verb"] in ("有", "是"):
        return None
    return "No" if match["no"] else "Yes"
