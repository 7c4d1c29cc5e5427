"""What a yes-or-no question asks for: its words, its subject, what an answer may leave out."""

import re
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.strict.overlap import content, stem
from vlmake.extract.strict.statement_things import thing_asked

SCENE = re.compile(
    r"^\W*(?:(?:would|could)\s+you\s+say|do\s+you\s+think|(?:can|could)\s+you\s+(?:tell|say)(?:\s+me)?\s+(?:if|whether))(?:\s+that)?\b"
    r"|^\W*(?:does|do|did)\s+the\s+(?:chart|graph|table|map|image|figure|diagram)\s+(?:show|indicate|say|suggest)\s+that\b"
    r"|\b(?:in|on|from|within|of)\s+(?:the|this|these)\s+(?:(?:given|provided|attached)\s+)?(?:images?|pictures?"
    r"|photos?|photographs?|scenes?|screenshots?|figures?)"
    r"(?:\s+(?:shown|above|below))?|\b(?:according\s+to|based\s+on|judging\s+by"
    r"|from)\s+the\s+[\w\s-]{1,30}?(?=[,?]|$)|\([^()]*\)"
    r"|\"[^\"]{1,80}\"|(?<!\w)'[^']{1,80}'(?!\w)|“[^”]{1,80}”|\b(?:please\s+)?answer\s+(?:with\s+)?yes\s+or\s+no\b"
    r"|(?:在)?(?:这张|该|此)?(?:图|图片|照片|图像|画面)(?:中|里|上|内)?的?|请问|根据[^,]{1,20},|从[^,]{1,20}来看,?"
    r"|^判断[^:]{0,14}:|请回答是或否:?",
    re.IGNORECASE,
)
_POLITE = re.compile(r"(?:吗|呢|吧|么|啊)?\s*[?]*\s*$")
_CHOICE_ZH = re.compile(r"是否|有没有|是不是|能不能|会不会|有无|能否|可否|(.)不\1|(.)没\2")
_TOKEN = re.compile(r"[A-Za-z][A-Za-z'-]*|\d[\d.,:/-]*")
_UNASKED = frozenset("了着过的是有否")
_NEGATED_ASKED = re.compile(
    r"\bnot\b|n't\b|\bno\b|\bwithout\b|\black|没有?(?!有)|(?<!是)(?<!能)(?<!会)(?<!对)不(?!是)|未|无", re.IGNORECASE
)
_OF_A_PRONOUN = re.compile(
    r"\W*(?:is|are|was|were)\s+(?:this|that|it|these|those|he|she|they)\s|[这那他她它]们?(?:是|像)", re.IGNORECASE
)
ROOMS = (
    r"kitchen|room|bathroom|bedroom|street|park|garden|yard|office|restaurant|field|stable|store|shop|city|town|classroom|hall"
    r"|house|garage|library|museum|station|market|background|foreground|area|distance"
)
_IN_A_ROOM = re.compile(rf"\s(?:in|inside|at)\s+(?:the|this)\s+(?:[\w-]+\s+)?(?:{ROOMS})$", re.IGNORECASE)
_LAST_PLACE = re.compile(
    r"\s(?:in|on|at|of|from|between|for|during)\s+(?:the|this|that|these|two)?\s*(?:[\w'-]+\s*){1,4}$", re.IGNORECASE
)
_THE_TWO = re.compile(r"\b(the|these|those|both)\s+(?:two|three|four|five)\b", re.IGNORECASE)


class Asked(NamedTuple):
    """What a yes-or-no question asks for: its words, those of its subject, its core, and whether it is negated.

    ``loose`` are the words that an answer may leave out, ``room`` says that a thing is asked for in a room or the like,
    and ``modifier`` holds a word that may be left out before the noun behind it.
    """

    words: frozenset[str]
    subject: frozenset[str]
    core: str
    negated: bool
    question: str = ""
    loose: frozenset[str] = frozenset()
    room: bool = False
    modifier: tuple[str, str] | None = None


