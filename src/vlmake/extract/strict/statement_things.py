"""Whether a sentence says that a thing is there, or that it is not: the thing itself, not its house, toy or picture.

"There is a dog house" names no dog, "A dog without a leash" denies none, 木马 is no 马 and 狗窝 no 狗.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from vlmake.extract.strict.overlap import stem, word_set

_END = (
    r"(?=\s+(?:in|on|at|of|with|near|by|under|behind|beside|next|inside|outside|from|above|below|over|along|around|between"
    r"|among|to|for|that|who|which|[a-z]+ing|visible|present|shown|depicted|anywhere|here|parked|seated|left|or|and)\b"
    r"|\s*[?.,]|\s*$)"
)
_ASKS_THING = re.compile(
    r"^\W*(?:(?:is|are|was|were)\s+there|(?:can|do|could)\s+you\s+see|do\s+you\s+notice"
    r"|(?:does|do|did)\s+(?:(?:the|this)\s+)?(?:image|picture|photo|photograph|scene)?\s*(?:contain|show|include|have|feature|depict))"
    rf"\s+(?:any|an?|some|the|one)?\s*(?P<thing>(?:[\w-]+\s+){{0,3}}?[\w-]+?){_END}",
    re.IGNORECASE,
)
_ASKS_THING_ZH = re.compile(
    r"^(?:(?:可以|能|请)?帮我看[看下一]*|[^,。]{0,10}[上里中下边旁前后内外面处]|[^,。是能会可应]{0,4})\s*(?:有没有|有无|是否有|存在|出现|看到|包含|有)(?:任何|了|着)?(?:一|几|两)?[只个辆条张把棵名些位匹头艘架座瓶本件]?"
    r"(?P<thing>[\u4e00-\u9fffA-Za-z]{1,6}?)(?=在|正|的|吗|$|,|站|坐|[?])"
)
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*|\d+|[^\sA-Za-z\d]")
_REACH = 100  # characters on either side of a thing in which it can be denied
GOES_ON = word_set(
    "in on at of with near by under behind beside next inside outside from above below over along around "
    "between among to for that who which and or but nor is are was were be been being can could may has have "
    "had does do did will would as while when where then than it he she they there here this so because since "
    "not also both all too off out up down "
    "lay sat set made full seen cut built worn kept laid driven "
    "ridden shown drawn written stood hung held wore ran ate visible present clearly just only even still "
    "already together close far left right across through against into onto inside per without within during "
    "before after beneath underneath towards"
)
_DO = word_set(
    "sit stand lie walk run look wear hold appear play sleep hang fly eat carry wait rest live move swim lean cross"
)
_MANY = word_set("people men women children sheep fish deer geese mice")
_NO_REAL_THING = re.compile(
    r"\b(?:hot|toy|computer|origami|chocolate|stuffed|teddy|plush|fake|imaginary|inflatable|rocking|sea|guinea)\s+$"
    r"|\b(?:picture|photo|photograph|painting|drawing|statue|sculpture|poster|sticker|figurine|model|reflection|logo|silhouette"
    r"|mural|cartoon|illustration|symbol|shape|image|print)s?\s+of\s+(?:an?\s+|the\s+|some\s+|two\s+)?(?:[\w-]+\s+)?$"
    r"|\b(?:shaped\s+like|looks?\s+(?:more\s+)?like|resembl\w+|like)\s+(?:an?\s+|the\s+)?(?:[\w-]+\s+)?$",
    re.IGNORECASE,
)
_CAPTION = re.compile(
    r"^\W*(?:(?:this|it)\s+is\s+|here\s+is\s+|(?:the|this)\s+(?:image|picture|photo)\s+(?:is|shows)\s+)?(?:an?\s+|the\s+)?(?:[\w-]+\s+){0,2}"
    r"(?:picture|photo|photograph|painting|drawing|illustration|cartoon|image)\s+of\s+(?:an?\s+|the\s+|some\s+|two\s+)?(?:[\w-]+\s+)?$",
    re.IGNORECASE,
)
_ABSENT_BEFORE = re.compile(
    r"(?:\b(?:no(?!\s+(?:other|longer|doubt))|not\s+(?:an?|any|one|a\s+single)|without(?:\s+(?:an?|any))?|zero|neither|nor|none\s+of\s+the|lacks?|lacking"
    r"|free\s+(?:of|from)|devoid\s+of|(?:absence|lack)\s+of|rather\s+than(?:\s+an?)?|instead\s+of(?:\s+an?)?|cannot\s+(?:\w+\s+){0,3}?(?:an?|any|the)|never\s+an?"
    r"|(?:lost|out\s+of)(?:\s+all)?(?:\s+of)?(?:\s+(?:its|his|her|their|the))?)"
    r"|(?:n't|\bnot)\s+(?:(?!(?:is|are|was|were|who|that|but)\b)\w+\s+){0,4}?(?:an?|any|the|one|some)"
    r"|\b(?:none|neither|nobody|no\s?-?one)\b[^,.;]{2,50}?\s(?:an?|any|the|one)"
    r"|(?:n't|\bnot)\s+(?:actually\s+)?(?:contain|show|include|have|feature|depict|see|find|spot|detect))"
    r"(?:\s+(?:(?!an?\b|the\b)[\w-]+\s+){0,3}|\s+)$",
    re.IGNORECASE,
)
_ABSENT_AFTER = re.compile(
    r"^(?:\s+(?!who\b|that\b|which\b|with\b)[\w-]+){0,4}?\s+(?:(?:is|are|was|were|can|could|does|do|did|has|have)(?:n't|\s+not)|cannot|not)\s+(?:\w+\s+){0,2}?"
    r"(?:visible|present|seen|shown|there|here|depicted|found|in|included|featured|appear|exist|part|among|anywhere|observed"
    r"|detected|on|at|spotted)\b"
    r"|^(?:\s+(?!who\b|that\b|which\b|with\b)[\w-]+){0,3}?\s+(?:is|are|was|were)\s+(?:nowhere|absent|missing(?!\s+(?:an?|one|its|his|her|their)\b))",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"\b(?:nobody|no\s?-?one)\b(?:\s+(?:is|was|can\s+be))?(?:\s+(?:in|on|at|there|here|visible|present|seen|around)\b|\s*[.,;]?\s*$)",
    re.IGNORECASE,
)
PEOPLE = frozenset(stem(word) for word in ("person", "people", "human"))
KINDS_OF_PEOPLE = PEOPLE | frozenset(
    stem(word)
    for word in word_set(
        "man woman boy girl child baby kid player worker pedestrian tourist student soldier skier surfer rider "
        "driver cyclist chef waiter couple crowd guy lady nurse doctor teacher athlete musician singer dancer"
    )
)
_ABSENT_ZH = re.compile(
    r"(?:没有?|并?不是|(?<!还)未|无|不见|看不[到见]|找不到|不存在|不包含|不含|缺少)(?:任何|明显|看到|看见|发现|出现|找到|能|到|一|两|只|个|辆|条|张|匹|位|人|其他|的|迹象|显示){0,4}[^,。的]{0,3}$"
)
_ABSENT_AFTER_ZH = re.compile(
    r"^[^,。]{0,3}(?:不在(?:图|画|这)|(?:并?没有?|并?未)(?:出现|看到|见|被)|不存在|看不[到见]|不可见)"
)
_DESCRIBED_ZH = re.compile(r"[一两几三四]\S?[^,。]*的$")  # 一只没戴项圈的狗 is there
_BEHIND_ONE_ZH = frozenset('在正和与及或,、。;:.!?的了坐趴躺跑吃走睡骑停开放挂是也都还就被把从向朝以位;)」" 》着有以')
_BEFORE_ONE_ZH = frozenset(
    '一有只个位条匹头辆艘张的色小大黑白红黄灰花棕橘老几两多群些名和与是、,。到见何在头0123456789 (「"'
)
_BEHIND_ZH = re.compile(r"(?:站(?![在着立])|牌|店|窝|屋|粮|票|道|汁|图案|画|雕|模型|玩具|标志|棚|库|厂|场|形状|样式)")
_BEFORE_ZH = re.compile(r"(?:玩具|假|仿|雕|木|石|铜|模型|像)(?:的|小|大){0,2}$|画(?:着|的|了)[^,。]{0,4}$")


class Thing(NamedTuple):
    """What a question asks to be there: the stem of its noun, or its Chinese characters."""

    name: str
    words: frozenset[str]


@lru_cache(maxsize=4096)
def thing_asked(core: str) -> Thing | None:
    """Return the thing whose being there a question's core asks for, or None where it asks for something else."""
    if match := _ASKS_THING.match(core):
        words = match["thing"].split()
        return Thing(stem(words[-1]), frozenset(map(stem, words)))
    if match := _ASKS_THING_ZH.search(core):
        return Thing(match["thing"], frozenset())
    return None


