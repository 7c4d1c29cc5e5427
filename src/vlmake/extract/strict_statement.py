"""Reading a statement against its question: "There is no dog on the lawn." answers "Is there a dog?" with No.

A statement denies when the clause that speaks of what is asked holds one negation, and affirms when that clause names
all that is asked and holds none. Anything else (half the words, two negations, a condition, a question that is negated
itself) says nothing.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.strict_discourse import HEDGE
from vlmake.extract.strict_overlap import content

_SCENE = re.compile(
    r"\b(?:in|on|from|within|of)\s+(?:the|this|these)\s+(?:(?:given|provided|attached)\s+)?(?:images?|pictures?|photos?|photographs?|scenes?|screenshots?|figures?)"
    r"(?:\s+(?:shown|above|below))?|\b(?:according\s+to|based\s+on|judging\s+by|from)\s+the\s+[\w\s-]{1,30}?(?=[,?]|$)|\([^()]*\)"
    r"|\"[^\"]{1,80}\"|(?<!\w)'[^']{1,80}'(?!\w)|“[^”]{1,80}”|\b(?:please\s+)?answer\s+(?:with\s+)?yes\s+or\s+no\b"
    r"|(?:在)?(?:这张|该|此)?(?:图|图片|照片|图像|画面)(?:中|里|上|内)?的?|请问|根据[^,]{1,20},|从[^,]{1,20}来看,?|^判断[^:]{0,14}:|请回答是或否:?",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"(?<!\w)(?:not(?!\s+only)|never|nobody|nothing|none|neither|nor|without(?!\s+(?:a\s+)?doubt)|no(?!\s+(?:doubt|problem|longer\s+than))|lacks?|absent|missing|cannot)(?!\w)|n't(?!\w)"
    r"|没有|没(?!问题|错)|(?<!要)不(?![仅过少断错同只但久料止])|并?未(?!来)|(?<![有虽])无(?!论|疑|线)|并非",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:if|whether|would|unless|in\s+which\s+case|suppose|assuming|question|determine)\b|如果|若|是否|假如|要判断|需要", re.IGNORECASE
)
_CLAUSES = re.compile(r"[,;:。]\s*|\s+[-–—]+\s+|\s+(?:but|while|whereas|although|though|and|so|because|since)\s+|而(?!且|是)|但是?|因此|所以|,?并且")
_POLITE = re.compile(r"(?:吗|呢|吧|么|啊)?\s*[?]*\s*$")
_CHOICE_ZH = re.compile(r"是否|有没有|是不是|能不能|会不会|有无|能否|可否|(.)不\1|(.)没\2")
_UNASKED = frozenset("了着过的是有否")
_NEGATED_ASKED = re.compile(r"\bnot\b|n't\b|\bno\b|\bwithout\b|\black|没有?(?!有)|(?<!是)(?<!能)(?<!会)(?<!对)不(?!是)|未|无", re.IGNORECASE)
_ECHO_ZH = re.compile(r"(?:还|并|也|都|已经|确实|正)*(?P<no>没有|没|不|未)?(?:被|算|太|是)*(?P<verb>[\u4e00-\u9fff]{1,4}?)[了着的过]*")

_LONG_ENOUGH = 3  # characters that repeat a question and no mere particle of it
AFFIRMS, DENIES, ALL = 0.75, 0.5, 0.99
"""Shares of the question's words that a clause names at least: to affirm with four words or more, to deny, else."""


class Asked(NamedTuple):
    """What a yes-or-no question asks for: its words, its core in Chinese, and whether it is negated."""

    words: frozenset[str]
    core: str
    negated: bool


@lru_cache(maxsize=4096)
def asked_for(question: str | None) -> Asked:
    """Return what a question asks for."""
    text = (question or "").replace("（", "(").replace("）", ")").replace("，", ",").replace("：", ":").replace("？", "?")
    parts = [part for part in re.findall(r"[^?。]+[?。]?", text) if content(part)]
    text = _SCENE.sub(" ", next((part for part in reversed(parts) if "?" in part), parts[-1] if parts else ""))
    plain = _CHOICE_ZH.sub(lambda match: "有" if match[0][0] == "有" else match[1] or match[2] or "", text)
    core = _POLITE.sub("", plain).strip(" ,:")
    words = frozenset(word for word in content(plain) if word not in _UNASKED)
    return Asked(words, core, _NEGATED_ASKED.search(plain) is not None)


def polarity(sentence: str, asked: Asked) -> str | None:
    """Return Yes or No where a sentence answers what is asked, else None."""
    if not asked.words or _CONDITION.search(sentence) or HEDGE.search(sentence):
        return None
    if asked.negated:
        first = re.split(r"[,;。]", sentence)[0].strip()
        repeats = len(first) >= _LONG_ENOUGH and (first in asked.core or asked.core in sentence)
        return "Yes" if repeats and not asked.core.isascii() else None
    scene = _SCENE.sub(lambda match: match[0] if match[0][0] in "\"'“(" else " ", sentence)
    units = [scene, *(clause for clause in _CLAUSES.split(scene) if clause and clause.strip())]
    scored = [(len(asked.words & content(unit)) / len(asked.words), -len(unit), unit) for unit in units]
    share, _, unit = max(scored)
    negations = len(_NEGATION.findall(unit))
    if negations == 1 and share >= DENIES:
        return "No"
    enough = AFFIRMS if len(asked.words) >= 4 else ALL
    return "Yes" if negations == 0 and share >= enough else None


def echoed(clause: str, asked: Asked) -> str | None:
    """Return Yes or No for a Chinese clause that repeats the question's verb, as one answers there: 戴了, 没戴."""
    match = _ECHO_ZH.fullmatch(clause.strip())
    if not match or asked.negated or not asked.core or match["verb"] not in asked.core or match["verb"] in ("有", "是"):
        return None
    return "No" if match["no"] else "Yes"