@lru_cache(maxsize=4096)
def asked_for(question: str | None) -> Asked:
    """Return what a question asks for."""
    text = (
        (question or "").replace("（", "(").replace("）", ")").replace("，", ",").replace("：", ":").replace("？", "?")
    )
    parts = [part for part in re.findall(r"[^?。]+[?。]?", text) if content(part)]
    text = SCENE.sub(" ", next((part for part in reversed(parts) if "?" in part), parts[-1] if parts else ""))
    plain = _CHOICE_ZH.sub(lambda match: "有" if match[0][0] == "有" else match[1] or match[2] or "", text)
    core = _POLITE.sub("", plain).strip(" ,:")
    room = _IN_A_ROOM.search(core) if thing_asked(core) else None
    plain = plain.replace(room[0], " ") if room else plain
    plain = _THE_TWO.sub(r"\1 ", plain)
    words = frozenset(word for word in content(plain) if word not in _UNASKED)
    words = words or content(question or "")  # a question for quoted words only
    ordered = sorted(words, key=lambda word: place_in(word, plain))
    size = 2 if ordered and not ordered[0].isascii() else 1
    subject = ordered[:size] if len(ordered) > size and not _OF_A_PRONOUN.match(core) else []
    negated = _NEGATED_ASKED.search(plain) is not None
    modifier = _modifier(_THE_TWO.sub(r"\1 ", core), ordered)
    return Asked(
        words, frozenset(subject), core, negated, question or "", _place_words(core), room is not None, modifier
    )


def _modifier(core: str, ordered: list[str]) -> tuple[str, str] | None:
    """Return the first word of "Is the tomato plant diseased?", which may be left out, and the noun behind it."""
    lead = re.match(
        r"\W*\w+\s+(?:the|this|that|these|those|his|her|both)\s+([\w'-]+)\s+([\w-]+)\s", core, re.IGNORECASE
    )
    if not lead or (len(ordered) < 3 and not lead[1].endswith("'s")):
        return None
    if not lead[1].endswith("'s") and (
        stem(lead[1]) in OPPOSITES or lead[2].endswith(("ing", "ed", "er")) or stem(lead[2]) in OPPOSITES
    ):
        return None
    return stem(lead[1]), stem(lead[2])


def _place_words(core: str) -> frozenset[str]:
    """Return the words of a question's last "in the …", where a predicate stands before it."""
    if not core.isascii() and thing_asked(core):
        return content(core[: core.find("有")]) if "有" in core else frozenset()
    place = _LAST_PLACE.search(core)
    return content(place[0]) if place and len(content(core[: place.start()])) >= 2 else frozenset()


def place_in(word: str, text: str) -> int:
    """Return where a text names a word by its stem; behind its end where it does not."""
    if not word.isascii():
        place = text.find(word)
        return place if place >= 0 else len(text)
    return next((token.start() for token in _TOKEN.finditer(text) if stem(token[0]) == word), len(text))


def _opposites() -> dict[str, frozenset[str]]:
    """Return stem or character → those of which only one holds."""
    found: dict[str, set[str]] = {}
    for group in _EXCLUSIVE:
        stems = [stem(word) for word in group.split()] if group.isascii() else list(group)
        for word in stems:
            found.setdefault(word, set()).update(other for other in stems if other != word)
    return {word: frozenset(others) for word, others in found.items()}


_EXCLUSIVE = (  # words of which only one holds
    "long short", "tall short", "big small", "large small", "high low", "alive dead", "awake asleep", "wet dry",
    "clean dirty messy", "hot cold", "clear cloudy overcast", "near far", "wide narrow", "sharp blurry", "odd even",
    "vertical horizontal diagonal", "happy sad angry", "smooth rough", "curly straight",
    "standing sitting lying kneeling",
    "parked moving", "north south east west", "profit loss", "pass fail", "real fake", "summer winter spring autumn",
    "left right", "above below", "open closed shut", "greater less smaller", "larger smaller", "higher lower",
    "taller shorter", "longer shorter", "more fewer less", "top bottom", "front back behind", "before after",
    "male female", "man woman", "boy girl", "old young", "day night", "indoor outdoor",
    "inside outside", "increase decrease fall drop decline shrink", "rise fall drop decline", "grow shrink",
    "positive negative", "highest lowest", "largest smallest", "home away", "first second third fourth last",
    "even uneven", "full empty", "under over", "same different",
    "red blue green yellow black white orange purple pink brown gray",
    "two three four five six seven eight nine ten",
    "高低矮", "打关", "胖瘦", "远近", "深浅", "冷热", "粗细", "轻重", "干湿", "哭笑", "站坐躺蹲",
    "大小", "多少", "长短", "左右",
    "上下", "前后", "内外", "开关",
    "新旧", "快慢", "男女", "红蓝绿黄黑白紫粉棕灰橙", "早晚", "升降",
)  # fmt: skip
OPPOSITES = _opposites()
"""Stem or character → those of which only one holds."""