def presence(clause: str, thing: Thing) -> str | None:
    """Return Yes or No where a clause says that a thing is there or is not, else None."""
    if not thing.name.isascii():
        return _presence_in_chinese(clause, thing.name)
    if thing.name in PEOPLE and _NOBODY.search(clause):
        return "No"
    tokens = list(_WORD.finditer(clause))
    names = KINDS_OF_PEOPLE if thing.name in PEOPLE else {thing.name}
    said = {_presence_at(clause, tokens, place, thing) for place, token in enumerate(tokens) if stem(token[0]) in names}
    said.discard(None)
    return said.pop() if len(said) == 1 else None


def _presence_at(clause: str, tokens: list[re.Match[str]], place: int, thing: Thing) -> str | None:
    token = tokens[place]
    before = clause[max(0, token.start() - _REACH) : token.start()]
    behind = clause[token.end() : token.end() + _REACH]
    if _ABSENT_BEFORE.search(before) or _ABSENT_AFTER.match(behind):
        return "No"
    follows = tokens[place + 1][0].lower() if place + 1 < len(tokens) else ""
    if token[0].lower().endswith("'s") or not _can_follow(
        follows, before, token[0].lower().endswith("s") or token[0].lower() in _MANY
    ):
        return None
    unreal = _NO_REAL_THING.search(before)
    if unreal and stem(unreal[0].split()[0]) not in thing.words and not _CAPTION.match(before):
        return None
    return None if re.search(r"\b(?:not|never|no|nor|neither)\b|n't", before, re.IGNORECASE) else "Yes"


def _can_follow(word: str, before: str, many: bool) -> bool:
    """Return whether a word behind a noun leaves the noun its own: "dog in", "dog sleeping", but not "dog house"."""
    if not word or not word[0].isalpha() or word in GOES_ON:
        return True
    formed = word.endswith(("ing", "ed", "ly")) and len(word) > 4 and not word.endswith("eed")
    if formed or (many and word in _DO):
        return True
    return (
        word.endswith("s") and re.search(r"\b(?:an?|one|the)\s+(?:[\w-]+\s+){0,3}$", before, re.IGNORECASE) is not None
    )


def _presence_in_chinese(clause: str, name: str) -> str | None:
    said: set[str] = set()
    for match in re.finditer(re.escape(name), clause):
        before = clause[max(0, match.start() - _REACH) : match.start()]
        behind = clause[match.end() : match.end() + _REACH]
        if _ABSENT_ZH.search(before) or _ABSENT_AFTER_ZH.match(behind):
            said.add("No")
        elif _stands_alone(before, behind, name) and not re.search("没|不|未|无", _DESCRIBED_ZH.sub("", before)):
            said.add("Yes")
    return said.pop() if len(said) == 1 else None


def _stands_alone(before: str, behind: str, name: str) -> bool:
    """Return whether characters are a word of their own and no part of another: 猫 of 熊猫, 车 of 车站."""
    if len(name) > 1:
        return not _BEHIND_ZH.match(behind) and not _BEFORE_ZH.search(before)
    follows = behind[:1] in _BEHIND_ONE_ZH | {""} or re.match("站[在着立]", behind) is not None
    return before[-1:] in _BEFORE_ONE_ZH | {""} and follows
